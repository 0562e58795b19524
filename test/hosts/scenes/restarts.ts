/** Every node is restarted in turn, as for an upgrade: by SIGTERM, and the next one when it is ready again. */
import type { Test } from 'tap';
import type { RoleName } from '../../../cli/roles.ts';
import { until } from '../../support/localnet.ts';
import { type HostedRole, PATIENCE_MS } from '../role.ts';
import { type Scene, untilMoreComes, type World } from '../world.ts';

/** No stream breaks, and none is refused: what is opened meanwhile waits, or goes elsewhere. */
async function restartAll(
  t: Test,
  world: World,
  role: RoleName,
  stop = (node: HostedRole): Promise<void> => node.stop(),
): Promise<void> {
  const { network, traffic } = world;
  for (const name of network.names(role)) {
    const node = network.role(name);
    await stop(node);
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
  await restartAll(t, world, 'requester', (exit) => drain(t, world, exit));
};

/** The exit ends with its last stream; new ones are at the other meanwhile. */
async function drain(t: Test, world: World, exit: HostedRole): Promise<void> {
  const { site, network } = world;
  const own = [exit.host.address(4), exit.host.address(6)];
  const isNewestOwn = () => [...site.visitors.values()].some((visitor) => own.includes(visitor));
  const held = () => site.paced().filter((visitor) => own.includes(visitor)).length;
  await until(
    'each proxy has a paced stream',
    PATIENCE_MS,
    () => site.paced().length === network.names('proxy').length,
  );
  const before = held();
  const drained = exit.drain();
  await until(`new streams go to another exit than ${exit.name}`, PATIENCE_MS, () => !isNewestOwn());
  await untilMoreComes(world);
  t.notOk(isNewestOwn(), `${exit.name} gets no new stream`);
  t.equal(held(), before, `its ${before} slow ones go on`);
  if (before > 0) t.notOk(exit.isGone, 'and it waits for them');
  site.endPaced();
  await drained;
}
