/**
 * A consensus as the packet path wants it: nodes by layer and role, found by address, identity or prefix.
 * @module
 */

import { type AddressKey, addressKeyOf, type IdentityHex } from '../core/bytes.ts';
import type { NetworkParams } from '../core/params.ts';
import type { EpochNumber, UnixMs } from '../core/units.ts';
import type { VersionRange } from '../core/version-range.ts';
import type { HostPort } from '../net/address.ts';
import type { Consensus, NodeRecord, NodeRole } from './documents.ts';
import { isLossy } from './ring.ts';

export type MixLayer = 1 | 2 | 3;

/** Where a node stands in the ring in which packets flow: layers 1, 2 and 3, gateways, and (for loops of nodes) layer 1 again. */
export type RingPosition = MixLayer | 'gateway';

/** One node of the network. */
export interface NodeEntry {
  readonly id: IdentityHex;
  /** The 32 bytes of `id`: the node's address in a Sphinx header. */
  readonly address: Uint8Array;
  readonly addressKey: AddressKey;
  readonly role: NodeRole;
  /** Of mixes only. */
  readonly layer?: MixLayer;
  readonly name: string;
  /** Where it listens; empty and 0 for a requester, which nobody dials. */
  readonly host: string;
  readonly port: number;
  /** Where it listens besides, over IPv6; `host` is an IPv4 address then. */
  readonly ipv6?: HostPort;
  readonly family?: string;
  /** Of requesters only: the gateways whose client it is, one or two. */
  readonly gateways?: readonly IdentityHex[];
  readonly exitPolicy?: string;
  readonly accessTokenRequired?: boolean;
  /** Of requesters: those of sessions that it speaks; absent where it does not say. */
  readonly sessionVersions?: VersionRange;
  /** Marked by the consensus: clients keep their routes off it. */
  readonly lossy?: true;
  /** Of mixes and gateways: the share of packets that it says it sheds, per cent; absent when none. */
  readonly shed?: number;
  /** Of gateways: clients of class standard, or what makes as many packets, that it may admit; absent: the consensus does not say. */
  readonly maxClients?: number;
  /** Of gateways: lets in invited clients only, whatever the network's own rule. */
  readonly clients?: 'invited';
  /** Its Sphinx key for `epoch`, 32 bytes; undefined if it has not announced one. */
  sphinxKey(epoch: EpochNumber): Uint8Array | undefined;
}

/** Bytes of an identity that name it in a compact reply block. */
export const PREFIX_BYTES = 8;

export class Topology {
  readonly epoch: EpochNumber;
  readonly params: NetworkParams;
  /** From this time on the consensus is in force. */
  readonly validAfterMs: UnixMs;
  /** From this time on it must not be used. */
  readonly validUntilMs: UnixMs;
  /** Mixes of layer 1, 2 and 3, at index 0, 1 and 2. */
  readonly layers: readonly (readonly NodeEntry[])[];
  readonly gateways: readonly NodeEntry[];
  /** `layers` and `gateways` without the nodes that the consensus marks as lossy: those that clients use. */
  readonly soundLayers: readonly (readonly NodeEntry[])[];
  readonly soundGateways: readonly NodeEntry[];
  readonly requesters: readonly NodeEntry[];
  /** All nodes, in the order of the consensus (by identity). */
  readonly nodes: readonly NodeEntry[];
  readonly #byId: ReadonlyMap<IdentityHex, NodeEntry>;
  readonly #byPrefix: ReadonlyMap<string, NodeEntry>;

  constructor(consensus: Consensus) {
    this.epoch = consensus.epoch;
    this.params = consensus.params;
    this.validAfterMs = consensus.validAfterMs;
    this.validUntilMs = consensus.validUntilMs;
    this.nodes = consensus.nodes.map((record) => entryOf(record));
    const mixes = this.nodes.filter((node) => node.role === 'mixnode');
    this.layers = [1, 2, 3].map((layer) => mixes.filter((node) => node.layer === layer));
    this.gateways = this.nodes.filter((node) => node.role === 'gateway');
    this.soundLayers = this.layers.map((layer) => layer.filter((node) => !isLossy(node)));
    this.soundGateways = this.gateways.filter((node) => !isLossy(node));
    this.requesters = this.nodes.filter((node) => node.role === 'requester');
    this.#byId = new Map(this.nodes.map((node) => [node.id, node]));
    this.#byPrefix = new Map(this.nodes.map((node) => [node.addressKey.slice(0, PREFIX_BYTES), node]));
  }

  byId(id: IdentityHex): NodeEntry | undefined {
    return this.#byId.get(id);
  }

  /** The node whose identity starts with the 8 bytes in `prefix` (latin-1). The authorities refuse collisions. */
  byPrefix(prefix: string): NodeEntry | undefined {
    return this.#byPrefix.get(prefix);
  }
}

function entryOf({ identity, sphinxKeys, ...fields }: NodeRecord): NodeEntry {
  const keys = new Map(sphinxKeys.map(({ epoch, key }) => [epoch, new Uint8Array(Buffer.from(key, 'hex'))]));
  return {
    host: '',
    port: 0,
    ...fields,
    id: identity,
    address: new Uint8Array(Buffer.from(identity, 'hex')),
    addressKey: addressKeyOf(identity),
    sphinxKey: (epoch) => keys.get(epoch),
  };
}

/** What may say where it listens: nodes do, requesters do not. */
type MayListen = ({ readonly role: NodeRole; readonly host?: string } | { readonly host: string }) & {
  readonly ipv6?: { readonly host: string };
};

/** The addresses that a node names, one or two; none of a requester. */
export function hostsOf({ host, ipv6 }: MayListen): string[] {
  return [host, ipv6?.host].flatMap((one) => one || []);
}

/** The nodes `steps` further in the ring than `position`; -1 is the step back. */
export function nodesAhead(
  { layers, gateways }: Pick<Topology, 'layers' | 'gateways'>,
  position: RingPosition,
  steps: number,
): readonly NodeEntry[] {
  const ring = [...layers, gateways];
  const index = position === 'gateway' ? layers.length : position - 1;
  return ring[(index + steps + ring.length) % ring.length] ?? [];
}

/** In how many stages (layers, and gateways) half of the nodes or more say that they shed packets: one liar of two or three is none. */
export function stagesThatShed({ layers, gateways }: Pick<Topology, 'layers' | 'gateways'>): number {
  const least = (size: number) => (size === 1 ? 1 : Math.max(2, size / 2));
  return [...layers, gateways].filter((stage) => stage.filter(({ shed = 0 }) => shed > 0).length >= least(stage.length))
    .length;
}
