/**
 * The hosts and what is tried on them, in a network namespace of its own (hosts.test.ts). One network for all scenes: each begins with what
 * the one before left, which is in order again. `HOSTS_SCENES=away,named` runs only these after the first.
 * @module
 */
import t from 'tap';
import { until } from '../support/localnet.ts';
import { fetchThrough, type Scheme, Traffic } from './downloads.ts';
import { HostedNetwork } from './hosted-network.ts';
import { Lan } from './lan.ts';
import { authorityAway, authorityLies, liarIsNamed } from './scenes/authorities.ts';
import { badLinks, lostLinks } from './scenes/links.ts';
import { authoritiesRestart, nodesRestart } from './scenes/restarts.ts';
import { NAMES, startSite } from './site.ts';
import { epochNow, type Scene, type World } from './world.ts';

/** The liar comes when no other authority has to be away, and lies while nodes and links have their faults. */
const SCENES: Readonly<Record<string, readonly [string, Scene]>> = {
  away: ['with one authority of four away nodes join, die, and are expelled', authorityAway],
  authorities: ['every authority is restarted in turn', authoritiesRestart],
  liar: ['one authority of four lies', authorityLies],
  restarts: ['every node is restarted in turn', nodesRestart],
  links: ['hosts lose their link for a while', lostLinks],
  relays: ['connections are slow, stand still, and are reset', badLinks],
  named: ['the lies change nothing, and the liar is named', liarIsNamed],
};
const TURNS = 10;
const TURNS_MS = 600_000;
const wanted = process.env.HOSTS_SCENES?.split(',');

t.setTimeout(0);
const lan = new Lan();
const site = await startSite(t, lan);
const home = process.env.HOSTS_HOME ?? t.testdir();
const network = await HostedNetwork.start(t, lan, home, site.nameServer);

t.test('curl reaches a site over IPv4 and IPv6, through both ways into the proxy', async (t) => {
  for (const [i, proxy] of network.names('proxy').entries()) {
    for (const family of [4, 6] as const) {
      const scheme: Scheme = (i + family / 2) % 2 === 0 ? 'socks5h' : 'http';
      const { fault } = await fetchThrough(network.role(proxy), site, '/bytes/20000?first', { family, scheme });
      t.equal(fault, '', `${proxy}, ${scheme}, ${NAMES[family]}`);
      const exits = network.names('requester').map((name) => network.role(name).host.address(family));
      t.ok(exits.includes(site.visitors.get(family) ?? ''), 'the site sees an exit');
    }
  }
});

t.test('streams live through all that happens to the network', async (t) => {
  const proxies = network.names('proxy').map((name) => network.role(name));
  const first = epochNow();
  const traffic = new Traffic(site, proxies);
  const world: World = { site, network, traffic, liesFromEpoch: first };
  for (const [name, [title, scene]] of Object.entries(SCENES)) {
    if (wanted === undefined || wanted.includes(name)) await t.test(title, (t) => scene(t, world));
  }
  if (wanted === undefined) await until(`${TURNS} turns`, TURNS_MS, () => epochNow() >= first + TURNS);
  await traffic.finish();
  t.same(traffic.broken(), [], `no stream broke in ${epochNow() - first} turns`);
  for (const { name } of proxies) t.ok(traffic.whole(name) > 0, `${name}: ${traffic.whole(name)} streams`);
});
