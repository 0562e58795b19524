/** Descriptors for authorities to vote on: a network of four nodes, some that not all know, and some that a liar has invented. */
import { epochStartMs, keyGraceMs } from '../../../lib/core/params.ts';
import { type VerifiedDescriptor, Verifier } from '../../../lib/directory/index.ts';
import { crypto, descriptorOf, draft, signedDescriptor } from '../signed-documents.ts';
import { epochNumber } from '../units.ts';
import type { VotingWorld } from './voting-world.ts';

/** A mix in each layer, and a gateway. */
export const NETWORK = [0, 1, 2, 3] as const;
/** Keys of gateways that some authorities hold. */
export const STRAYS = [20, 21, 22] as const;
/** Keys of gateways that only liars list. */
export const INVENTED = [40, 41] as const;

const made = new Map<string, VerifiedDescriptor>();

/** The descriptors of the nodes `which`, as they announced last: from 2Δ before each turn on for the next epoch. */
export function descriptorsIn(world: VotingWorld, which: readonly number[]): VerifiedDescriptor[] {
  const { network, clock, epochMs } = world;
  const graceMs = keyGraceMs(epochMs);
  const epoch = Math.floor((clock.wallMs() + 2 * graceMs) / epochMs);
  const nowMs = epochStartMs(epochNumber(epoch), epochMs) - 2 * graceMs;
  return which.map((n) => {
    const key = `${JSON.stringify(network)} ${n} ${epoch}`;
    const role = n < 3 ? 'mixnode' : 'gateway';
    const node = draft(role, [epoch - 1, epoch, epoch + 1], n < 3 ? { layer: n + 1 } : {});
    const text = made.has(key) ? '' : signedDescriptor(n, descriptorOf(network, n, node, nowMs));
    const verified = made.get(key) ?? new Verifier(network, crypto).descriptor(text);
    made.set(key, verified);
    return verified;
  });
}
