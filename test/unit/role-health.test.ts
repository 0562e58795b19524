/** What `/livez` and `/readyz` of each role say. */
import t from 'tap';
import { authorityFaults } from '../../directory/readiness.ts';
import { listingFaults, Topology } from '../../lib/directory/index.ts';
import { serveMetricsPage } from '../../lib/net/metrics-page.ts';
import { nodeFaults } from '../../lib/node/readiness.ts';
import { RoleHealth, STANDSTILL_MS } from '../../lib/telemetry/health.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { requesterFaults } from '../../network-requester/readiness.ts';
import { consensusOf, records, testNetwork } from '../support/signed-documents.ts';
import { epochNumber, unix } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const network = testNetwork();
const EPOCH = 1000;
const topology = new Topology(consensusOf(network, EPOCH, { nodes: records(EPOCH) }));
const { epochMs } = topology.params;
const self = topology.layers[0]?.[0] ?? topology.nodes[0];
if (self === undefined) throw new Error('no node in the fixture');

/** A node that is as the consensus says, in the middle of its epoch. */
const WELL = {
  directory: { topology: (): Topology | undefined => topology, announced: true },
  self: self.id,
  keys: { publicKey: (epoch: number) => self.sphinxKey(epochNumber(epoch)) },
  wallMs: unix(EPOCH * epochMs + epochMs / 2),
};
const none = { topology: () => undefined, announced: true };
const links = (...states: ('up' | 'waiting')[]) => ({ status: () => states.map((state) => ({ state })) });

t.test('a node is ready while the present consensus lists it with its key', async (t) => {
  t.strictSame(listingFaults(WELL), []);
  t.strictSame(listingFaults({ ...WELL, directory: none }), ['there is no consensus in force']);
  t.strictSame(listingFaults({ ...WELL, directory: { ...none, announced: false } }), [
    'there is no consensus in force',
    'not every authority has taken the announcement',
  ]);
  const stranger = topology.nodes.some(({ id }) => id.startsWith('ff')) ? 'ee' : 'ff';
  t.strictSame(listingFaults({ ...WELL, self: stranger.repeat(32) as typeof self.id }), [
    'the consensus does not list this node',
  ]);
  const other = { publicKey: () => new Uint8Array(32).fill(9) };
  t.strictSame(listingFaults({ ...WELL, keys: other }), [
    'the consensus lists another Sphinx key for this epoch than this node has',
  ]);
});

t.test('an authority that does not take an announcement is no fault while the node is listed', async (t) => {
  t.strictSame(listingFaults({ ...WELL, directory: { topology: () => topology, announced: false } }), []);
});

t.test('a consensus of an epoch that is over is named with its age, from the turn on', async (t) => {
  const at = (wallMs: number) => listingFaults({ ...WELL, wallMs: unix(wallMs) });
  t.strictSame(at((EPOCH + 1) * epochMs - 1), []);
  t.strictSame(at((EPOCH + 1) * epochMs), ['the newest consensus is 1 epoch old']);
  t.strictSame(at((EPOCH + 3) * epochMs)[0], 'the newest consensus is 3 epochs old');
});

t.test('a mix or gateway is ready with links to half of the next layer', async (t) => {
  t.strictSame(nodeFaults({ ...WELL, peers: links('up', 'waiting') }), []);
  t.strictSame(nodeFaults({ ...WELL, peers: links('up', 'waiting', 'waiting') }), [
    '1 of 3 links to the next layer are up',
  ]);
  t.strictSame(nodeFaults({ ...WELL, peers: links() }), ['0 of 0 links to the next layer are up']);
  t.strictSame(nodeFaults({ ...WELL, directory: none, peers: links() }), ['there is no consensus in force']);
});

t.test('a requester is ready with a link to one of its gateways', async (t) => {
  t.strictSame(requesterFaults({ ...WELL, hasLink: true }), []);
  t.strictSame(requesterFaults({ ...WELL, hasLink: false }), ['no link to a gateway is up']);
});

t.test('an authority is ready while its newest consensus is of the present epoch', async (t) => {
  const at = (epoch: number | undefined) =>
    authorityFaults({ epoch: epoch === undefined ? undefined : epochNumber(epoch), epochMs, wallMs: WELL.wallMs });
  t.strictSame(at(EPOCH), []);
  t.strictSame(at(EPOCH + 1), [], 'the next one may be signed already');
  t.strictSame(at(EPOCH - 1), ['the newest consensus is 1 epoch old']);
  t.match(at(undefined), [/no consensus yet/]);
});

t.test('a role lives while its work goes on; one that stops is alive and not ready', async (t) => {
  const clock = new VirtualClock();
  const health = new RoleHealth(clock, 'the upkeep', () => []);
  clock.advance(STANDSTILL_MS - 1);
  t.strictSame(health.live(), []);
  clock.advance(1);
  t.strictSame(health.live(), ['the upkeep has stood still for 60 s']);
  health.worked();
  t.strictSame([health.live(), health.ready()], [[], []]);
  health.stop();
  clock.advance(2 * STANDSTILL_MS);
  t.strictSame([health.live(), health.ready()], [[], ['stopping']]);
});

t.test('the pages answer 200 or 503 with a line for each fault, and the metrics say so too', async (t) => {
  const faults = { live: [] as string[], ready: [] as string[] };
  const page = await serveMetricsPage({
    config: { metricsListen: '127.0.0.1:0', metricsHosts: [] },
    metrics: new Metrics(),
    health: { live: () => faults.live, ready: () => faults.ready },
    log: silentLog,
  });
  t.teardown(() => page.close());
  const ask = async (path: string) => {
    const answer = await fetch(page.url + path);
    return [answer.status, await answer.text()];
  };
  t.strictSame(await ask('/livez'), [200, 'ok\n']);
  t.strictSame(await ask('/readyz'), [200, 'ok\n']);
  t.match(await ask('/metrics'), [200, /^mixsocks_ready 1$/m]);
  faults.ready = ['no link is up', 'the newest consensus is 2 epochs old'];
  t.strictSame(await ask('/readyz'), [503, 'no link is up\nthe newest consensus is 2 epochs old\n']);
  t.strictSame(await ask('/livez'), [200, 'ok\n']);
  t.match(await ask('/metrics'), [200, /^mixsocks_ready 0$/m]);
  faults.live = ['signing has stood still for 61 s'];
  t.strictSame(await ask('/livez'), [503, 'signing has stood still for 61 s\n']);
});
