/**
 * A network namespace for tests that count packets: loopback, and an interface with a default route behind which nobody is.
 * Whatever a program sends to anywhere but loopback leaves there and is counted.
 * @module
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** An address of nobody behind the interface: of a name server, of a STUN server. */
export const NOBODY = '10.99.0.1';
const NOBODY_6 = 'fd99::1';
const NOBODY_MAC = '02:00:00:00:00:01';
const QUIET_MS = 2000;

/** The command that runs the rest of a command line in a network of its own. */
export const IN_NAMESPACE = ['unshare', '--net', '--mount', '--'] as const;

/** Whether this process may make one; why not, otherwise. */
export function namespaceObstacle(): string | undefined {
  if (process.platform !== 'linux') return 'not Linux';
  if (process.getuid?.() !== 0) return 'not root';
  const make = 'ip link add v0 type veth peer name v1 && mount --bind /etc/hostname /etc/hostname';
  const [command, ...args] = [...IN_NAMESPACE, 'sh', '-c', make];
  return spawnSync(command as string, args, { stdio: 'ignore' }).status === 0 ? undefined : 'no namespaces here';
}

/** Gives the namespace of this process its network. To be called once, inside. */
export async function makeNetwork(): Promise<void> {
  const ip = (text: string) => execFileSync('ip', text.split(' '));
  const ipv6 = (name: string, key: string, value: string) =>
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/${key}`, value);
  ip('link set lo up');
  ip('link add v0 type veth peer name v1');
  // No packets of the kernel's own: no solicitations, no checks for duplicates, no address of the link.
  for (const key of ['accept_dad', 'router_solicitations', 'autoconf', 'accept_ra']) ipv6('v0', key, '0');
  ipv6('v0', 'addr_gen_mode', '1');
  for (const version of ['mldv1', 'mldv2']) ipv6('v0', `${version}_unsolicited_report_interval`, '10');
  ipv6('v1', 'disable_ipv6', '1');
  for (const name of ['v1', 'v0']) ip(`link set ${name} up`);
  ip('addr add 10.99.0.2/24 dev v0');
  ip('-6 addr add fd99::2/64 dev v0 nodad');
  for (const address of [NOBODY, NOBODY_6]) ip(`neigh replace ${address} lladdr ${NOBODY_MAC} dev v0 nud permanent`);
  ip(`route add default via ${NOBODY}`);
  ip(`-6 route add default via ${NOBODY_6} dev v0`);
  const servers = join(mkdtempSync(join(tmpdir(), 'namespace-')), 'resolv.conf');
  writeFileSync(servers, `nameserver ${NOBODY}\n`);
  execFileSync('mount', ['--bind', servers, '/etc/resolv.conf']);
  await untilQuiet();
}

/** The kernel tells its neighbours of the groups that it has joined. */
async function untilQuiet(): Promise<void> {
  for (let before = -1; before !== counts().packets; ) {
    before = counts().packets;
    await sleep(QUIET_MS);
  }
}

export interface Counts {
  /** Packets that left loopback. */
  readonly packets: number;
  /** Datagrams that anybody here sent, over loopback too. */
  readonly datagrams: number;
  /** TCP connections that anybody here began, over loopback too. */
  readonly connections: number;
}

/** What the kernel has counted in this namespace. */
export function counts(): Counts {
  const v0 = /^\s*v0:(.*)$/m.exec(readFileSync('/proc/net/dev', 'utf8'))?.[1] ?? '';
  return {
    packets: Number(v0.trim().split(/\s+/)[9]),
    datagrams: snmp('Udp', 'OutDatagrams') + Number(/Udp6OutDatagrams\s+(\d+)/.exec(snmp6())?.[1]),
    connections: snmp('Tcp', 'ActiveOpens'),
  };
}

const snmp6 = () => readFileSync('/proc/net/snmp6', 'utf8');

function snmp(protocol: string, field: string): number {
  const lines = readFileSync('/proc/net/snmp', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`${protocol}:`));
  const [names = [], values = []] = lines.map((line) => line.split(' '));
  return Number(values[names.indexOf(field)]);
}

export function since(start: Counts): Counts {
  const now = counts();
  return {
    packets: now.packets - start.packets,
    datagrams: now.datagrams - start.datagrams,
    connections: now.connections - start.connections,
  };
}
