/** Cables are pulled, and connections stand, crawl and break. */
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../support/localnet.ts';
import { PATIENCE_MS } from '../role.ts';
import { type Scene, untilMoreComes } from '../world.ts';

const AWAY_MS = 20_000;

/** Others go around a mix and a gateway without a link. To a proxy or an exit there is no other way, but what it had begun goes on. */
export const lostLinks: Scene = async (t, world) => {
  const { network, traffic } = world;
  const lose = async (name: string) => {
    const { host } = network.role(name);
    host.setLink('down');
    await sleep(AWAY_MS);
    host.setLink('up');
    await untilMoreComes(world);
    t.same(traffic.broken(), [], `no stream broke while ${name} had no link`);
  };
  for (const name of ['mix-3-2', 'gateway-1']) await lose(name);
  for (const name of ['proxy-1', 'exit-2'])
    await traffic.excuse([name.replace('exit', 'proxy')], 'opening', () => lose(name));
  await network.untilReady('mix-3-2', 'gateway-1', 'proxy-1', 'exit-2');
};

const DELAY_MS = 150;
const STALL_MS = 5_000;

export const badLinks: Scene = async (t, world) => {
  const { traffic, relays } = world;
  for (const relay of relays) relay.delayMs = DELAY_MS;
  await untilMoreComes(world);
  for (const relay of relays) {
    relay.stands = true;
    await sleep(STALL_MS);
    relay.stands = false;
    await untilMoreComes(world);
  }
  for (const relay of relays) {
    const before = relay.count();
    relay.reset();
    await until('others dial again', PATIENCE_MS, () => relay.count() > before);
    relay.delayMs = 0;
  }
  await untilMoreComes(world);
  t.same(traffic.broken(), [], 'no stream broke');
};
