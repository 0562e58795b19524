/**
 * Keys from a seed, and documents signed with them, for tests of the directory.
 * @module
 */
import { type IdentityHex, toHex } from '../../lib/core/bytes.ts';
import { DEFAULT_PARAMS, epochAt } from '../../lib/core/params.ts';
import { type Crypto, createCrypto } from '../../lib/crypto/index.ts';
import {
  type Consensus,
  type Countersignature,
  countersign,
  type Descriptor,
  type DescriptorDraft,
  DOCUMENT_VERSION,
  DocumentRefused,
  type NetworkFile,
  type NodeRecord,
  networkId,
  type Refusal,
  readCountersignature,
  signDocument,
} from '../../lib/directory/index.ts';
import { seededRng } from './seeded-rng.ts';
import { epochNumber, unix } from './units.ts';

export const crypto: Crypto = createCrypto('fastest');

/** The reason for which `act` refuses, or `accepted`. */
export function outcome(act: () => unknown): Refusal | 'accepted' {
  try {
    act();
    return 'accepted';
  } catch (error) {
    if (error instanceof DocumentRefused) return error.reason;
    throw error;
  }
}

export interface Keys {
  readonly seed: Uint8Array;
  readonly id: IdentityHex;
}

const made = new Map<number, Keys>();

/** The n-th pair of keys. */
export function keys(n: number): Keys {
  let pair = made.get(n);
  if (pair === undefined) {
    const seed = seededRng(n).bytes(32);
    pair = { seed, id: toHex(crypto.ed25519PublicKey(seed)) as IdentityHex };
    made.set(n, pair);
  }
  return pair;
}

/** A network of `authorities` (keys 1000, 1001, …) that never answer on their URLs. */
export function testNetwork(authorities = 1, threshold = 1, epochSeconds = 60): NetworkFile {
  return {
    name: 'test',
    epochSeconds,
    payloadBytes: 2048,
    authorities: Array.from({ length: authorities }, (_, i) => ({
      id: keys(1000 + i).id,
      url: `http://authority-${i}.test`,
    })),
    threshold,
  };
}

/** 32 bytes in hex that differ by `n`. */
export const key32 = (n: number): string => n.toString(16).padStart(64, '0');

export function draft(role: NodeRecord['role'], epochs: readonly number[], extra: object = {}): DescriptorDraft {
  const sphinxKeys = epochs.map((epoch) => ({ epoch: epochNumber(epoch), key: key32(epoch + 1) }));
  const base = { name: role, sphinxKeys };
  const host = { host: '127.0.0.1', port: 4000 };
  if (role === 'mixnode') return { role, layer: 1, ...host, ...base, ...extra };
  if (role === 'gateway') return { role, ...host, ...base, ...extra };
  return { role, gateways: [], ...base, ...extra };
}

/** The word of gateway `by` that it serves node `n`, given at `madeMs`. */
export function countersigned(network: NetworkFile, n: number, by = 3, madeMs: number = Date.now()): Countersignature {
  const id = networkId(network, crypto);
  const requester = Buffer.from(keys(n).id, 'hex');
  const bytes = countersign(id, requester, unix(madeMs), keys(by).seed, crypto);
  const made = readCountersignature(bytes, keys(by).id, id, requester, crypto);
  if (made === undefined) throw new Error('the countersignature is not valid');
  return made;
}

/** The descriptor of node `n` as made at `nowMs`; a requester is at gateway 3. */
export function descriptorOf(
  network: NetworkFile,
  n: number,
  node: DescriptorDraft,
  nowMs: number,
  extra: object = {},
): Descriptor {
  const stamp = {
    version: DOCUMENT_VERSION,
    network: toHex(networkId(network, crypto)),
    identity: keys(n).id,
    publishedMs: nowMs,
  };
  const gateways = node.role === 'requester' ? { gateways: [countersigned(network, n, 3, nowMs)] } : {};
  return { ...node, ...gateways, ...stamp, ...extra } as Descriptor;
}

export function signedDescriptor(n: number, descriptor: Descriptor): string {
  return signDocument('descriptor', descriptor, keys(n).seed, crypto);
}

/** Records of one mix per layer (keys 0, 1, 2), a gateway (3) and a requester (4). */
export function records(epoch: number): NodeRecord[] {
  const epochs = [epoch, epoch + 1];
  const node = (n: number, role: NodeRecord['role'], extra: object = {}) =>
    ({ identity: keys(n).id, ...draft(role, epochs, extra) }) as NodeRecord;
  return [
    node(0, 'mixnode', { name: 'mix-1-1', layer: 1 }),
    node(1, 'mixnode', { name: 'mix-2-1', layer: 2, family: 'acme' }),
    node(2, 'mixnode', { name: 'mix-3-1', layer: 3 }),
    node(3, 'gateway', { name: 'gateway-1' }),
    node(4, 'requester', {
      gateways: [keys(3).id],
      name: 'requester-1',
      exitPolicy: 'accept *:443',
      accessTokenRequired: true,
    }),
  ];
}

export function consensusOf(network: NetworkFile, epoch: number, extra: Partial<Consensus> = {}): Consensus {
  const epochMs = network.epochSeconds * 1000;
  return {
    version: DOCUMENT_VERSION,
    network: toHex(networkId(network, crypto)),
    epoch: epochNumber(epoch),
    validAfterMs: unix(epoch * epochMs),
    freshUntilMs: unix((epoch + 1) * epochMs),
    validUntilMs: unix((epoch + 2) * epochMs),
    params: {
      ...DEFAULT_PARAMS,
      epochMs,
      payloadBytes: network.payloadBytes,
      classes: { ...DEFAULT_PARAMS.classes },
      session: { ...DEFAULT_PARAMS.session },
    },
    nodes: records(epoch),
    ...extra,
  };
}

/** The consensus signed by authority 0. */
export function signedConsensus(network: NetworkFile, epoch: number, extra: Partial<Consensus> = {}): string {
  return signDocument('consensus', consensusOf(network, epoch, extra), keys(1000).seed, crypto);
}

/** The epoch at `nowMs`. */
export function epochOf(network: NetworkFile, nowMs: number): number {
  return epochAt(unix(nowMs), network.epochSeconds * 1000);
}
