/** Authority and members over real HTTP on loopback: bootstrap, restarts, a turn of the epoch, hostile requests. */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DirectoryConfig, type RunningDirectory, startDirectory } from '../../directory/index.ts';
import { MemberFiles } from '../../directory/members/member-files.ts';
import { SERVER_LIMITS } from '../../directory/server.ts';
import { type Clock, systemClock } from '../../lib/core/clock.ts';
import { systemRng } from '../../lib/core/rng.ts';
import {
  DirectoryClient,
  type DirectoryClientOptions,
  loadNetworkFile,
  type Topology,
} from '../../lib/directory/index.ts';
import { createIdentity, saveIdentity } from '../../lib/link/index.ts';
import type { Components } from '../../lib/runtime/components.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { joinTokenOf, termsOf } from '../support/admission.ts';
import { until } from '../support/link-fixtures.ts';
import { PacedClock } from '../support/paced-clock.ts';
import { reservedPort } from '../support/ports.ts';
import { countersigned, crypto, draft, keys } from '../support/signed-documents.ts';
import { epochNumber, monotonic, unix } from '../support/units.ts';

const HOUR_MS = 3_600_000;
const JOIN_TOKEN = joinTokenOf(1);
const WAIT_MS = 60_000;

/** The system's clock, its wall time set so that no hour ends soon. */
function steadyClock(): Clock {
  const offsetMs = HOUR_MS / 2 - (systemClock.wallMs() % HOUR_MS);
  return { ...systemClock, wallMs: () => unix(systemClock.wallMs() + offsetMs) };
}

function parts(clock: Clock): Components {
  return { clock, rng: systemRng, crypto, log: silentLog, metrics: new Metrics() };
}

async function tempDir(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-directory-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** An authority that can be stopped and started again on the same folder. */
async function authority(t: Test, clock: Clock, settings: object = {}) {
  const dir = await tempDir(t);
  // the clock's timers do not keep a process alive
  const alive = setInterval(() => {}, 1_000);
  t.teardown(() => clearInterval(alive));
  await saveIdentity(dir, await createIdentity(systemRng));
  await new MemberFiles(dir).create(termsOf(JOIN_TOKEN, { uses: 5 }));
  const listen = `127.0.0.1:${await reservedPort()}`;
  const config = DirectoryConfig.parse({ dir, listen, checkReachability: false, ...settings });
  let running: RunningDirectory | undefined;
  const start = async (changes: Partial<DirectoryConfig> = {}) => {
    running = await startDirectory({ ...config, ...changes }, parts(clock));
    return running;
  };
  const stop = async () => {
    await running?.stop();
    running = undefined;
  };
  t.teardown(stop);
  return { dir, config, stop, start };
}

function member(t: Test, options: Omit<DirectoryClientOptions, 'components'>, clock: Clock) {
  const client = new DirectoryClient({ ...options, components: parts(clock) });
  t.teardown(() => client.stop());
  return client;
}

/** Members 0 to 4: one mix per layer, a gateway, a requester, announced. */
async function fiveNodes(t: Test, directory: RunningDirectory, clock: Clock) {
  const { network } = directory;
  const roles = ['mixnode', 'mixnode', 'mixnode', 'gateway', 'requester'] as const;
  return Promise.all(
    roles.map(async (role, n) => {
      const client = member(t, { network }, clock);
      await client.start();
      const layer = n < 3 ? { layer: n + 1 } : {};
      const gateways = () => (role === 'requester' ? { gateways: [countersigned(network, n, 3, clock.wallMs())] } : {});
      client.announce(
        (epochs) => draft(role, epochs, { name: `node-${n}`, ...layer, ...gateways() }),
        keys(n).seed,
        JOIN_TOKEN,
      );
      return client;
    }),
  );
}

t.test('nodes announce, the first consensus appears, everyone verifies it', async (t) => {
  const clock = steadyClock();
  const { start, config } = await authority(t, clock);
  const directory = await start();
  t.equal(directory.networkFile, join(config.dir, 'network.json'));
  const network = await loadNetworkFile(directory.networkFile);
  t.same(network.authorities, [{ id: network.authorities[0]?.id, url: directory.url }]);

  const nodes = await fiveNodes(t, directory, clock);
  const topologies = await Promise.all(nodes.map((node) => node.waitForTopology(WAIT_MS)));
  for (const topology of topologies) {
    t.same(
      topology.layers.map((layer) => layer.map((node) => node.name)),
      [['node-0'], ['node-1'], ['node-2']],
    );
    t.equal(topology.gateways[0]?.id, keys(3).id);
    t.same(topology.requesters[0]?.gateways, [keys(3).id]);
  }
  await until(() => nodes.every((node) => node.announced)); // their answers may come after the consensus

  const stranger = member(t, { network }, clock);
  const gateways = await stranger.fetchDescriptors('gateway');
  t.same(
    gateways.map((node) => node.identity),
    [keys(3).id],
    'descriptors can be had by role',
  );
  const metrics = await (await fetch(`${directory.metricsUrl}/metrics`)).text();
  const accepted = /mixsocks_directory_announcements_total\{result="accepted"\} (\d+)/.exec(metrics)?.[1];
  t.ok(Number(accepted) >= nodes.length);
});

t.test('an authority killed and started again serves the same documents, with port 0 where it was', async (t) => {
  const clock = steadyClock();
  const { start, stop } = await authority(t, clock);
  const first = await start();
  await Promise.all((await fiveNodes(t, first, clock)).map((node) => node.waitForTopology(WAIT_MS)));
  const before = await (await fetch(`${first.url}/consensus`)).text();
  const descriptors = await (await fetch(`${first.url}/descriptors`)).text();
  await stop();
  const second = await start({ listen: '127.0.0.1:0' });
  t.equal(second.url, first.url);
  const reply = await fetch(`${second.url}/consensus`);
  t.equal(await reply.text(), before);
  t.equal(
    (JSON.parse(await (await fetch(`${second.url}/descriptors`)).text()) as { descriptors: [] }).descriptors.length,
    5,
  );
  t.equal(descriptors.length, (await (await fetch(`${second.url}/descriptors`)).text()).length);
  const etag = reply.headers.get('etag') ?? '';
  const again = await fetch(`${second.url}/consensus`, { headers: { 'if-none-match': etag } });
  t.equal(again.status, 304, 'polling what is known is cheap');
});

t.test('a member starts from its cache while no authority can be reached', async (t) => {
  const clock = steadyClock();
  const cacheFile = join(await tempDir(t), 'consensus.json');
  const { start, stop } = await authority(t, clock);
  const directory = await start();
  const { network } = directory;
  const nodes = await fiveNodes(t, directory, clock);
  const client = member(t, { network, cacheFile }, clock);
  await client.start();
  const { epoch } = await client.waitForTopology(WAIT_MS);
  await client.stop();
  for (const node of nodes) await node.stop();
  await stop();
  const offline = member(t, { network, cacheFile }, clock);
  await offline.start();
  t.equal(offline.topology()?.epoch, epoch);
  const uncached = member(t, { network }, clock);
  await uncached.start();
  let refusal: unknown;
  while (!/ECONNREFUSED/.test(String(refusal)))
    refusal = await uncached.waitForTopology(10).catch((error: unknown) => error);
  t.match(refusal, { code: 'NO_CONSENSUS' });
});

t.test('at the turn everyone has the next consensus and switches to it', async (t) => {
  const epochMs = 600_000;
  const clock = new PacedClock(1_000 * epochMs - epochMs / 4);
  const { start } = await authority(t, clock, { epochSeconds: epochMs / 1000 });
  const directory = await start();
  const nodes = await fiveNodes(t, directory, clock);
  const first = await clock.settle(Promise.all(nodes.map((node) => node.waitForTopology(epochMs))), epochMs);
  const epoch = first[0]?.epoch ?? 0;
  t.ok(first.every((topology) => topology.epoch === epoch));
  const switched = nodes.map(
    (node) => new Promise<Topology>((resolve) => node.onTopology((topology) => resolve(topology))),
  );
  for (const topology of await clock.settle(Promise.all(switched), epochMs)) {
    t.equal(topology.epoch, epoch + 1);
    t.ok(
      topology.nodes.every((entry) => entry.sphinxKey(epochNumber(epoch + 2)) !== undefined),
      'with keys for one more epoch',
    );
  }
});

t.test('a node without the join token is refused and told so', async (t) => {
  const directory = await (await authority(t, systemClock)).start();
  for (const [token, line] of [
    [undefined, /a join token is needed/],
    [joinTokenOf(2), /token-unknown: the authority knows no such join token/],
  ] as const) {
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (fields: object) => warnings.push(JSON.stringify(fields)), child: () => log };
    const client = new DirectoryClient({ network: directory.network, components: { ...parts(systemClock), log } });
    t.teardown(() => client.stop());
    client.announce((epochs) => draft('gateway', epochs), keys(3).seed, token);
    while (!warnings.some((warning) => line.test(warning))) await new Promise((resolve) => setTimeout(resolve, 5));
    t.notOk(client.announced);
  }
});

t.test('hostile requests are answered and change nothing', async (t) => {
  // Time that stands still refills no rate, however slow the machine.
  const directory = await (await authority(t, { ...systemClock, nowMs: () => monotonic(0) })).start();
  const post = (body: string) => fetch(`${directory.url}/descriptor`, { method: 'POST', body });
  t.equal((await post('')).status, 400);
  t.equal((await post('{"payload":"{}","signatures":[]}')).status, 400);
  t.equal((await post('x'.repeat(SERVER_LIMITS.bodyBytes + 1))).status, 413);
  t.equal((await post('x'.repeat(1_000_000))).status, 413);
  t.equal((await fetch(`${directory.url}/descriptor`)).status, 405);
  t.equal((await fetch(`${directory.url}/consensus`, { method: 'DELETE' })).status, 405);
  t.equal((await fetch(`${directory.url}/consensus`)).status, 404);
  t.equal((await fetch(`${directory.url}/consensus/1`)).status, 404);
  t.equal((await fetch(`${directory.url}/consensus/..%2f..%2fidentity.pem`)).status, 404);
  const statuses = [];
  for (let i = 0; i < 220; i++) statuses.push((await post('{}')).status);
  t.ok(statuses.includes(429), 'announcements are limited per address');
  t.equal((await fetch(`${directory.url}/descriptors`)).status, 200, 'reading is not');
});

t.test('network.json is checked against the configuration', async (t) => {
  const { start, stop, config, dir } = await authority(t, systemClock, { epochSeconds: 60, networkName: 'mine' });
  await start();
  await stop();
  const text = await readFile(join(dir, 'network.json'), 'utf8');
  t.match(JSON.parse(text), { name: 'mine', epochSeconds: 60, payloadBytes: 2048, threshold: 1 });
  await t.rejects(startDirectory({ ...config, epochSeconds: 120 }, parts(systemClock)), {
    code: 'CONFIG',
    message: /epochSeconds is 120, but the network was made with 60/,
  });
  const other = await tempDir(t);
  await saveIdentity(other, await createIdentity(systemRng));
  const stranger = { ...config, dir: other, networkFile: join(dir, 'network.json') };
  await t.rejects(startDirectory(stranger, parts(systemClock)), {
    code: 'CONFIG',
    message: /does not list this authority/,
  });
});

t.test('a half request does not hold the server', async (t) => {
  const directory = await (await authority(t, systemClock)).start();
  const socket = connect(Number(new URL(directory.url).port), '127.0.0.1');
  socket.write('POST /descriptor HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"half":');
  await new Promise((resolve) => socket.once('connect', resolve));
  t.equal((await fetch(`${directory.url}/descriptors`)).status, 200);
  socket.destroy();
  t.equal((await fetch(`${directory.url}/descriptors`)).status, 200);
});
