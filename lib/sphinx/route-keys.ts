/**
 * What to do about a route over a node whose public key is none.
 * @module
 */
import { MixError } from '../core/errors.ts';

/**
 * What `make` seals, or undefined when a key on the route is a point of small order. Documents with such keys are
 * refused; should one get through all the same, it costs its node the traffic and not the senders their timers.
 */
export function unlessBadKey<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof MixError && error.code === 'CRYPTO') return undefined;
    throw error;
  }
}
