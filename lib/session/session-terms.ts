/**
 * What both ends of a session take from the parameters of their network.
 * @module
 */
import type { NetworkParams } from '../core/params.ts';
import type { SessionTerms } from '../transport/types.ts';

/** Mixes on the way of a packet: one of each layer. */
const MIX_HOPS = 3;

export function sessionTerms({ meanDelayMs, session }: NetworkParams): Required<SessionTerms> {
  return { delay: { meanDelayMs, mixHops: MIX_HOPS }, params: session };
}
