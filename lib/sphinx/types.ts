/**
 * What goes into and comes out of `lib/sphinx`.
 * @module
 */
import type { Branded } from '../core/bytes.ts';

/** One hop of a route, in the order of travel. */
export interface SphinxHop {
  /** Identity of the node: the 32 address bytes that the hop before it reads. */
  readonly address: Uint8Array;
  /** The node's X25519 Sphinx key for the epoch. */
  readonly publicKey: Uint8Array;
  /** How long this hop holds the packet; of the last hop it is not encoded. */
  readonly delayNs: number | bigint;
}

/** Wire versions that this library can write and read. The network speaks 260 only; 259 exists for the vectors. */
export type SphinxVersion = 259 | 260;

export interface PacketRequest {
  /** 1 to 5 hops. */
  readonly route: readonly SphinxHop[];
  /** 32 bytes that the last hop reads: its own identity. */
  readonly destination: Uint8Array;
  /** 16 bytes that the last hop reads: random, not all zero. */
  readonly identifier: Uint8Array;
  /** At most `payloadBytes` long. */
  readonly message: Uint8Array;
  /** Plaintext bytes of every packet of the network; the packet is 365 bytes longer. */
  readonly payloadBytes: number;
  readonly version?: SphinxVersion;
}

export interface SurbRequest {
  /** The hops before the creator, 0 to 4 of them. */
  readonly route: readonly SphinxHop[];
  /** The creator: last hop of its own reply block. */
  readonly self: { readonly address: Uint8Array };
}

export interface LoopRequest extends SurbRequest {
  readonly message: Uint8Array;
  readonly payloadBytes: number;
}

/** The 16 gamma bytes of a packet as a latin-1 string: the map key by which a creator knows its own packet again. */
export type GammaKey = Branded<string, 'GammaKey'>;

/** What the creator of a reply block or loop keeps until the packet comes back. Opaque but for `key`; use once, delete. */
export interface Recovery {
  /** MAC that stands in the header when the packet arrives at its creator. */
  readonly gamma: Uint8Array;
  /** `gamma` as a map key; compare with `gammaKeyOf(packet)`. */
  readonly key: GammaKey;
  /** 16-byte seeds of the payload keys that undo the layers on arrival, in route order, the creator's own last. */
  readonly seeds: Uint8Array;
}

/** Why a packet is dropped: a metric label. */
export type DropReason = 'length' | 'point' | 'mac' | 'version' | 'routing';

/** A header whose MAC and version held. Look `replayTag` up before `finish`. */
export interface OpenedHeader {
  readonly kind: 'forward' | 'final';
  /** 32 bytes that depend on the shared secret only: the key of the replay filter (never alpha, which is malleable). */
  readonly replayTag: Uint8Array;
  /** The hop's expanded keys: for `finish`. */
  readonly keys: Uint8Array;
  /** The decrypted routing block and the next beta: for `finish`. */
  readonly routing: Uint8Array;
}

export interface Forward {
  readonly kind: 'forward';
  readonly nextAddress: Uint8Array;
  /** As the sender wrote it; beyond 2^53 rounded. The node caps it. */
  readonly delayNs: number;
  /** The packet for the next hop: the same memory as the packet that came in. */
  readonly packet: Uint8Array;
}

export interface Final {
  readonly kind: 'final';
  readonly destination: Uint8Array;
  readonly identifier: Uint8Array;
  /** Still padded (see `unpad`); a view of the packet that came in. */
  readonly payload: Uint8Array;
}
