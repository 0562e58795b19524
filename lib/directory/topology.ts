/**
 * A consensus as the packet path wants it: nodes by layer and role, found by address, identity or prefix.
 * @module
 */
import { type AddressKey, addressKeyOf, type IdentityHex } from '../bytes.ts';
import type { NetworkParams } from '../params.ts';
import type { Consensus, NodeRecord, NodeRole } from './documents.ts';
import { isLossy } from './ring.ts';

export type MixLayer = 1 | 2 | 3;

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
  readonly family?: string;
  /** Of requesters only: the gateway whose client it is. */
  readonly gateway?: IdentityHex;
  readonly exitPolicy?: string;
  readonly accessTokenRequired?: boolean;
  /** Marked by the consensus: clients keep their routes off it. */
  readonly lossy?: true;
  /** Its Sphinx key for `epoch`, 32 bytes; undefined if it has not announced one. */
  sphinxKey(epoch: number): Uint8Array | undefined;
}

/** Bytes of an identity that name it in a compact reply block. */
export const PREFIX_BYTES = 8;

export class Topology {
  readonly epoch: number;
  readonly params: NetworkParams;
  /** From this time on the consensus is in force. */
  readonly validAfterMs: number;
  /** From this time on it must not be used. */
  readonly validUntilMs: number;
  /** Mixes of layer 1, 2 and 3, at index 0, 1 and 2. */
  readonly layers: readonly (readonly NodeEntry[])[];
  readonly gateways: readonly NodeEntry[];
  /** `layers` and `gateways` without the nodes that the consensus marks as lossy: those that clients use. */
  readonly soundLayers: readonly (readonly NodeEntry[])[];
  readonly soundGateways: readonly NodeEntry[];
  readonly requesters: readonly NodeEntry[];
  /** All nodes, in the order of the consensus (by identity). */
  readonly nodes: readonly NodeEntry[];
  readonly #byAddress: ReadonlyMap<AddressKey, NodeEntry>;
  readonly #byPrefix: ReadonlyMap<string, NodeEntry>;

  constructor(consensus: Consensus) {
    this.epoch = consensus.epoch;
    this.params = consensus.params;
    this.validAfterMs = consensus.validAfterMs;
    this.validUntilMs = consensus.validUntilMs;
    this.nodes = consensus.nodes.map((record) => new Entry(record));
    const mixes = this.nodes.filter((node) => node.role === 'mixnode');
    this.layers = [1, 2, 3].map((layer) => mixes.filter((node) => node.layer === layer));
    this.gateways = this.nodes.filter((node) => node.role === 'gateway');
    this.soundLayers = this.layers.map((layer) => layer.filter((node) => !isLossy(node)));
    this.soundGateways = this.gateways.filter((node) => !isLossy(node));
    this.requesters = this.nodes.filter((node) => node.role === 'requester');
    this.#byAddress = new Map(this.nodes.map((node) => [node.addressKey, node]));
    this.#byPrefix = new Map(this.nodes.map((node) => [node.addressKey.slice(0, PREFIX_BYTES), node]));
  }

  byAddress(address: AddressKey): NodeEntry | undefined {
    return this.#byAddress.get(address);
  }

  byId(id: IdentityHex): NodeEntry | undefined {
    return this.#byAddress.get(addressKeyOf(id));
  }

  /** The node whose identity starts with the 8 bytes in `prefix` (latin-1). The authorities refuse collisions. */
  byPrefix(prefix: string): NodeEntry | undefined {
    return this.#byPrefix.get(prefix);
  }
}

class Entry implements NodeEntry {
  readonly id: IdentityHex;
  readonly address: Uint8Array;
  readonly addressKey: AddressKey;
  readonly role: NodeRole;
  readonly layer?: MixLayer;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly family?: string;
  readonly gateway?: IdentityHex;
  readonly exitPolicy?: string;
  readonly accessTokenRequired?: boolean;
  readonly lossy?: true;
  readonly #keys: ReadonlyMap<number, Uint8Array>;

  constructor(record: NodeRecord) {
    this.id = record.identity;
    this.address = new Uint8Array(Buffer.from(record.identity, 'hex'));
    this.addressKey = addressKeyOf(record.identity);
    this.role = record.role;
    this.name = record.name;
    this.host = record.role === 'requester' ? '' : record.host;
    this.port = record.role === 'requester' ? 0 : record.port;
    if (record.family !== undefined) this.family = record.family;
    if (record.role === 'mixnode') this.layer = record.layer;
    if (isLossy(record)) this.lossy = true;
    if (record.role === 'requester') {
      this.gateway = record.gateway;
      if (record.exitPolicy !== undefined) this.exitPolicy = record.exitPolicy;
      if (record.accessTokenRequired !== undefined) this.accessTokenRequired = record.accessTokenRequired;
    }
    this.#keys = new Map(record.sphinxKeys.map(({ epoch, key }) => [epoch, new Uint8Array(Buffer.from(key, 'hex'))]));
  }

  sphinxKey(epoch: number): Uint8Array | undefined {
    return this.#keys.get(epoch);
  }
}
