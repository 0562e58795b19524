/**
 * The key exchange of links between ends of this runtime. An old end, without the hybrid, is one that takes X25519 alone. Where
 * the runtime itself is old, the fallback and the refusals are asserted. test/system/key-exchange.test.ts mixes two runtimes.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import t, { type Test } from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { Topology } from '../../lib/directory/index.ts';
import { createIdentity, LinkMetrics } from '../../lib/link/index.ts';
import { hasHybrid, type KeyExchange } from '../../lib/link/key-exchange.ts';
import { PEER_OPTIONS, secureOptionsOf } from '../../lib/link/tls.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { Countersignatures, NO_COMMON_GROUP_PAUSE_MS } from '../../network-requester/countersignatures.ts';
import { keptLines, link } from '../support/key-exchange-ends.ts';
import {
  builtLinks,
  NETWORK_ID,
  PACKET_BYTES,
  recordingRelay,
  targetOf,
  testListener,
  testPeerLinks,
  until,
} from '../support/link-fixtures.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { consensusOf, crypto, records, testNetwork } from '../support/signed-documents.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const HYBRID = 'X25519MLKEM768';
const CLASSICAL = 'X25519';
const EPOCH = 1;
/** The longest wait before an end dials again. */
const BACKOFF_MS = 5_000;
const runtime = hasHybrid() ? {} : { skip: `NODE.JS ${process.version} HAS NO ${HYBRID}` };

/** Whether an end that takes `accepting` refuses one that takes X25519 alone. */
async function refusesClassical(accepting: KeyExchange): Promise<boolean> {
  return (await link('x25519', accepting)).dialled.state !== 'up';
}

/** An end that has no group in common with any of ours: what an end of `hybrid` is to an old one. */
async function foreignEnd(t: Test) {
  const identity = await createIdentity(systemRng);
  const options = { ...secureOptionsOf(identity, 'x25519'), ...PEER_OPTIONS, ALPNProtocols: ['mixsocks/1'] };
  const server = createServer({ ...options, ecdhCurve: 'P-256' });
  const seen = { handshakes: 0 };
  server.on('tlsClientError', () => {
    seen.handshakes += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { target: targetOf(identity.id, (server.address() as AddressInfo).port), seen };
}

t.test('two ends that take any group agree on the hybrid where the runtime has it', async (t) => {
  const { dialled } = await link('any', 'any');
  t.equal(dialled.group, hasHybrid() ? HYBRID : CLASSICAL);
  t.strictSame(dialled.refusals, []);
});

t.test('an end that takes any group and an old one agree on X25519, whoever dials', async (t) => {
  t.equal((await link('any', 'x25519')).dialled.group, CLASSICAL);
  t.equal((await link('x25519', 'any')).dialled.group, CLASSICAL);
});

t.test('two ends that take the hybrid alone have a link', runtime, async (t) => {
  t.equal((await link('hybrid', 'hybrid')).dialled.group, HYBRID);
  t.equal((await link('any', 'hybrid')).dialled.group, HYBRID);
  t.equal((await link('hybrid', 'any')).dialled.group, HYBRID);
});

t.test('an end that takes the hybrid alone and an old one have no link, and one line says why', runtime, async (t) => {
  const remedies = {
    hybrid: /takes X25519MLKEM768 alone.*Node\.js 24 or later/,
    x25519: /takes X25519 alone.*set linkKeyExchange any/,
  };
  for (const [dialling, accepting] of [
    ['hybrid', 'x25519'],
    ['x25519', 'hybrid'],
  ] as const) {
    const { dialled, refused, lines } = await link(dialling, accepting);
    t.match(dialled, { state: 'waiting', group: '', reason: 'no-common-group' });
    t.equal(dialled.refusals.length, 1);
    t.match(dialled.refusals[0], remedies[dialling]);
    t.strictSame(refused, { 'no-common-group': 1 }, 'counted by the other end');
    t.match(lines, [remedies[accepting]], 'which says so too');
  }
  t.ok(await refusesClassical('hybrid'));
  t.notOk(await refusesClassical('any'), 'an end that took X25519 beside the hybrid would be found');
});

t.test('an end that takes any group is silent about strangers that have none of them', async (t) => {
  const { log, lines } = keptLines();
  const listener = await testListener({ keyExchange: 'any', log });
  const identity = await createIdentity(systemRng);
  const socket = connect({
    ...secureOptionsOf(identity, 'x25519'),
    ...PEER_OPTIONS,
    ecdhCurve: 'P-256',
    port: listener.port,
  });
  socket.on('error', () => {});
  t.strictSame(await listener.refused(1), { 'no-common-group': 1 });
  t.equal(lines.length, hasHybrid() ? 0 : 1, 'only an end with one group has a reason to speak');
  await listener.close();
});

t.test(
  'a refused end dials again by its back-off, is counted each time, and its log says so once a minute',
  async (t) => {
    const { target, seen } = await foreignEnd(t);
    const { log, lines } = keptLines();
    const clock = new VirtualClock();
    const metrics = new LinkMetrics(new Metrics());
    const peers = await testPeerLinks({ keyExchange: 'x25519', clock, log, metrics });
    t.teardown(() => peers.stop());
    const refused = async () => (await metrics.refused.get()).values.map(({ labels, value }) => [labels.reason, value]);
    const said = () => lines.filter((line) => /takes X25519 alone.*perhaps X25519MLKEM768 alone/.test(line)).length;
    peers.setPeers([target]);
    for (let attempt = 1; attempt <= 13; attempt++) {
      await until(() => peers.status()[0]?.state === 'waiting' && seen.handshakes === attempt);
      t.match(peers.status(), [{ attempts: attempt, lastReason: 'no-common-group' }]);
      t.strictSame(await refused(), [['no-common-group', attempt]]);
      t.equal(said(), clock.nowMs() < 60_000 ? 1 : 2);
      clock.advance(BACKOFF_MS);
    }
  },
);

t.test('a requester asks a gateway that refused it again after a pause, not at each of its looks', async (t) => {
  const { target, seen } = await foreignEnd(t);
  const { log, lines } = keptLines();
  const clock = new VirtualClock();
  const components = { clock, rng: systemRng, crypto, log, metrics: new Metrics() };
  const identity = await createIdentity(systemRng);
  const config = { trafficClass: 'standard', linkKeyExchange: 'x25519' } as const;
  const countersignatures = new Countersignatures(components, identity, testNetwork(), config);
  for (const handshakes of [1, 2]) {
    for (let look = 0; look < 3; look++) await countersignatures.obtain([target.id], [target]);
    t.equal(seen.handshakes, handshakes);
    t.strictSame(countersignatures.of([target.id]), []);
    clock.advance(NO_COMMON_GROUP_PAUSE_MS);
  }
  t.equal(lines.filter((line) => line.startsWith('link refused: this end takes')).length, 1);
});

t.test('metrics say which group the links have that this end dialled', async (t) => {
  const listener = await testListener();
  const registry = new Metrics();
  const peers = await testPeerLinks({ metrics: new LinkMetrics(registry) });
  const shown = async () => /^mixsocks_dialled_links\{.*$/m.exec(await registry.text())?.[0];
  const group = hasHybrid() ? HYBRID : CLASSICAL;
  peers.setPeers([listener.target()]);
  await until(() => peers.status()[0]?.state === 'up');
  t.match(peers.status(), [{ group }]);
  t.equal(await shown(), `mixsocks_dialled_links{group="${group}"} 1`);
  await peers.stop();
  t.equal(await shown(), `mixsocks_dialled_links{group="${group}"} 0`);
  await listener.close();
});

t.test('no handshake needs a second hello: an end that takes two groups sends a key share of each', async (t) => {
  const HANDSHAKE = 22;
  for (const accepting of ['any', 'x25519'] as const) {
    const listener = await testListener({ keyExchange: accepting });
    const relay = await recordingRelay(listener.port);
    const peers = await testPeerLinks({ keyExchange: 'any' });
    peers.setPeers([{ ...listener.target(), port: relay.port }]);
    await until(() => peers.status()[0]?.state === 'up');
    const hellos = relay.up.records.filter(({ type }) => type === HANDSHAKE);
    t.equal(hellos.length, 1, accepting);
    t.equal((hellos[0]?.bytes ?? 0) > 1216, hasHybrid(), 'it shows whether the runtime has the hybrid');
    await peers.stop();
    await relay.close();
    await listener.close();
  }
});

t.test('the link thread of a client has the same choice, and tells what it found', async (t) => {
  const { ClientLink } = await builtLinks();
  const identity = await createIdentity(systemRng);
  const { log, lines } = keptLines();
  const open = (gateway: ReturnType<typeof targetOf>, keyExchange: KeyExchange) =>
    ClientLink.open({
      identity,
      gateway,
      networkId: NETWORK_ID,
      packetBytes: PACKET_BYTES,
      client: { trafficClass: 'standard', clocked: false },
      keyExchange,
      log,
    });

  const listener = await testListener();
  const up = open(listener.target(), 'any');
  await until(() => up.state === 'up');
  t.match(up.stats(), { group: hasHybrid() ? HYBRID : CLASSICAL, noCommonGroup: false });

  const { target, seen } = await foreignEnd(t);
  const refused = open(target, hasHybrid() ? 'hybrid' : 'any');
  await until(() => refused.stats().noCommonGroup);
  t.match(refused.stats(), { state: 'down', group: '' });
  await until(() => seen.handshakes > 1);
  t.equal(lines.filter((line) => line.startsWith('link refused: this end takes')).length, 1);

  refused.setGateway(listener.target());
  await until(() => refused.state === 'up');
  t.notOk(refused.stats().noCommonGroup, 'no more');
  await up.stop();
  await refused.stop();
  await listener.close();
});

t.test('an endpoint counts refusals for the group, and its metrics show the group of its link', async (t) => {
  const { MixEndpoint }: typeof import('../../lib/endpoint/index.ts') = await import(
    new URL('../../dist/lib/endpoint/index.js', import.meta.url).href
  );
  const GATEWAY = 3; // of `records`
  const listener = await testListener({ identity: await createIdentity(seededRng(GATEWAY)) });
  const { target } = await foreignEnd(t);
  const handedOn = { up: () => {}, down: () => {}, take: () => {} };
  const endpointAt = async (port: number) => {
    const nodes = records(EPOCH).map((node) => (node.role === 'gateway' ? { ...node, port } : node));
    const topology = new Topology(consensusOf(testNetwork(), EPOCH, { nodes }));
    const metrics = new Metrics();
    const endpoint = new MixEndpoint({
      components: { clock: systemClock, rng: systemRng, crypto, log: silentLog, metrics },
      identity: await createIdentity(systemRng),
      networkId: NETWORK_ID,
      directory: { topology: () => topology, onTopology: () => {}, gatewaySource: () => handedOn },
      trafficClass: 'standard',
      keyExchange: 'x25519',
      usableGateways: ({ gateways }) => gateways,
    });
    endpoint.start();
    return { endpoint, shown: async () => (await metrics.text()).match(/^mixsocks_(link_refused|dialled_links).*$/gm) };
  };

  const refused = await endpointAt(target.port);
  await until(() => refused.endpoint.stats().link?.noCommonGroup === true);
  t.match((await refused.shown())?.join(), /^mixsocks_link_refused_total\{reason="no-common-group"\} [1-9]\d*$/);
  await refused.endpoint.stop();

  const up = await endpointAt(listener.port);
  await until(() => up.endpoint.linkState === 'up');
  t.strictSame(await up.shown(), ['mixsocks_dialled_links{group="X25519"} 1']);
  await listener.close();
  await until(() => up.endpoint.linkState === 'down');
  t.equal((await up.shown())?.includes('mixsocks_dialled_links{group="X25519"} 0'), true);
  await up.endpoint.stop();
});
