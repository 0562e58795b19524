/**
 * The machine's limit: one X25519 scalar multiplication of the native backend. An unwrap needs two of them whatever the
 * program around it does, so times in this unit compare between machines, and on one machine from day to day.
 * @module
 */
import { systemRng } from '../../lib/core/rng.ts';
import { type Crypto, createCrypto } from '../../lib/crypto/index.ts';
import { type Case, type Effort, measure } from './cpu-time.ts';

export const LIMIT = 'limit.scalarmult';

/** A scalar multiplication with the fastest library that this machine loads. */
export function limitCase(crypto: Pick<Crypto, 'x25519' | 'x25519Base'> = createCrypto('fastest')): Case {
  const secret = systemRng.bytes(32);
  const point = crypto.x25519Base(systemRng.bytes(32));
  return { name: LIMIT, run: () => crypto.x25519(secret, point) };
}

/** Microseconds of processor time that a scalar multiplication takes now. */
export function limitMicroseconds(effort: Effort): number {
  return measure([limitCase()], effort).get(LIMIT) as number;
}
