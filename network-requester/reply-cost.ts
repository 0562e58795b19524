/**
 * What a reply costs this machine, measured at the start with the crypto in use: sealing it, and unwrapping the packets that pay for it.
 * @module
 */
import { leastMs, Sphinx, type SphinxCostOptions, type SphinxHop, unwrapMs } from '../lib/sphinx/index.ts';

/** The other half is for sessions, sites and links. */
const CRYPTO_SHARE = 1 / 2;

export interface ReplyCostOptions extends SphinxCostOptions {
  /** Replies for each packet that comes. */
  readonly repliesPerPacket: number;
}

/** Replies per second that this machine makes beside the rest of a requester's work. */
export function measuredReplies(options: ReplyCostOptions): number {
  const { crypto, rng, payloadBytes, repliesPerPacket, nowMs } = options;
  const sphinx = new Sphinx(crypto, rng);
  const self: SphinxHop = { address: rng.bytes(32), publicKey: crypto.x25519Base(rng.bytes(32)), delayNs: 0 };
  const route = Array.from({ length: 4 }, () => self);
  const { surb } = sphinx.createSurb({ route, self });
  const message = new Uint8Array(payloadBytes);
  const sealMs = leastMs(() => sphinx.useSurb(surb, message, payloadBytes), nowMs);
  const openMs = unwrapMs('final', options);
  return (1000 * CRYPTO_SHARE) / (sealMs + openMs / repliesPerPacket);
}
