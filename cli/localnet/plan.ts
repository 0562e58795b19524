/**
 * What a local network consists of: which nodes, in which folders, on which ports, with which configuration. Ports are
 * fixed before the first start, so that a node started again by hand is where the others look for it.
 * @module
 */
import { join } from 'node:path';
import { SERVER_LIMITS } from '../../directory/server.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { machineBudgetBytes } from '../../lib/runtime/process-memory.ts';
import { MAIN } from '../child-process.ts';
import type { RoleName } from '../roles.ts';
import type { NetworkRates } from './capacity.ts';
import type { LocalnetConfig } from './config.ts';
import { ratesWith } from './rates.ts';

export const HOST = '127.0.0.1';
const LEAST_BUDGET_MIB = 16;

/** A node before it has keys and ports. */
export interface NodeSlot {
  readonly role: RoleName;
  readonly name: string;
  readonly layer: 1 | 2 | 3 | undefined;
}

/** Ports of a node. Requesters have metrics only; the proxy's first port is SOCKS, its second the status page. */
export interface NodePorts {
  readonly listen: number;
  readonly metrics: number;
}

/** A node that can be started. */
export interface PlannedNode extends NodeSlot {
  readonly dir: string;
  readonly ports: NodePorts;
  /** The address of loopback that it dials from, its own where the system has others than HOST. */
  readonly address: string;
  /** Undefined for the proxy, whose identity is fresh at every start. */
  readonly identity: IdentityHex | undefined;
  /** How it harms packets, for experiments. */
  readonly fault?: string | undefined;
  readonly argv: readonly string[];
}

/** All nodes, in the order they are started and listed. */
export function slotsOf(config: LocalnetConfig): NodeSlot[] {
  const slots: NodeSlot[] = [slot('directory', 'directory-1')];
  for (const layer of [1, 2, 3] as const) {
    for (const index of upTo(config.mixesPerLayer)) slots.push(slot('mixnode', `mix-${layer}-${index}`, layer));
  }
  for (const index of upTo(config.gateways)) slots.push(slot('gateway', `gateway-${index}`));
  for (const index of upTo(config.requesters)) slots.push(slot('requester', `requester-${index}`));
  slots.push(slot('proxy', 'proxy-1'));
  return slots;
}

const slot = (role: RoleName, name: string, layer?: 1 | 2 | 3): NodeSlot => ({ role, name, layer });
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

/** Mixes and gateways listen where they dial from; SOCKS, pages and the directory are where people look for them. */
export function listenHost({ role, address }: Pick<PlannedNode, 'role' | 'address'>): string {
  return role === 'mixnode' || role === 'gateway' ? address : HOST;
}

/** The command line that runs a node; everything else is in its config file. */
export function argvOf(role: RoleName, dir: string): string[] {
  return [process.execPath, MAIN, role, '--dir', dir];
}

/** The config file of a node. `rates`: of the network, which may be lower than those of `config`. */
export function configOf(
  node: Omit<PlannedNode, 'argv'>,
  config: LocalnetConfig,
  joinToken: string,
  rates: NetworkRates = ratesWith(config),
): object {
  const { address, ports } = node;
  const memoryBudgetMiB = budgetOf(config);
  const common = { name: node.name, logLevel: config.logLevel, crypto: config.crypto, memoryBudgetMiB };
  const links = { linkKeyExchange: config.linkKeyExchange, ...(address === HOST ? {} : { outboundAddress: address }) };
  const fault = node.fault === undefined ? {} : { fault: node.fault };
  const listen = `${listenHost(node)}:${ports.listen}`;
  const metricsListen = `${HOST}:${ports.metrics}`;
  const networkFile = join('..', 'network.json');
  switch (node.role) {
    case 'directory':
      return {
        ...common,
        networkFile,
        listen,
        metricsListen,
        // Where nodes have no addresses of their own they are one source, with two connections each.
        maxConnectionsPerSource: Math.max(SERVER_LIMITS.connectionsPerSource, 3 * slotsOf(config).length),
        ...networkOf(config, rates),
      };
    case 'mixnode':
      return { ...common, ...links, networkFile, listen, metricsListen, joinToken, layer: node.layer, ...fault };
    case 'gateway':
      return { ...common, ...links, networkFile, listen, metricsListen, joinToken, ...fault };
    case 'requester':
      // Who ends `localnet` does not wait for downloads.
      return {
        ...common,
        ...links,
        ...{ networkFile, metricsListen, joinToken, allowPrivate: config.allowPrivate, drainTimeoutMs: 0 },
      };
    case 'proxy': {
      const { allowPrivate, downlink } = config;
      const pages = { socksListen: listen, statusListen: metricsListen };
      return { ...common, ...links, networkFile, ...pages, allowPrivate, downlink };
    }
  }
}

/** Of each node: together they take no more than one process of its own would. */
function budgetOf(config: LocalnetConfig): number {
  const allMiB = config.memoryBudgetMiB ?? machineBudgetBytes() / 2 ** 20;
  return Math.max(LEAST_BUDGET_MIB, Math.floor(allMiB / slotsOf(config).length));
}

/** What the directory puts into the consensus. */
function networkOf(config: LocalnetConfig, { rate, ...rates }: NetworkRates): object {
  return {
    epochSeconds: config.epochS,
    payloadBytes: config.packetSize,
    meanDelayMs: config.meanDelayMs,
    mainRate: rate,
    ...rates,
    minMixesPerLayer: config.mixesPerLayer,
    minGateways: config.gateways,
    minRequesters: config.requesters,
  };
}
