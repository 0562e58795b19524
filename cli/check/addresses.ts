/**
 * Addresses: those that others are to reach this node at, and those that it has to reach.
 * @module
 */
import { lookup } from 'node:dns/promises';
import { isIP, isIPv6 } from 'node:net';
import {
  authorityHost,
  hostsOf,
  type NetworkFile,
  type NodeEntry,
  nodesAhead,
  type Topology,
} from '../../lib/directory/index.ts';
import type { HostPort } from '../../lib/net/address.ts';
import { parseAddress } from '../../lib/net/address-policy.ts';
import { advertisedAddresses } from '../../lib/node/advertise.ts';
import { describeAddress } from '../../proxy/front/listener.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import type { Machine } from './machine.ts';
import type { Subject } from './subject.ts';

/** Neighbours that are dialled. */
const MAX_DIALLED = 8;

/** Names in network.json have addresses. */
export async function checkNames({ authorities }: NetworkFile): Promise<Finding[]> {
  const hosts = new Set(authorities.map(authorityHost));
  const found = await Promise.all(
    [...hosts].filter((host) => isIP(host) === 0).map((host) => checkName(host, 'network.json')),
  );
  return found;
}

async function checkName(host: string, where: string): Promise<Finding> {
  try {
    const answers = await lookup(host, { all: true });
    return ok('addresses', `${host} is ${answers.map(({ address }) => address).join(', ')}`);
  } catch {
    return problem(
      'addresses',
      `${host} has no address: check its spelling in ${where}, and the name servers of this machine`,
    );
  }
}

/** Where others dial this node or authority. */
export async function checkAdvertised(subject: Subject, machine: Machine): Promise<Finding[]> {
  const { role, config, holder } = subject;
  if (role === 'directory' || config.listen === undefined) return [];
  const { at } = advertisedAddresses({ ...config, listen: [config.listen].flat() }, []);
  return (await Promise.all(at.map((one) => checkAddress(one, holder !== undefined, machine)))).flat();
}

async function checkAddress({ host, port }: HostPort, isRunning: boolean, machine: Machine): Promise<Finding[]> {
  const findings = [isIP(host) === 0 ? await checkName(host, 'advertise') : scopeOf(host)];
  if (!isRunning || port === 0) return findings;
  const address = { kind: 'tcp', host, port, loopback: false } as const;
  if (await machine.isReachable(address)) return findings;
  const line = `${describeAddress(address)} cannot be reached from this machine, which may be so behind translation: try it from another one, and see to its firewall`;
  return [...findings, warning('addresses', line)];
}

function scopeOf(host: string): Finding {
  const family = isIPv6(host) ? 'IPv6' : 'IPv4';
  const scope = parseAddress(host)?.scope;
  if (scope === 'public') return ok('addresses', `advertised at ${host} (${family})`);
  const who = host.startsWith('127.') || host === '::1' ? 'this machine' : 'its own network';
  return warning(
    'addresses',
    `advertised at ${host} (${family}), which only ${who} can reach: give --advertise for others`,
  );
}

/** Whom this node dials, by the consensus. A proxy dials its guards alone, and a check must not show it at other gateways. */
function dialled({ role, config, identity }: Subject, topology: Topology): readonly NodeEntry[] {
  switch (role) {
    case 'mixnode': {
      const layer = config.layer ?? (identity && topology.byId(identity.id)?.layer);
      return layer === undefined ? [] : nodesAhead(topology, layer, 1);
    }
    case 'gateway':
      return nodesAhead(topology, 'gateway', 1);
    case 'requester':
      return topology.gateways;
    default:
      return [];
  }
}

/** Whether this machine has the address families of its neighbours, and gets through to them. */
export async function checkNeighbours(subject: Subject, topology: Topology, machine: Machine): Promise<Finding[]> {
  const neighbours = dialled(subject, topology).filter(({ id }) => id !== subject.identity?.id);
  if (neighbours.length === 0) return [];
  const own = machine.addresses();
  const isOwn = (host: string) => own.some((address) => isIPv6(address) === isIPv6(host));
  const lacking = neighbours.filter((node) => !hostsOf(node).some(isOwn));
  const findings = lacking.length === 0 ? [] : [lacksFamily(lacking)];
  const tried = neighbours.filter((node) => !lacking.includes(node)).slice(0, MAX_DIALLED);
  const reached = await Promise.all(
    tried.map(async ({ host, port, ipv6 }) => {
      const places = [{ host, port }, ...(ipv6 === undefined ? [] : [ipv6])].filter((one) => isOwn(one.host));
      const answers = places.map((one) => machine.isReachable({ kind: 'tcp', ...one, loopback: false }));
      return (await Promise.all(answers)).includes(true);
    }),
  );
  const missed = tried.filter((_, index) => reached[index] !== true);
  return tried.length === 0 ? findings : [...findings, reachability(tried, missed)];
}

function lacksFamily([first, ...rest]: readonly NodeEntry[]): Finding {
  const family = isIPv6(first?.host ?? '') ? 'IPv6' : 'IPv4';
  const whom = `${first?.name}${rest.length === 0 ? '' : ` and ${rest.length} more`}`;
  return problem('addresses', `this machine has no ${family} address, and sends to ${whom} by ${family}: give it one`);
}

function reachability(tried: readonly NodeEntry[], missed: readonly NodeEntry[]): Finding {
  const names = missed.map(({ name }) => name).join(', ');
  if (missed.length === 0) return ok('addresses', `reaches ${tried.length} of ${tried.length} neighbours`);
  if (missed.length < tried.length) return warning('addresses', `cannot reach ${names}: ask who runs them`);
  return problem('addresses', `cannot reach any neighbour (${names}): see to the firewall for outgoing connections`);
}
