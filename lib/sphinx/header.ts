/**
 * Making headers. `alpha 32 | gamma 16 | beta 300`: alpha is the point from which a hop derives its keys, gamma the MAC of
 * beta, and beta holds the routing blocks, each hop's inside those of the hops before it.
 * @module
 */
import { concatBytes } from '../core/bytes.ts';
import { MixError } from '../core/errors.ts';
import type { Rng } from '../core/rng.ts';
import type { Crypto } from '../crypto/index.ts';
import {
  ADDRESS_BYTES,
  BETA_BYTES,
  BETA_OFFSET,
  DELAY_BYTES,
  FINAL_BLOCK_BYTES,
  FLAG_FINAL,
  FLAG_FORWARD,
  FORWARD_BLOCK_BYTES,
  GAMMA_OFFSET,
  HEADER_BYTES,
  IDENTIFIER_BYTES,
  MAC_BYTES,
  MAX_HOPS,
  POINT_BYTES,
  SEED_BYTES,
  STEP_BYTES,
  STREAM_BYTES,
} from './constants.ts';
import { macKeyOf, payloadSeedOf, routeKeys, streamKeyOf } from './keys.ts';
import type { SphinxHop, SphinxVersion } from './types.ts';

const WORD_BYTES = 4;

/** A finished header and the payload seeds of its hops in route order. */
export interface SealedHeader {
  readonly header: Uint8Array;
  readonly seeds: Uint8Array;
}

/** A hop that passes the packet on. */
interface ForwardHop {
  readonly keys: Uint8Array;
  readonly nextAddress: Uint8Array;
  readonly delayNs: number | bigint;
}

/** Fills the first `headBytes` of the last hop's beta (filler follows) and returns the gamma that goes with it. */
type Innermost = (beta: Uint8Array, headBytes: number) => Uint8Array;

/** The MAC over beta that stands in the header as gamma. */
export function headerMac(crypto: Crypto, hopKeys: Uint8Array, beta: Uint8Array): Uint8Array {
  return crypto.hmacSha256(macKeyOf(hopKeys), beta).subarray(0, MAC_BYTES);
}

/** A header for a route whose hops all derive their keys from alpha. */
export function forwardHeader(
  crypto: Crypto,
  rng: Rng,
  route: readonly SphinxHop[],
  version: SphinxVersion,
  destination: Uint8Array,
  identifier: Uint8Array,
): SealedHeader {
  expectRoute(route, 1, MAX_HOPS);
  expectLength('destination', destination, ADDRESS_BYTES);
  expectLength('identifier', identifier, IDENTIFIER_BYTES);
  const { alpha, keys } = startRoute(crypto, rng, route);
  const lastKeys = keys.at(-1)!;
  const hops = route.slice(1).map((next, i) => forwardHop(keys[i]!, route[i]!, next.address));
  const header = buildHeader(crypto, alpha, hops, version, (beta, headBytes) => {
    const head = beta.subarray(0, headBytes);
    writeBlockStart(head, FLAG_FINAL, version, destination);
    head.set(identifier, FINAL_BLOCK_BYTES - IDENTIFIER_BYTES);
    rng.fill(head.subarray(FINAL_BLOCK_BYTES));
    xorInto(head, crypto.aes128CtrKeystream(streamKeyOf(lastKeys), STREAM_BYTES), 0);
    return headerMac(crypto, lastKeys, beta);
  });
  return { header, seeds: concatBytes(...keys.map(payloadSeedOf)) };
}

/**
 * A header whose last hop is its creator, who knows the packet again by gamma and reads nothing else of it. What stands
 * there would be a block under keys that nobody but the creator could compute, and its MAC: to everyone else random bytes.
 * So they are random bytes, and the last hop costs neither a multiplication nor a key derivation.
 */
export function ownHeader(
  crypto: Crypto,
  rng: Rng,
  route: readonly SphinxHop[],
  ownAddress: Uint8Array,
  version: SphinxVersion,
): SealedHeader & { readonly gamma: Uint8Array } {
  expectRoute(route, 0, MAX_HOPS - 1);
  expectLength('own address', ownAddress, ADDRESS_BYTES);
  const { alpha, keys } = startRoute(crypto, rng, route);
  const hops = route.map((hop, i) => forwardHop(keys[i]!, hop, route[i + 1]?.address ?? ownAddress));
  const gamma = rng.bytes(MAC_BYTES);
  const header = buildHeader(crypto, alpha, hops, version, (beta, headBytes) => {
    rng.fill(beta.subarray(0, headBytes));
    return gamma;
  });
  return { header, gamma, seeds: concatBytes(...keys.map(payloadSeedOf), rng.bytes(SEED_BYTES)) };
}

function startRoute(
  crypto: Crypto,
  rng: Rng,
  route: readonly SphinxHop[],
): { readonly alpha: Uint8Array; readonly keys: Uint8Array[] } {
  const secret = rng.bytes(POINT_BYTES);
  const publicKeys = route.map((hop) => hop.publicKey);
  return { alpha: crypto.x25519Base(secret), keys: routeKeys(crypto, secret, publicKeys) };
}

function forwardHop(keys: Uint8Array, hop: SphinxHop, nextAddress: Uint8Array): ForwardHop {
  return { keys, nextAddress, delayNs: hop.delayNs };
}

/** Lays the forward hops' layers around the innermost one, last hop first. */
function buildHeader(
  crypto: Crypto,
  alpha: Uint8Array,
  hops: readonly ForwardHop[],
  version: SphinxVersion,
  innermost: Innermost,
): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const beta = header.subarray(BETA_OFFSET);
  const streams = hops.map((hop) => crypto.aes128CtrKeystream(streamKeyOf(hop.keys), STREAM_BYTES));
  const headBytes = BETA_BYTES - hops.length * STEP_BYTES;
  fillFiller(beta.subarray(headBytes), streams);
  let gamma = innermost(beta, headBytes);
  for (let i = hops.length - 1; i >= 0; i--) {
    const hop = hops[i]!;
    beta.copyWithin(STEP_BYTES, 0, BETA_BYTES - STEP_BYTES);
    writeBlockStart(beta, FLAG_FORWARD, version, hop.nextAddress);
    writeDelay(beta, FORWARD_BLOCK_BYTES - DELAY_BYTES, hop.delayNs);
    beta.set(gamma, FORWARD_BLOCK_BYTES);
    xorInto(beta, streams[i]!, 0);
    gamma = headerMac(crypto, hop.keys, beta);
  }
  header.set(alpha);
  header.set(gamma, GAMMA_OFFSET);
  return header;
}

/**
 * What the hops before the last will have made of the zeros that each of them appends: the tail of the last hop's beta.
 * The sender must know it, since every MAC covers all of beta.
 */
function fillFiller(filler: Uint8Array, streams: readonly Uint8Array[]): void {
  for (const [i, stream] of streams.entries()) {
    const length = (i + 1) * STEP_BYTES;
    xorInto(filler.subarray(0, length), stream, STREAM_BYTES - length);
  }
}

function writeBlockStart(block: Uint8Array, flag: number, version: SphinxVersion, address: Uint8Array): void {
  block[0] = flag;
  block[1] = 0;
  block[2] = version >> 8;
  block[3] = version & 0xff;
  block.set(address, 4);
}

/** Whole nanoseconds, 64 bits, big-endian. */
function writeDelay(block: Uint8Array, offset: number, delayNs: number | bigint): void {
  const whole = typeof delayNs === 'bigint' ? delayNs : Math.round(delayNs);
  if (!(whole >= 0 && whole < 2 ** 64)) throw new MixError('INTERNAL', `sphinx: a delay of ${delayNs} ns`);
  const high = typeof whole === 'bigint' ? Number(whole >> 32n) : Math.floor(whole / 2 ** 32);
  const low = typeof whole === 'bigint' ? Number(whole & 0xffff_ffffn) : whole % 2 ** 32;
  const view = new DataView(block.buffer, block.byteOffset + offset, DELAY_BYTES);
  view.setUint32(0, high);
  view.setUint32(4, low);
}

/** XORs `target` with as many bytes of `stream` from `offset` on; four at a time where both lie at words. */
export function xorInto(target: Uint8Array, stream: Uint8Array, offset: number): void {
  const { length } = target; // read once: as a loop condition it makes the loop 12 times as slow
  const from = stream.byteOffset + offset;
  const count = (target.byteOffset | from) % WORD_BYTES === 0 ? Math.floor(length / WORD_BYTES) : 0;
  const words = new Uint32Array(target.buffer, count > 0 ? target.byteOffset : 0, count);
  const others = new Uint32Array(stream.buffer, count > 0 ? from : 0, count);
  for (let i = 0; i < count; i++) words[i] = words[i]! ^ others[i]!;
  for (let i = count * WORD_BYTES; i < length; i++) target[i] = target[i]! ^ stream[offset + i]!;
}

function expectRoute(route: readonly SphinxHop[], least: number, most: number): void {
  if (route.length < least || route.length > most) {
    throw new MixError('INTERNAL', `sphinx: a route of ${route.length} hops, not ${least} to ${most}`);
  }
  for (const hop of route) {
    expectLength('address', hop.address, ADDRESS_BYTES);
    expectLength('public key', hop.publicKey, POINT_BYTES);
  }
}

/** Throws MixError INTERNAL: a wrong length here is our own defect, never the network's. */
export function expectLength(what: string, bytes: Uint8Array, lengthBytes: number): void {
  if (bytes.byteLength !== lengthBytes) {
    throw new MixError('INTERNAL', `sphinx: ${what} of ${bytes.byteLength} bytes, not ${lengthBytes}`);
  }
}
