/** An authority, mixes and a gateway in this process: a mix that drops half is marked in the next consensus. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { DirectoryConfig, startDirectory } from '../../directory/index.ts';
import { GatewayConfig, startGateway } from '../../gateway/index.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { DirectoryClient } from '../../lib/directory/index.ts';
import { RouteDrawer } from '../../lib/endpoint/index.ts';
import { createIdentity, saveIdentity } from '../../lib/link/index.ts';
import type { Components } from '../../lib/runtime/components.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { MixnodeConfig, startMixnode } from '../../mixnode/index.ts';
import { PacedClock } from '../support/paced-clock.ts';
import { crypto } from '../support/signed-documents.ts';

const EPOCH_MS = 60_000;
/** The first epoch turns so long after the start. */
const BEFORE_TURN_MS = 30_000;
/** The marks come with the first turn; the one after it is for nodes that started late. */
const MAX_MS = 2 * EPOCH_MS;
/** Loops per second of each node: until the turn enough for a verdict in every layer. */
const LOOP_RATE = 15;

const clock = new PacedClock(1_000 * EPOCH_MS - BEFORE_TURN_MS);
const parts = (): Components => ({ clock, rng: systemRng, crypto, log: silentLog, metrics: new Metrics() });

t.test('a mix that drops half is marked, and clients keep off it', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'mixsocks-marks-'));
  t.teardown(() => rm(home, { recursive: true, force: true }));
  const folder = async (name: string) => {
    await saveIdentity(join(home, name), await createIdentity(systemRng));
    return join(home, name);
  };
  const directory = await startDirectory(
    DirectoryConfig.parse({
      dir: await folder('directory-1'),
      openToAll: true,
      epochSeconds: EPOCH_MS / 1000,
      nodeLoopRate: LOOP_RATE,
      minMixesPerLayer: 1,
      minGateways: 1,
      minRequesters: 0,
    }),
    parts(),
  );
  t.teardown(() => directory.stop());
  const options = async (name: string) => ({ dir: await folder(name), networkFile: directory.networkFile, name });
  for (const [name, layer, fault] of [
    ['mix-2-1', 2, { fault: 'drop=0.5' }],
    ['mix-2-2', 2, {}],
    ['mix-2-3', 2, {}],
    ['mix-3-1', 3, {}],
    ['mix-1-1', 1, {}],
  ] as const) {
    const node = await startMixnode(MixnodeConfig.parse({ ...(await options(name)), layer, ...fault }), parts());
    t.teardown(() => clock.settle(node.stop(), EPOCH_MS)); // packets that wait leave first
  }
  const gateway = await startGateway(GatewayConfig.parse(await options('gateway-1')), parts());
  t.teardown(() => clock.settle(gateway.stop(), EPOCH_MS));

  const client = new DirectoryClient({ network: directory.network, components: parts() });
  t.teardown(() => client.stop());
  await client.start();
  const first = await clock.settle(client.waitForTopology(60_000), MAX_MS);
  t.strictSame(namesOf(first.soundLayers[1]), ['mix-2-1', 'mix-2-2', 'mix-2-3'], 'without reports all are healthy');
  let next = first;
  client.onTopology((topology) => {
    next = topology;
  });
  await clock.until(() => next.nodes.some(({ lossy }) => lossy), MAX_MS);
  t.strictSame(namesOf(next.layers[1]), ['mix-2-1', 'mix-2-2', 'mix-2-3'], 'it stays in the network');
  t.strictSame(namesOf(next.soundLayers[1]), ['mix-2-2', 'mix-2-3']);
  t.strictSame(
    next.nodes.filter(({ lossy }) => lossy).map(({ name }) => name),
    ['mix-2-1'],
  );
  const drawer = new RouteDrawer(systemRng);
  const routes = Array.from({ length: 200 }, () => drawer.draw(next, [], 'forward') ?? []);
  t.notOk(
    routes.some((route) => route.some(({ node }) => node.name === 'mix-2-1')),
    'no route crosses it',
  );
});

function namesOf(nodes: readonly { readonly name: string }[] = []): string[] {
  return nodes.map(({ name }) => name).sort();
}
