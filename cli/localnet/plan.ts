/**
 * What a local network consists of: which nodes, in which folders, on which ports, with which configuration. Ports are
 * fixed before the first start, so that a node started again by hand is where the others look for it.
 * @module
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { IdentityHex } from '../../lib/bytes.ts';
import type { RoleName } from '../roles.ts';
import type { LocalnetConfig } from './config.ts';

export const HOST = '127.0.0.1';

/** A node before it has keys and ports. */
export interface NodeSlot {
  readonly role: RoleName;
  readonly name: string;
  readonly layer: 1 | 2 | 3 | undefined;
}

/** Where a node listens. Requesters have metrics only; the proxy's first port is SOCKS, its second the status page. */
export interface NodePorts {
  readonly listen: number;
  readonly metrics: number;
}

/** A node that can be started. */
export interface PlannedNode extends NodeSlot {
  readonly dir: string;
  readonly ports: NodePorts;
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

/** The command line that runs a node; everything else is in its config file. */
export function argvOf(role: RoleName, dir: string): string[] {
  return [process.execPath, fileURLToPath(new URL('../main.js', import.meta.url)), role, '--dir', dir];
}

/** The config file of a node. */
export function configOf(node: Omit<PlannedNode, 'argv'>, config: LocalnetConfig, joinToken: string): object {
  const common = { name: node.name, logLevel: config.logLevel, crypto: config.crypto };
  const fault = node.fault === undefined ? {} : { fault: node.fault };
  const listen = `${HOST}:${node.ports.listen}`;
  const metricsListen = `${HOST}:${node.ports.metrics}`;
  const networkFile = join('..', 'network.json');
  switch (node.role) {
    case 'directory':
      return { ...common, networkFile, listen, metricsListen, joinToken, ...networkOf(config) };
    case 'mixnode':
      return { ...common, networkFile, listen, metricsListen, joinToken, layer: node.layer, ...fault };
    case 'gateway':
      return { ...common, networkFile, listen, metricsListen, joinToken, ...fault };
    case 'requester':
      return { ...common, networkFile, metricsListen, joinToken, allowPrivate: config.allowPrivate };
    case 'proxy': {
      const { allowPrivate, downlink } = config;
      return { ...common, networkFile, socksListen: listen, statusListen: metricsListen, allowPrivate, downlink };
    }
  }
}

/** What the directory puts into the consensus. */
function networkOf(config: LocalnetConfig): object {
  return {
    epochSeconds: config.epochS,
    payloadBytes: config.packetSize,
    meanDelayMs: config.meanDelayMs,
    mainRate: config.rate,
    replyRate: config.replyRate,
    minMixesPerLayer: config.mixesPerLayer,
    minGateways: config.gateways,
    minRequesters: config.requesters,
  };
}
