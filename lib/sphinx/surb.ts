/**
 * Single-use reply blocks as bytes: `header 348 | address of the first hop 32 | payload seeds`. Version 260 carries one
 * seed, the last hop's, so that who replies learns no key by which it could know its reply again on the way; 259 carries
 * every hop's.
 * @module
 */
import { concatBytes } from '../core/bytes.ts';
import { MixError } from '../core/errors.ts';
import { ADDRESS_BYTES, HEADER_BYTES, MAX_HOPS, SEED_BYTES } from './constants.ts';

const SEEDS_OFFSET = HEADER_BYTES + ADDRESS_BYTES;
/** A reply block of version 260. */
export const SURB_BYTES = SEEDS_OFFSET + SEED_BYTES;

/** Bytes of an identity that name a node within one network: the directory refuses collisions. */
const PREFIX_BYTES = 8;
/** A reply block whose first hop is named by the prefix of its identity: what travels in sessions. */
export const COMPACT_SURB_BYTES = HEADER_BYTES + PREFIX_BYTES + SEED_BYTES;

export interface SurbParts {
  readonly header: Uint8Array;
  readonly firstHop: Uint8Array;
  /** One or more payload seeds, route order. */
  readonly seeds: Uint8Array;
}

export function encodeSurb(parts: SurbParts): Uint8Array {
  return concatBytes(parts.header, parts.firstHop, parts.seeds);
}

/** The parts of a reply block, as views. Throws MixError MALFORMED on a length that none has. */
export function decodeSurb(surb: Uint8Array): SurbParts {
  const seedBytes = surb.byteLength - SEEDS_OFFSET;
  if (seedBytes < SEED_BYTES || seedBytes > MAX_HOPS * SEED_BYTES || seedBytes % SEED_BYTES !== 0) {
    throw new MixError('MALFORMED', `a reply block of ${surb.byteLength} bytes`);
  }
  return {
    header: surb.subarray(0, HEADER_BYTES),
    firstHop: surb.subarray(HEADER_BYTES, SEEDS_OFFSET),
    seeds: surb.subarray(SEEDS_OFFSET),
  };
}

/** 396 bytes become 372: five of them fit into a payload of 2048. Throws MixError MALFORMED on another length. */
export function compactSurb(surb: Uint8Array): Uint8Array {
  if (surb.byteLength !== SURB_BYTES) throw new MixError('MALFORMED', `a reply block of ${surb.byteLength} bytes`);
  return concatBytes(surb.subarray(0, HEADER_BYTES + PREFIX_BYTES), surb.subarray(SEEDS_OFFSET));
}

/** The prefix that names the first hop. */
export function surbPrefix(compact: Uint8Array): Uint8Array {
  return compact.subarray(HEADER_BYTES, HEADER_BYTES + PREFIX_BYTES);
}

/** The inverse of `compactSurb`; undefined on a wrong length, or when `resolvePrefix` knows no node of that prefix. */
export function expandSurb(
  compact: Uint8Array,
  resolvePrefix: (prefix8: Uint8Array) => Uint8Array | undefined,
): Uint8Array | undefined {
  if (compact.byteLength !== COMPACT_SURB_BYTES) return undefined;
  const firstHop = resolvePrefix(surbPrefix(compact));
  if (firstHop === undefined) return undefined;
  return encodeSurb({
    header: compact.subarray(0, HEADER_BYTES),
    firstHop,
    seeds: compact.subarray(HEADER_BYTES + PREFIX_BYTES),
  });
}
