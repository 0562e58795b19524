/**
 * A gateway's word that it serves a requester: the requester shows it in its descriptor. Without it anybody could name a gateway that
 * knows nothing of it, and packets to the requester would end there.
 * @module
 */
import { concatBytes, fromHex, toHex } from '../core/bytes.ts';
import type { UnixMs } from '../core/units.ts';
import type { Crypto } from '../crypto/index.ts';
import type { Countersignature } from './documents.ts';
import { signedBytes } from './envelope.ts';

/** Older ones are refused: a gateway that no longer serves a requester is free of it after this time. */
export const MAX_COUNTERSIGNATURE_AGE_MS = 7 * 86_400_000;
/** When it was made, and the signature. */
export const COUNTERSIGNATURE_BYTES = 8 + 64;

/** What the gateway signs: prefix, network id, identity of the requester, time. */
function countersignedBytes(networkId: Uint8Array, requester: Uint8Array, madeMs: number): Uint8Array {
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(Math.floor(madeMs)));
  return concatBytes(signedBytes('client', ''), networkId, requester, time);
}

/** The gateway's part: 72 bytes for its answer to `requester` (32 bytes). */
export function countersign(
  networkId: Uint8Array,
  requester: Uint8Array,
  madeMs: UnixMs,
  seed: Uint8Array,
  crypto: Pick<Crypto, 'ed25519Sign'>,
): Uint8Array {
  const signed = countersignedBytes(networkId, requester, madeMs);
  const time = signed.subarray(signed.byteLength - 8);
  return concatBytes(time, crypto.ed25519Sign(seed, signed));
}

/** Reads the 72 bytes of `gateway`; undefined when the signature is not valid for `requester`. */
export function readCountersignature(
  bytes: Uint8Array,
  gateway: Countersignature['gateway'],
  networkId: Uint8Array,
  requester: Uint8Array,
  crypto: Pick<Crypto, 'ed25519Verify'>,
): Countersignature | undefined {
  if (bytes.byteLength < COUNTERSIGNATURE_BYTES) return undefined;
  const madeMs = Number(Buffer.from(bytes.subarray(0, 8)).readBigUInt64BE()) as UnixMs;
  const signature = toHex(bytes.subarray(8, COUNTERSIGNATURE_BYTES));
  const countersignature = { gateway, madeMs, signature };
  return isCountersigned(countersignature, networkId, requester, crypto) ? countersignature : undefined;
}

/** Whether the gateway has made it for `requester`. */
export function isCountersigned(
  { gateway, madeMs, signature }: Countersignature,
  networkId: Uint8Array,
  requester: Uint8Array,
  crypto: Pick<Crypto, 'ed25519Verify'>,
): boolean {
  const key = fromHex(gateway, 32);
  const raw = fromHex(signature, 64);
  if (key === undefined || raw === undefined || !Number.isSafeInteger(madeMs)) return false;
  return crypto.ed25519Verify(key, countersignedBytes(networkId, requester, madeMs), raw);
}
