/** How long the command line and the proxy wait for something that does not come, and when they renew what they have. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { untilReady } from '../../cli/localnet/ready.ts';
import { fetchStatus, TIMEOUT_MS } from '../../cli/status.ts';
import type { NodeIdentity } from '../../lib/link/index.ts';
import { systemRng } from '../../lib/rng.ts';
import type { Status } from '../../proxy/index.ts';
import { IDENTITY_LIFE_MS, renewIdentity } from '../../proxy/mixnet.ts';
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

t.test('and no longer than until it is ready', async (t) => {
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

t.test("the proxy's identity at its gateway lives for a day", async (t) => {
  const clock = new VirtualClock();
  const made: NodeIdentity[] = [];
  let arrived = () => {};
  const timer = renewIdentity({ clock, rng: systemRng }, (fresh) => {
    made.push(fresh);
    arrived();
  });
  const next = () => {
    const fresh = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    clock.advance(1);
    return fresh;
  };
  t.equal(IDENTITY_LIFE_MS, 86_400_000);
  clock.advance(IDENTITY_LIFE_MS - 1);
  await turn();
  t.strictSame(made, [], 'not before');
  await next();
  clock.advance(IDENTITY_LIFE_MS - 1);
  await next();
  t.equal(new Set(made.map(({ id }) => id)).size, 2, 'another each time');
  timer.cancel();
  clock.advance(10 * IDENTITY_LIFE_MS);
  t.equal(clock.pending, 0);
});
