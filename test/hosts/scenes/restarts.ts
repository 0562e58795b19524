/** Every node is restarted in turn, as for an upgrade: by SIGTERM, and the next one when it is ready again. */
import type { RoleName } from '../../../cli/roles.ts';
import type { HostedRole } from '../role.ts';
import { type Scene, untilMoreComes } from '../world.ts';

async function restart(role: HostedRole): Promise<void> {
  await role.stop();
  await role.start();
  await role.untilReady();
}

/**
 * In the order of docs/HOSTING.md. Streams that are open live, but for those whose end is restarted: the connection to a site is the exit's,
 * that of an application the proxy's. While a gateway is away, or was a moment ago, an exit may be out of reach: new streams are refused.
 */
export const rollingRestart: Scene = async (t, world) => {
  const { network, traffic } = world;
  const proxies = network.names('proxy');
  const restartAll = async (role: RoleName) => {
    for (const name of network.names(role)) await restart(network.role(name));
    await untilMoreComes(world);
  };
  for (const role of ['directory', 'mixnode'] as const) {
    await restartAll(role);
    t.same(traffic.broken(), [], `no stream broke with a ${role}`);
  }
  await traffic.excuse(proxies, 'opening', () => restartAll('gateway'));
  t.same(traffic.broken(), [], 'no stream broke with a gateway');
  for (const role of ['requester', 'proxy'] as const) {
    for (const name of network.names(role)) {
      await traffic.excuse([name.replace('exit', 'proxy')], 'streams', async () => {
        await restart(network.role(name));
        await untilMoreComes(world);
      });
    }
    t.same(traffic.broken(), [], `no stream broke but those of the ${role} itself`);
  }
};
