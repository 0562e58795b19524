/** Four authorities over real HTTP: with one that is down, and with one that lies. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePorts } from '../../cli/localnet/ports.ts';
import { DirectoryConfig, startDirectory } from '../../directory/index.ts';
import { type Clock, systemClock } from '../../lib/core/clock.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { DirectoryClient, type NetworkFile, saveNetworkFile, type Topology } from '../../lib/directory/index.ts';
import { createIdentity, saveIdentity } from '../../lib/link/index.ts';
import type { Components } from '../../lib/runtime/components.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { countersigned, crypto, draft, keys } from '../support/signed-documents.ts';
import { unix } from '../support/units.ts';

const EPOCH_SECONDS = 60;
/** An attempt to vote begins 7.5 s after an epoch does. */
const INTO_EPOCH_MS = 6_500;
const WAIT_MS = 300_000;
const INVENTED = 40;

/** The system's clock, its wall time set so that a voting begins soon. A machine that is too slow for that one takes a later one. */
const clock: Clock = (() => {
  const offsetMs = INTO_EPOCH_MS - (systemClock.wallMs() % (EPOCH_SECONDS * 1000));
  return { ...systemClock, wallMs: () => unix(systemClock.wallMs() + offsetMs) };
})();

function parts(): Components {
  return { clock, rng: systemRng, crypto, log: silentLog, metrics: new Metrics() };
}

/** Folders of four authorities of one network. */
async function fourFolders(t: Test): Promise<{ network: NetworkFile; dirs: string[] }> {
  const root = await mkdtemp(join(tmpdir(), 'mixsocks-voting-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const ports = await freePorts('127.0.0.1', 4, systemRng);
  const authorities: { id: NetworkFile['authorities'][number]['id']; url: string }[] = [];
  const dirs: string[] = [];
  for (const [index, port] of ports.entries()) {
    const dir = join(root, String(index));
    const identity = await createIdentity(systemRng);
    await saveIdentity(dir, identity);
    authorities.push({ id: identity.id, url: `http://127.0.0.1:${port}` });
    dirs.push(dir);
  }
  const network = { name: 'four', epochSeconds: EPOCH_SECONDS, payloadBytes: 2048, authorities, threshold: 3 };
  for (const dir of dirs) await saveNetworkFile(join(dir, 'network.json'), network);
  return { network, dirs };
}

async function start(t: Test, dir: string, settings: object = {}): Promise<void> {
  const alive = setInterval(() => {}, 1_000); // the clock's timers do not keep a process alive
  const allow = [0, 1, 2, 3, 4].map((n) => keys(n).id);
  const running = await startDirectory(
    DirectoryConfig.parse({ dir, allow, checkReachability: false, ...settings }),
    parts(),
  );
  t.teardown(async () => {
    clearInterval(alive);
    await running.stop();
  });
}

async function node(t: Test, network: NetworkFile, n: number): Promise<DirectoryClient> {
  const client = new DirectoryClient({ network, components: parts() });
  t.teardown(() => client.stop());
  await client.start();
  const role = n === 3 ? 'gateway' : n === 4 ? 'requester' : 'mixnode';
  const layer = role === 'mixnode' ? { layer: (n % 10) + 1 } : {};
  client.announce((epochs) => {
    const gateways = n === 4 ? { gateways: [countersigned(network, n, 3, clock.wallMs())] } : {};
    return draft(role, epochs, { name: `node-${n}`, ...layer, ...gateways });
  }, keys(n).seed);
  return client;
}

async function fiveNodes(t: Test, network: NetworkFile): Promise<Topology[]> {
  const nodes = await Promise.all([0, 1, 2, 3, 4].map((n) => node(t, network, n)));
  return Promise.all(nodes.map((one) => one.waitForTopology(WAIT_MS)));
}

t.test('four authorities over HTTP', { jobs: 2 }, async (t) => {
  t.test('with one that is down they give the network a consensus', async (t) => {
    const { network, dirs } = await fourFolders(t);
    for (const dir of dirs.slice(1)) await start(t, dir);
    const topologies = await fiveNodes(t, network);
    for (const topology of topologies) t.equal(topology.nodes.length, 5);
  });

  t.test('one that lists a node of its own, with parameters of its own, is outvoted', async (t) => {
    const { network, dirs } = await fourFolders(t);
    const [liar = '', ...honest] = dirs;
    await start(t, liar, { openToAll: true, meanDelayMs: 600_000 });
    for (const dir of honest) await start(t, dir);
    // announced to the liar alone: the id of a network does not depend on URLs
    const nowhere = network.authorities.map((one, index) =>
      index === 0 ? one : { ...one, url: 'http://127.0.0.1:9' },
    );
    const invented = await node(t, { ...network, authorities: nowhere }, INVENTED);
    const [first] = network.authorities;
    const descriptors = async () => (await fetch(`${first?.url}/descriptors`)).text();
    while (!(await descriptors()).includes(keys(INVENTED).id)) await new Promise((resolve) => setTimeout(resolve, 50));
    const topologies = await fiveNodes(t, network);
    for (const { nodes, params } of topologies) {
      t.equal(nodes.length, 5);
      t.equal(params.meanDelayMs, DirectoryConfig.parse({ dir: liar }).meanDelayMs);
    }
    t.equal((await invented.waitForTopology(WAIT_MS)).byId(keys(INVENTED).id), undefined);
  });
});
