/**
 * The differences by which an authority serves a consensus to those who have an earlier one. Each is made when it is first asked for,
 * and once: who asks can choose only among the few consensuses before it.
 * @module
 */
import { type EpochNumber, laterEpoch } from '../lib/core/units.ts';
import { consensusDifference, type VerifiedConsensus } from '../lib/directory/index.ts';

/** How many epochs before a consensus a difference may start from; those are served still. */
export const DIFFERENCE_EPOCHS = 3;

export class Differences {
  /** By the consensus they lead to, and the digest of the one they start from. */
  readonly #made = new WeakMap<VerifiedConsensus, Map<string, Buffer | undefined>>();

  constructor(readonly served: (epoch: EpochNumber) => VerifiedConsensus | undefined) {}

  /** The difference to `target` from the consensus with ETag `known`; undefined when that is none before it, or half would not be saved. */
  to(target: VerifiedConsensus, known: string): Buffer | undefined {
    const { epoch } = target.consensus;
    for (let back = 1; back <= DIFFERENCE_EPOCHS; back++) {
      const base = epoch >= back ? this.served(laterEpoch(epoch, -back)) : undefined;
      if (base !== undefined && known === `"${base.digest}"`) return this.#between(base, target);
    }
    return undefined;
  }

  #between(base: VerifiedConsensus, target: VerifiedConsensus): Buffer | undefined {
    const made = this.#made.get(target) ?? new Map<string, Buffer | undefined>();
    this.#made.set(target, made);
    if (!made.has(base.digest)) {
      const difference = consensusDifference(base, target);
      made.set(base.digest, difference.length <= target.text.length / 2 ? difference : undefined);
    }
    return made.get(base.digest);
  }
}
