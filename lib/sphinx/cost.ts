/**
 * What Sphinx costs this machine, measured with the crypto in use.
 * @module
 */
import type { Rng } from '../core/rng.ts';
import type { Crypto } from '../crypto/index.ts';
import { Sphinx } from './sphinx.ts';
import type { OpenedHeader, SphinxHop } from './types.ts';

export interface SphinxCostOptions {
  readonly crypto: Crypto;
  readonly rng: Rng;
  readonly payloadBytes: number;
  readonly nowMs: () => number;
}

/** The fastest of so many times counts, since others were disturbed or not yet compiled. */
const MOST_TIMES = 256;
/** A slow machine is measured for so long at most. */
const MOST_MS = 100;

/** The least time that `operation` takes, tried for `mostMs` at most; 0 on a clock that stands still. */
export function leastMs(operation: () => unknown, nowMs: () => number, mostMs = MOST_MS): number {
  const beganMs = nowMs();
  let least = Number.POSITIVE_INFINITY;
  for (let times = 0; times === 0 || (times < MOST_TIMES && nowMs() - beganMs < mostMs); times++) {
    const fromMs = nowMs();
    operation();
    least = Math.min(least, nowMs() - fromMs);
  }
  return least;
}

/** The least time that a packet takes to unwrap, its header and its payload: one that goes on, or one that ends. */
export function unwrapMs(kind: OpenedHeader['kind'], options: SphinxCostOptions): number {
  return unwrapTimer(kind, options)(MOST_MS);
}

/** The same to be measured again and again, each time for `mostMs` at most. */
export function unwrapTimer(
  kind: OpenedHeader['kind'],
  { crypto, rng, payloadBytes, nowMs }: SphinxCostOptions,
): (mostMs: number) => number {
  const sphinx = new Sphinx(crypto, rng);
  const secret = rng.bytes(32);
  const self: SphinxHop = { address: rng.bytes(32), publicKey: crypto.x25519Base(secret), delayNs: 0 };
  const route = kind === 'final' ? [self] : [self, self];
  const packet = sphinx.createPacket({
    ...{ route, destination: self.address, identifier: rng.bytes(16), message: new Uint8Array(0), payloadBytes },
  });
  const work = new Uint8Array(packet.byteLength);
  const unwrap = () => {
    work.set(packet);
    const opened = sphinx.openHeader(secret, work);
    if (typeof opened !== 'string') sphinx.finish(opened, work);
  };
  return (mostMs) => leastMs(unwrap, nowMs, mostMs);
}
