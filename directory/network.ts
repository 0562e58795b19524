/**
 * The authority's side of network.json: checks the one it is given, or makes one for a network of its own.
 * @module
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { IdentityHex } from '../lib/core/bytes.ts';
import { MixError } from '../lib/core/errors.ts';
import {
  DEFAULT_PARAMS,
  defaultDeliveryRate,
  defaultNodeLoopRate,
  minDeliveryRate,
  type NetworkParams,
  type TrafficClass,
} from '../lib/core/params.ts';
import {
  perSessionParam,
  type SessionParams,
  sessionContradiction,
  sessionOptionName,
} from '../lib/core/session-params.ts';
import { loadNetworkFile, type NetworkFile, parseNetworkFile } from '../lib/directory/index.ts';
import { joinHostPort, parseListen } from '../lib/net/address.ts';
import type { DirectoryConfig } from './config.ts';

/** Where the file is. */
export function networkPath(config: DirectoryConfig): string {
  return config.networkFile ?? join(config.dir, 'network.json');
}

/** The network in the file; undefined when there is no file yet. Throws when it is not this authority's. */
export async function existingNetwork(config: DirectoryConfig, id: IdentityHex): Promise<NetworkFile | undefined> {
  const path = networkPath(config);
  const there = await stat(path).then(
    () => true,
    () => false,
  );
  if (!there) return undefined;
  const network = await loadNetworkFile(path);
  if (!network.authorities.some((authority) => authority.id === id)) {
    throw new MixError('CONFIG', `${path}: does not list this authority (${id})`);
  }
  const { threshold, authorities } = network;
  if (2 * threshold <= authorities.length) {
    const most = `with ${threshold} of ${authorities.length} signatures there could be two networks`;
    throw new MixError('CONFIG', `${path}: threshold: ${most}; more than half of the authorities must sign`);
  }
  requireSame(path, 'epochSeconds', config.epochSeconds, network.epochSeconds);
  requireSame(path, 'payloadBytes', config.payloadBytes, network.payloadBytes);
  return network;
}

function requireSame(path: string, key: string, wanted: number | undefined, fixed: number): void {
  if (wanted === undefined || wanted === fixed) return;
  throw new MixError('CONFIG', `${key} is ${wanted}, but the network was made with ${fixed} (${path})`);
}

/** A network of this one authority. */
export function newNetwork(config: DirectoryConfig, id: IdentityHex, url: string): NetworkFile {
  return parseNetworkFile(
    JSON.stringify({
      name: config.networkName,
      epochSeconds: config.epochSeconds ?? DEFAULT_PARAMS.epochMs / 1000,
      payloadBytes: config.payloadBytes ?? DEFAULT_PARAMS.payloadBytes,
      authorities: [{ id, url }],
      threshold: 1,
    }),
  );
}

/** Where to listen: with port 0, where network.json says we are, so that members find us after a restart. */
export function listenAddress(config: DirectoryConfig, network: NetworkFile | undefined, id: IdentityHex): string {
  const { host, port } = parseListen(config.listen);
  const own = network?.authorities.find((authority) => authority.id === id);
  if (port !== 0 || own === undefined || config.advertise !== undefined) return config.listen;
  return joinHostPort(host, Number(new URL(own.url).port));
}

/** The URL under which others reach the API. */
export function publicUrl(config: DirectoryConfig, port: number): string {
  if (config.advertise !== undefined) return config.advertise.replace(/\/+$/, '');
  const { host } = parseListen(config.listen);
  if (host === '0.0.0.0' || host === '::') {
    throw new MixError(
      'CONFIG',
      `advertise is needed with listen ${config.listen}: the URL under which others reach us`,
    );
  }
  return `http://${joinHostPort(host, port)}`;
}

type Rates = Omit<TrafficClass, 'deliveryRate'>;

/** A class with its delivery rate: the one configured under `option`, or the default. */
function withDelivery(
  rates: Rates,
  option: 'deliveryRate' | 'fastDeliveryRate',
  config: DirectoryConfig,
): TrafficClass {
  const deliveryRate = config[option] ?? defaultDeliveryRate(rates);
  const least = Number(minDeliveryRate(rates).toFixed(6));
  if (deliveryRate >= least) return { ...rates, deliveryRate };
  throw new MixError(
    'CONFIG',
    `${option} is ${deliveryRate}: packets would wait without end; set it to ${least} or more`,
  );
}

/** The parameters of sessions; throws CONFIG when they contradict each other. */
function sessionParams(config: DirectoryConfig): SessionParams {
  const params = perSessionParam((name) => config[sessionOptionName(name)]);
  const contradiction = sessionContradiction(params, sessionOptionName);
  if (contradiction !== undefined) throw new MixError('CONFIG', contradiction);
  return params;
}

/** The parameters that the consensus carries. Throws MixError CONFIG when they do not fit together. */
export function networkParams(config: DirectoryConfig, network: NetworkFile): NetworkParams {
  if (config.clients === 'invited' && config.openToAll) {
    const why = 'gateways let in every exit that is listed, and with openToAll anybody can have one listed';
    throw new MixError('CONFIG', `clients is invited and openToAll is set: ${why}; use join tokens`);
  }
  const { meanDelayMs, maxDelayMs, minCapacity, mixingTarget, clients } = config;
  const { mainRate, replyRate, loopRate, dropRate } = config;
  const { fastMainRate, fastReplyRate, fastLoopRate, fastDropRate } = config;
  const fast = { mainRate: fastMainRate, replyRate: fastReplyRate, loopRate: fastLoopRate, dropRate: fastDropRate };
  return {
    ...{ meanDelayMs, maxDelayMs, minCapacity, mixingTarget, clients },
    payloadBytes: network.payloadBytes,
    epochMs: network.epochSeconds * 1000,
    nodeLoopRate: config.nodeLoopRate ?? defaultNodeLoopRate(network.payloadBytes),
    classes: {
      standard: withDelivery({ mainRate, replyRate, loopRate, dropRate }, 'deliveryRate', config),
      fast: withDelivery(fast, 'fastDeliveryRate', config),
    },
    session: sessionParams(config),
  };
}
