/**
 * The payload: `16 zero bytes, message, 01, zeros`, under one Lioness layer per hop. The zero prefix is its only integrity
 * check; it holds because a change anywhere scrambles the whole block.
 * @module
 */

import { MixError } from '../core/errors.ts';
import type { Crypto } from '../crypto/index.ts';
import { HEADER_BYTES, MIN_PAYLOAD_BYTES, PADDING_BYTES, SEED_BYTES, ZERO_PREFIX_BYTES } from './constants.ts';
import { payloadKey } from './keys.ts';
import { lionessEncrypt } from './lioness.ts';

const MARKER = 1;

/** Writes the padded message into `payload`. */
export function padInto(payload: Uint8Array, message: Uint8Array): void {
  const end = ZERO_PREFIX_BYTES + message.byteLength;
  payload.fill(0, 0, ZERO_PREFIX_BYTES);
  payload.set(message, ZERO_PREFIX_BYTES);
  payload[end] = MARKER;
  payload.fill(0, end + 1);
}

/** The message inside a padded payload (a view), or undefined when the zero prefix or the marker is missing. */
export function unpad(payload: Uint8Array): Uint8Array | undefined {
  if (payload.byteLength < PADDING_BYTES) return undefined;
  let prefix = 0;
  for (let i = 0; i < ZERO_PREFIX_BYTES; i++) prefix |= payload[i]!;
  const end = payload.lastIndexOf(MARKER);
  return prefix === 0 && end >= ZERO_PREFIX_BYTES ? payload.subarray(ZERO_PREFIX_BYTES, end) : undefined;
}

/** Adds a layer for each 16-byte seed of `seeds` from the one that ends at `endOffset` back to the first. */
export function addLayers(crypto: Crypto, seeds: Uint8Array, endOffset: number, payload: Uint8Array): void {
  for (let end = endOffset; end > 0; end -= SEED_BYTES) {
    lionessEncrypt(crypto, payloadKey(crypto, seeds.subarray(end - SEED_BYTES, end)), payload);
  }
}

/** A packet of `header` and `message`, with a layer per seed, the first hop's outermost. */
export function sealPacket(
  crypto: Crypto,
  header: Uint8Array,
  seeds: Uint8Array,
  message: Uint8Array,
  payloadBytes: number,
): Uint8Array {
  if (!Number.isInteger(payloadBytes) || payloadBytes < MIN_PAYLOAD_BYTES || message.byteLength > payloadBytes) {
    throw new MixError('INTERNAL', `sphinx: ${message.byteLength} bytes of message in a payload of ${payloadBytes}`);
  }
  const packet = new Uint8Array(HEADER_BYTES + PADDING_BYTES + payloadBytes);
  packet.set(header);
  const payload = packet.subarray(HEADER_BYTES);
  padInto(payload, message);
  addLayers(crypto, seeds, seeds.byteLength, payload);
  return packet;
}
