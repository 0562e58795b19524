/**
 * What the tests of the front share: one network whose proxy has several listeners, sites, and a name server that the exit asks.
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { noteDestination } from '../../support/destinations.ts';
import { startDns, type TestDns } from '../../support/dns.ts';
import type { RowListener } from '../../support/front-row-tools.ts';
import { FEWER_PACKETS, TestNetwork, until } from '../../support/localnet.ts';
import { curl, startWeb, type TestWeb } from '../../support/web.ts';

export const HELLO = 'hello through the mixnet\n';
/** A site by the name that only the exit's name server knows. */
export const SITE = 'site.example';
export const SITE6 = 'six.example';
/** An address that no hosts file knows, and its name. */
export const [PTR_ADDRESS, PTR_NAME] = ['10.101.102.103', 'ten.example'];
export const DEAD_NAME = 'no-such-name.invalid';

export interface FrontNetwork {
  readonly network: TestNetwork;
  readonly web: TestWeb;
  /** A site on the IPv6 loopback. */
  readonly web6Port: number;
  readonly dns: TestDns;
  /** Where each further listener of the proxy is. */
  readonly listeners: Readonly<Record<RowListener, number>>;
  /** Its unix socket. */
  readonly path: string;
  /** The requester's exit policy. */
  readonly policyFile: string;
}

export async function startFrontNetwork(t: Test): Promise<FrontNetwork> {
  const [web, web6Port] = [await startWeb(t), await startWeb6(t)];
  const dns = await startDns(t, { [SITE]: ['127.0.0.1'], [SITE6]: ['::1'], [PTR_NAME]: [PTR_ADDRESS] });
  noteDestination(DEAD_NAME, PTR_ADDRESS, '93.184.216.34', 'alice', 'secret', 'carol');
  const folder = mkdtempSync(join(tmpdir(), 'mixsocks-front-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  // How much is mixed, and for how long, makes no difference here; half the mixes make half the load.
  const network = await TestNetwork.start(t, ['--mixes-per-layer', '1', '--mean-delay-ms', '10', ...FEWER_PACKETS]);
  const policyFile = join(folder, 'policy');
  writeFileSync(policyFile, '');
  const path = join(folder, 'socks');
  const [listeners] = await Promise.all([
    restartProxy(t, network, path),
    network.reconfigure('requester-1', { nameServers: [dns.place], exitPolicyFile: policyFile }),
  ]);
  const works = async () => (await curl(network.socks, [`${web.url}/`], 10)).code === 0;
  await until('the proxy has found its requester again', 60_000, works);
  return { network, web, web6Port, dns, listeners, path, policyFile };
}

/** Begins the proxy anew, with a listener of each kind beside its own and a unix socket at `path`. */
async function restartProxy(t: Test, network: TestNetwork, path: string): Promise<FrontNetwork['listeners']> {
  const any = '127.0.0.1:0';
  const options = ['', '+allow-private=no', '+safe-socks', '+extended-errors'];
  const listens = [network.socks, ...options.map((option) => any + option), `unix:${path}`];
  const [, ...args] = network.node('proxy-1').argv;
  await network.kill('proxy-1', 'SIGTERM');
  const flags = listens.flatMap((listen) => ['--socks-listen', listen]);
  const output = await network.run('proxy-1', [...args, ...flags]);
  const [, places = ''] = /^listening (.*), status (.*)$/m.exec(output) ?? [];
  const ports = places.split(', ').map((one) => Number(one.split(':')[1]));
  t.equal(ports.length, listens.length, 'it says where every listener is');
  const [, plain = 0, strict = 0, safe = 0, extended = 0] = ports;
  return { plain, strict, safe, extended };
}

async function startWeb6(t: Test): Promise<number> {
  const server = createServer({ keepAliveTimeout: 0 }, (_request, response) => response.end(HELLO));
  await new Promise<void>((resolve) => server.listen(0, '::1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  noteDestination(port);
  return port;
}
