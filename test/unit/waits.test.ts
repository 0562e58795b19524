/** How long the command line and the proxy wait for something that does not come, and when they renew what they have. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { fetchStatus, TIMEOUT_MS, untilReady } from '../../cli/status.ts';
import { IDENTITY_LIFE_MS, IdentityRenewal, RENEWAL_RETRY_MS } from '../../lib/access/identity-renewal.ts';
import type { NodeIdentity } from '../../lib/link/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import type { Status } from '../../proxy/index.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** Moves the clock on until `promise` is settled; resolves with its error, or undefined. */
async function settled(promise: Promise<unknown>, clock: VirtualClock): Promise<unknown> {
  let outcome: { error: unknown } | undefined;
  promise.then(
    () => {
      outcome = { error: undefined };
    },
    (error: unknown) => {
      outcome = { error };
    },
  );
  for (let i = 0; outcome === undefined && i < 10_000; i++) {
    clock.advance(50);
    await turn();
  }
  return outcome?.error;
}

t.test('localnet waits two minutes for a network that does not get ready', async (t) => {
  const clock = new VirtualClock();
  let asked = 0;
  const never = async () => {
    asked += 1;
    if (asked % 2 === 0) throw new Error('not even listening');
    return { ready: false } as Status;
  };
  t.match(await settled(untilReady('http://x', clock, never), clock), { code: 'NO_CONSENSUS', message: /two minutes/ });
  t.ok(Math.abs(clock.nowMs() - 120_000) < 500, `${clock.nowMs()} ms`);
  t.ok(asked > 500, `asked ${asked} times`);
});

t.test('localnet waits no longer than until the network is ready', async (t) => {
  const clock = new VirtualClock();
  const soon = async () => ({ ready: clock.nowMs() >= 3000 }) as Status;
  t.equal(await settled(untilReady('http://x', clock, soon), clock), undefined);
  t.ok(clock.nowMs() < 3500);
});

t.test('a status port that accepts and says nothing', async (t) => {
  const server = createServer(() => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.equal(TIMEOUT_MS, 5000);
  await t.rejects(fetchStatus(url, 100), { code: 'TIMEOUT', message: /does not answer/ });
});

interface Attempt {
  readonly promise: Promise<NodeIdentity>;
  readonly resolve: (made: NodeIdentity) => void;
  readonly reject: (error: Error) => void;
}

function newAttempt(): Attempt {
  let resolve: Attempt['resolve'] = () => {};
  let reject: Attempt['reject'] = () => {};
  const promise = new Promise<NodeIdentity>((onMade, onFailed) => {
    resolve = onMade;
    reject = onFailed;
  });
  return { promise, resolve, reject };
}

/** A renewal whose attempts to make an identity end when and as the test says. */
function renewals(t: Test) {
  const clock = new VirtualClock();
  const renewed: string[] = [];
  const warnings: string[] = [];
  const attempts: Attempt[] = [];
  const renewal = new IdentityRenewal({
    clock,
    log: { ...silentLog, warn: (fields) => warnings.push((fields as { reason: string }).reason) },
    makeIdentity: () => {
      const attempt = newAttempt();
      attempts.push(attempt);
      return attempt.promise;
    },
    renew: ({ id }) => renewed.push(id),
  });
  t.teardown(() => renewal.stop());
  const last = () => attempts.at(-1) as Attempt;
  const made = async (id: string) => {
    last().resolve({ id } as NodeIdentity);
    await turn();
  };
  const failed = async (reason: string) => {
    last().reject(new Error(reason));
    await turn();
  };
  return { clock, renewal, renewed, warnings, attempts, made, failed };
}

t.test("the proxy's identity at its gateway lives for a day", async (t) => {
  const { clock, renewal, renewed, attempts, made } = renewals(t);
  t.equal(IDENTITY_LIFE_MS, 86_400_000);
  t.equal(clock.pending, 0, 'nothing runs before it is started');
  renewal.start();
  clock.advance(IDENTITY_LIFE_MS - 1);
  t.equal(attempts.length, 0, 'not before');
  clock.advance(1);
  await made('second');
  clock.advance(IDENTITY_LIFE_MS - 1);
  t.equal(attempts.length, 1);
  clock.advance(1);
  await made('third');
  t.strictSame(renewed, ['second', 'third']);
  renewal.stop();
  clock.advance(10 * IDENTITY_LIFE_MS);
  t.equal(clock.pending, 0);
});

t.test('an identity that cannot be made or used is said, and tried again in a minute', async (t) => {
  const { clock, renewal, renewed, warnings, made, failed, attempts } = renewals(t);
  renewal.start();
  clock.advance(IDENTITY_LIFE_MS);
  await failed('no entropy');
  t.match(warnings, [/no entropy/]);
  clock.advance(RENEWAL_RETRY_MS - 1);
  t.equal(attempts.length, 1, 'not at once');
  clock.advance(1);
  await made('fresh');
  t.strictSame(renewed, ['fresh']);
  t.equal(warnings.length, 1);
});

t.test('an identity that is made while the proxy stops is not used', async (t) => {
  const { clock, renewal, renewed, made } = renewals(t);
  renewal.start();
  clock.advance(IDENTITY_LIFE_MS);
  renewal.stop();
  await made('too late');
  t.strictSame(renewed, []);
  t.equal(clock.pending, 0);
});
