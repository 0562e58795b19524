/** Cables are pulled, and connections crawl, stand and break. */
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../support/localnet.ts';
import { PATIENCE_MS } from '../role.ts';
import { type Scene, untilMoreComes } from '../world.ts';

const AWAY_MS = 20_000;
/** Hosts that lose their link at the same time. Packets go around the mix and the gateway; from a proxy there is no other way. */
const LOSSES = [['mix-3-2', 'proxy-1'], ['gateway-1']];

export const lostLinks: Scene = async (t, world) => {
  const { network, traffic } = world;
  for (const names of LOSSES) {
    const hosts = names.map((name) => network.role(name).host);
    for (const host of hosts) host.setLink('down');
    await sleep(AWAY_MS); // how long it lasts is the fault itself: nothing is expected by its end
    for (const host of hosts) host.setLink('up');
    await untilMoreComes(world);
    await network.untilReady(...names);
    t.same(traffic.broken(), [], `no stream broke while ${names.join(' and ')} had no link`);
  }
};

const DELAY_MS = 150;
const STALL_MS = 5_000;

/** What lies before one mix and one gateway. */
export const badLinks: Scene = async (t, world) => {
  const { network, traffic } = world;
  const { relays } = network;
  for (const relay of relays) relay.delayMs = DELAY_MS;
  await untilMoreComes(world);
  t.same(traffic.broken(), [], 'no stream broke with late bytes');

  for (const relay of relays) relay.stands = true;
  await sleep(STALL_MS);
  for (const relay of relays) relay.stands = false;
  await untilMoreComes(world);
  t.same(traffic.broken(), [], 'no stream broke with connections that stood still');

  const counts = relays.map((relay) => relay.count());
  for (const relay of relays) relay.reset();
  await until('others dial again', PATIENCE_MS, () => relays.every((relay, i) => relay.count() > (counts[i] ?? 0)));
  for (const relay of relays) relay.delayMs = 0;
  await untilMoreComes(world);
  t.same(traffic.broken(), [], 'no stream broke with connections that were reset');
};
