/** A requester whose gateway is gone before there was a consensus finds another. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createIdentity, saveIdentity } from '../../lib/link/index.ts';
import { silentLog } from '../../lib/log.ts';
import { Metrics } from '../../lib/metrics.ts';
import { systemRng } from '../../lib/rng.ts';
import {
  crypto,
  descriptorOf,
  draft,
  epochOf,
  keys,
  signedConsensus,
  signedDescriptor,
} from '../support/directory-network.ts';
import { until } from '../support/link-fixtures.ts';
import { listeningAuthority } from '../support/listening-authority.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

// The compiled one: its link has threads, and a thread runs JavaScript.
const { RequesterConfig, startRequester }: typeof import('../../network-requester/index.ts') = await import(
  new URL('../../dist/network-requester/index.js', import.meta.url).href
);

/** How long a requester waits for a consensus before it looks at its gateway again. */
const CONSENSUS_WAIT_MS = 60_000;
/** The gateway of `signedConsensus`. */
const LISTED = 3;
const GONE = 7;

/** A requester that has announced itself with the one gateway there was. */
async function requesterOf(t: Test) {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-requester-'));
  const networkFile = join(dir, 'network.json');
  const authority = await listeningAuthority(t, networkFile);
  const { network, heard } = authority;
  const clock = new VirtualClock();
  const epoch = epochOf(network, clock.wallMs());
  const gateway = (n: number, epochs = [epoch, epoch + 1]) =>
    signedDescriptor(n, descriptorOf(network, n, draft('gateway', epochs), clock.wallMs()));
  authority.descriptors = [gateway(GONE)];
  await saveIdentity(dir, await createIdentity(systemRng));
  const components = { clock, rng: systemRng, crypto, log: silentLog, metrics: new Metrics() };
  const running = await startRequester(RequesterConfig.parse({ dir, networkFile, name: 'exit' }), components);
  t.teardown(async () => {
    let stopped = false;
    void running.stop().then(() => {
      stopped = true;
    });
    await until(() => {
      clock.advance(100); // farewells take a moment
      return stopped;
    });
    await rm(dir, { recursive: true });
  });
  await until(() => heard.length === 1);
  const announced = () => heard.flatMap((one) => (one.role === 'requester' ? [one.gateway] : [])).at(-1);
  t.equal(announced(), keys(GONE).id);
  return { authority, clock, epoch, gateway, announced };
}

t.test('one that does not renew its announcement', async (t) => {
  const { authority, clock, epoch, gateway, announced } = await requesterOf(t);
  authority.descriptors = [gateway(GONE, [epoch - 1, epoch]), gateway(LISTED)];
  clock.advance(CONSENSUS_WAIT_MS);
  await until(() => announced() === keys(LISTED).id);
});

t.test('one that the first consensus does not list', async (t) => {
  const { authority, clock, announced } = await requesterOf(t);
  authority.consensus = (epoch) => signedConsensus(authority.network, epoch);
  await until(() => {
    clock.advance(250); // its tries become rare
    return announced() === keys(LISTED).id;
  });
});
