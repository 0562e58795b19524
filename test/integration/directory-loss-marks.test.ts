/** An authority, mixes and a gateway in this process: a mix that drops half is marked in the next consensus. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { DirectoryConfig, startDirectory } from '../../directory/index.ts';
import { GatewayConfig, startGateway } from '../../gateway/index.ts';
import { RouteDrawer } from '../../lib/client/index.ts';
import { type Clock, systemClock } from '../../lib/clock.ts';
import type { Components } from '../../lib/components.ts';
import { DirectoryClient, type Topology } from '../../lib/directory/index.ts';
import { createIdentity, saveIdentity } from '../../lib/link/index.ts';
import { silentLog } from '../../lib/log.ts';
import { Metrics } from '../../lib/metrics.ts';
import { systemRng } from '../../lib/rng.ts';
import { MixnodeConfig, startMixnode } from '../../mixnode/index.ts';
import { crypto } from '../support/directory-network.ts';

const EPOCH_MS = 60_000;
/** Time goes by so many times as fast: half a minute of loops in three seconds. */
const SPEED = 10;
const startedMs = performance.now();
/** The first epoch turns 58 s after the start. */
const offsetMs = 1_000 * EPOCH_MS + 2_000;

const clock: Clock = {
  grainMs: SPEED,
  nowMs: () => SPEED * performance.now(),
  wallMs: () => offsetMs + SPEED * (performance.now() - startedMs),
  after: (delayMs, fire) => systemClock.after(delayMs / SPEED, fire),
  soon: (fire) => systemClock.soon(fire),
};
const parts = (): Components => ({ clock, rng: systemRng, crypto, log: silentLog, metrics: new Metrics() });

// The clock's timers do not keep a process alive.
const alive = setInterval(() => {}, 1_000);
t.teardown(() => clearInterval(alive));

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
      nodeLoopRate: 12,
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
    t.teardown(() => node.stop());
  }
  const gateway = await startGateway(GatewayConfig.parse(await options('gateway-1')), parts());
  t.teardown(() => gateway.stop());

  const client = new DirectoryClient({ network: directory.network, components: parts() });
  t.teardown(() => client.stop());
  await client.start();
  const first = await client.waitForTopology(60_000);
  t.strictSame(namesOf(first.soundLayers[1]), ['mix-2-1', 'mix-2-2', 'mix-2-3'], 'without reports all are healthy');
  // At the next turn; on a machine so busy that there are too few loops by then, at the one after it.
  const next = await new Promise<Topology>((resolve) => {
    client.onTopology((topology) => {
      if (topology.nodes.some(({ lossy }) => lossy)) resolve(topology);
    });
  });
  t.strictSame(namesOf(next.layers[1]), ['mix-2-1', 'mix-2-2', 'mix-2-3'], 'it stays in the network');
  t.strictSame(namesOf(next.soundLayers[1]), ['mix-2-2', 'mix-2-3']);
  t.strictSame(
    next.nodes.filter(({ lossy }) => lossy).map(({ name }) => name),
    ['mix-2-1'],
  );
  const drawer = new RouteDrawer(systemRng);
  for (let i = 0; i < 200; i++) {
    const route = drawer.draw(next, [], 'out') ?? [];
    if (route.some(({ node }) => node.name === 'mix-2-1')) t.fail('a route crosses it');
  }
});

function namesOf(nodes: readonly { readonly name: string }[] = []): string[] {
  return nodes.map(({ name }) => name).sort();
}
