/** Every node is restarted in turn, as for an upgrade: by SIGTERM, and the next one when it is ready again. */
import type { Test } from 'tap';
import type { RoleName } from '../../../cli/roles.ts';
import { type Scene, untilMoreComes, type World } from '../world.ts';

/** No stream breaks, and none is refused: what is opened meanwhile waits. */
async function restartAll(t: Test, world: World, role: RoleName): Promise<void> {
  const { network, traffic } = world;
  for (const name of network.names(role)) {
    const node = network.role(name);
    await node.stop();
    await node.start();
    await node.untilReady();
  }
  await untilMoreComes(world);
  t.same(traffic.broken(), [], `no stream broke with a ${role}`);
}

export const authoritiesRestart: Scene = (t, world) => restartAll(t, world, 'directory');

/** In the order of docs/HOSTING.md. */
export const nodesRestart: Scene = async (t, world) => {
  await restartAll(t, world, 'mixnode');
  await restartAll(t, world, 'gateway');
};
