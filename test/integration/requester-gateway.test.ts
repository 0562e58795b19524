/** A requester whose gateway is gone before there was a consensus finds another. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import { packetBytes } from '../../lib/core/params.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { countersign, type NetworkFile, networkId } from '../../lib/directory/index.ts';
import { createIdentity, listenLinks, saveIdentity } from '../../lib/link/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { until } from '../support/link-fixtures.ts';
import { listeningAuthority } from '../support/listening-authority.ts';
import { seededRng } from '../support/seeded-rng.ts';
import {
  crypto,
  descriptorOf,
  draft,
  epochOf,
  keys,
  records,
  signedConsensus,
  signedDescriptor,
} from '../support/signed-documents.ts';
import { SettableClock, VirtualClock } from '../support/virtual-clock.ts';

// The compiled one: its link has threads, and a thread runs JavaScript.
const { RequesterConfig, startRequester }: typeof import('../../network-requester/index.ts') = await import(
  new URL('../../dist/network-requester/index.js', import.meta.url).href
);

/** How long a requester waits for a consensus before it looks at its gateway again. */
const CONSENSUS_WAIT_MS = 60_000;
/** The gateway of `signedConsensus`. */
const LISTED = 3;
const GONE = 7;

/** A gateway that countersigns for whoever asks; its port. */
async function listeningGateway(t: Test, network: NetworkFile, n: number, clock: VirtualClock): Promise<number> {
  const id = networkId(network, crypto);
  const listener = await listenLinks({
    identity: await createIdentity(seededRng(n)),
    host: '127.0.0.1',
    port: 0,
    networkId: id,
    packetBytes: packetBytes(network.payloadBytes),
    keyExchange: 'any',
    log: silentLog,
    clock: systemClock,
    admit: () => true,
    countersign: (peer) => countersign(id, Buffer.from(peer, 'hex'), clock.wallMs(), keys(n).seed, crypto),
    onLink: () => {},
  });
  t.teardown(() => listener.close());
  return listener.port;
}

/** A requester that has announced itself with the one gateway there was. */
async function requesterOf(t: Test, clock = new VirtualClock()) {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-requester-'));
  const networkFile = join(dir, 'network.json');
  const authority = await listeningAuthority(t, networkFile);
  const { network, heard } = authority;
  const epoch = epochOf(network, clock.wallMs());
  const ports = new Map<number, number>();
  for (const n of [LISTED, GONE]) ports.set(n, await listeningGateway(t, network, n, clock));
  const gateway = (n: number, epochs = [epoch, epoch + 1]) =>
    signedDescriptor(n, descriptorOf(network, n, draft('gateway', epochs, { port: ports.get(n) }), clock.wallMs()));
  /** A consensus with the gateway `LISTED` alone. */
  const consensus = (of: number) => {
    const port = ports.get(LISTED) ?? 0;
    const nodes = records(of).map((node) => (node.role === 'gateway' ? { ...node, port } : node));
    return signedConsensus(network, of, { nodes });
  };
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
  const announced = () =>
    heard.flatMap((one) => (one.role === 'requester' ? [one.gateways.map(({ gateway }) => gateway)] : [])).at(-1);
  t.strictSame(announced(), [keys(GONE).id]);
  return { authority, clock, epoch, gateway, consensus, announced };
}

/** Lets virtual time pass in steps, with ever more real time between them: what it asks for takes real time. */
async function pass(clock: VirtualClock, stepMs: number, condition: () => boolean): Promise<void> {
  for (let realMs = 100; ; realMs *= 1.5) {
    clock.advance(stepMs);
    const endMs = performance.now() + realMs;
    await until(() => condition() || performance.now() > endMs);
    if (condition()) return;
  }
}

t.test('a gateway that does not renew its announcement is left', async (t) => {
  const { authority, clock, epoch, gateway, announced } = await requesterOf(t);
  authority.descriptors = [gateway(GONE, [epoch - 1, epoch]), gateway(LISTED)];
  await pass(clock, CONSENSUS_WAIT_MS, () => announced()?.includes(keys(GONE).id) === false);
  t.strictSame(announced(), [keys(LISTED).id]);
});

t.test('a gateway that the first consensus does not list is left', async (t) => {
  const { authority, clock, consensus, announced } = await requesterOf(t);
  authority.consensus = consensus;
  await pass(clock, 5_000, () => announced()?.join() === keys(LISTED).id);
});

t.test('a second gateway is announced as soon as there is one, without a consensus', async (t) => {
  const { authority, clock, gateway, announced } = await requesterOf(t);
  authority.descriptors = [gateway(GONE), gateway(LISTED)];
  await pass(clock, 2_000, () => announced()?.length === 2);
  t.strictSame([...(announced() ?? [])].sort(), [keys(GONE).id, keys(LISTED).id].sort());
});

t.test('the wall clock is set back by days: it announces the keys of then', async (t) => {
  const clock = new SettableClock();
  const { authority } = await requesterOf(t, clock);
  const { network, heard } = authority;
  clock.aheadMs = -3 * 24 * network.epochSeconds * 1000;
  const epoch = () => epochOf(network, clock.wallMs());
  await pass(clock, 10_000, () => heard.at(-1)?.sphinxKeys[0]?.epoch === epoch());
  t.equal(heard.at(-1)?.role, 'requester');
});
