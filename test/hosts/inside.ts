/**
 * The hosts and what is tried on them, in a network namespace of its own (hosts.test.ts). One network for all scenes: each begins with what
 * the one before left, which is in order again.
 * @module
 */
import t from 'tap';
import { fetchThrough, type Scheme } from './downloads.ts';
import { HostedNetwork } from './hosted-network.ts';
import { Lan } from './lan.ts';
import { NAMES, startSite } from './site.ts';

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
      const exit = network.role(proxy.replace('proxy', 'exit')).host.address(family);
      t.match(site.visitors.get(family), new RegExp(`${exit}$`), 'the site sees the exit');
    }
  }
});
