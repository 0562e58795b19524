/**
 * The consensuses that an authority serves: those of the epochs around the present one, and the newest, which are others where its clock
 * was ahead and was set back. The rest is on the disk, and comes back when its time does.
 * @module
 */
import type { Clock } from '../lib/core/clock.ts';
import { asMixError } from '../lib/core/errors.ts';
import { epochAt } from '../lib/core/params.ts';
import { type EpochNumber, epochNumber } from '../lib/core/units.ts';
import { epochMsOf, type VerifiedConsensus, type Verifier } from '../lib/directory/index.ts';
import type { Log } from '../lib/telemetry/log.ts';
import type { Archive } from './archive.ts';

/** Consensuses in memory: the next, the current, and two before; as many of the newest, where these are others. */
export const EPOCHS_SERVED = 4;

export interface ServedOptions {
  readonly verifier: Verifier;
  readonly archive: Archive;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly log: Log;
  /** Called with each consensus that comes into memory. */
  readonly onConsensus: (consensus: VerifiedConsensus['consensus']) => void;
}

export class ServedConsensuses {
  readonly #held = new Map<EpochNumber, VerifiedConsensus>();
  #newest = -1;
  /** The present epoch when the disk was last looked at. */
  #recalledAt: EpochNumber | undefined;

  constructor(readonly options: ServedOptions) {}

  /** The last epoch that is used up, -1 without. A document that cannot be read any more has used up its epoch all the same. */
  get newest(): number {
    return this.#newest;
  }

  /** The consensus of the last epoch that is used up, if it can be read. */
  get last(): VerifiedConsensus | undefined {
    return this.#held.get(epochNumber(this.#newest));
  }

  get(epoch: EpochNumber): VerifiedConsensus | undefined {
    return this.#held.get(epoch);
  }

  /** The newest consensus whose epoch has begun. */
  current(): VerifiedConsensus | undefined {
    const present = this.#present();
    return [...this.#held.values()]
      .filter(({ consensus }) => consensus.epoch <= present)
      .sort((a, b) => b.consensus.epoch - a.consensus.epoch)[0];
  }

  /** Reads what was kept: the authority serves on at once where it was killed. */
  async open(): Promise<void> {
    const epochs = await this.options.archive.epochs();
    this.useUp(epochs.at(-1) ?? -1);
    for (const epoch of epochs.slice(-EPOCHS_SERVED)) await this.#load(epoch);
    await this.recall();
  }

  /** Reads what is kept of the epochs around the present one and is not in memory, once an epoch. */
  async recall(): Promise<void> {
    const present = this.#present();
    if (present === this.#recalledAt) return;
    const missing = (await this.options.archive.epochs()).filter(
      (epoch) => isNear(epoch, present) && !this.#held.has(epoch),
    );
    for (const epoch of missing) await this.#load(epoch);
    this.#recalledAt = present;
  }

  /** Nothing is signed any more for `epoch` and those before it. */
  useUp(epoch: number): void {
    this.#newest = Math.max(this.#newest, epoch);
  }

  add(verified: VerifiedConsensus): void {
    const { consensus } = verified;
    this.#held.set(consensus.epoch, verified);
    this.useUp(consensus.epoch);
    this.options.onConsensus(consensus);
    const present = this.#present();
    for (const epoch of this.#held.keys()) {
      if (epoch <= this.#newest - EPOCHS_SERVED && !isNear(epoch, present)) this.#held.delete(epoch);
    }
  }

  async #load(epoch: EpochNumber): Promise<void> {
    const { archive, verifier, log } = this.options;
    try {
      this.add(verifier.consensus(await archive.consensus(epoch)));
    } catch (error) {
      log.warn({ epoch, problem: asMixError(error).message }, 'kept consensus not used');
    }
  }

  #present(): EpochNumber {
    const { clock, verifier } = this.options;
    return epochAt(clock.wallMs(), epochMsOf(verifier.network));
  }
}

/** Whether `epoch` is the one after `present`, or one of those that may still be asked for. */
function isNear(epoch: EpochNumber, present: EpochNumber): boolean {
  return epoch <= present + 1 && epoch > present + 1 - EPOCHS_SERVED;
}
