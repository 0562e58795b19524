/**
 * The replay guards of a node's Sphinx keys and the files of their journals: made, found again after a restart, deleted with the key.
 * @module
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type EpochNumber, epochNumber } from '../core/units.ts';
import type { Crypto } from '../crypto/index.ts';
import { FILTER_KEY_BYTES, ReplayFilter } from './replay-filter.ts';
import { ReplayGuard } from './replay-guard.ts';
import { JOURNAL_KEY_ID_BYTES, removeJournal, TagJournal } from './tag-journal.ts';

const JOURNAL_NAME = /^replay-(\d+)\.tags$/;
const FILTER_KEY_INFO = Buffer.from('mixsocks/replay-filter/v1', 'latin1');
const JOURNAL_ID_INFO = Buffer.from('mixsocks/replay-journal/v1', 'latin1');
const NO_SALT = new Uint8Array(0);

/** The key that a guard belongs to. */
export interface GuardedKey {
  readonly epoch: EpochNumber;
  readonly secret: Uint8Array;
  readonly publicKey: Uint8Array;
}

export class GuardStore {
  /** Journals of keys that are no more, still to be deleted. */
  readonly #discarded = new Set<string>();

  constructor(
    readonly dir: string,
    readonly crypto: Crypto,
  ) {}

  /** A guard that has seen nothing and takes `room` tags, with a journal of its own. A journal of an earlier key of that epoch is deleted. */
  create(key: GuardedKey, room: number): ReplayGuard {
    const path = this.#path(key.epoch);
    removeJournal(path);
    this.#discarded.delete(path);
    return new ReplayGuard(this.#filter(key, room), TagJournal.create(path, this.#journalId(key)));
  }

  /** The guard as its journal has it, which takes `room` tags more. Throws MixError IDENTITY when the journal cannot be relied on. */
  reopen(key: GuardedKey, room: number): ReplayGuard {
    const filter = this.#filter(key, Number.POSITIVE_INFINITY);
    const journal = TagJournal.reopen(this.#path(key.epoch), this.#journalId(key), (bytes) => filter.load(bytes));
    filter.limitTo(room);
    return new ReplayGuard(filter, journal);
  }

  /** Gives up the guard of an epoch, if it has one, and its journal. */
  discard(epoch: EpochNumber, guard: ReplayGuard | undefined): void {
    this.#discarded.add(this.#path(epoch));
    guard?.journal.close();
  }

  /** Gives up the journals of all other epochs: a stop may have come between the end of a key and that of its journal. */
  discardOthers(epochs: ReadonlySet<EpochNumber>): void {
    for (const name of readdirSync(this.dir)) {
      const epoch = JOURNAL_NAME.exec(name)?.[1];
      if (epoch !== undefined && !epochs.has(epochNumber(Number(epoch)))) this.#discarded.add(join(this.dir, name));
    }
  }

  /** Deletes the journals given up; throws what the disk says, and then the rest is left for the next call. */
  removeDiscarded(): void {
    for (const path of this.#discarded) {
      removeJournal(path);
      this.#discarded.delete(path);
    }
  }

  #filter(key: GuardedKey, room: number): ReplayFilter {
    const secret = this.crypto.hkdfSha256(key.secret, NO_SALT, FILTER_KEY_INFO, FILTER_KEY_BYTES);
    return new ReplayFilter(this.crypto, secret, room);
  }

  #journalId(key: GuardedKey): Uint8Array {
    return this.crypto.hkdfSha256(key.publicKey, NO_SALT, JOURNAL_ID_INFO, JOURNAL_KEY_ID_BYTES);
  }

  #path(epoch: EpochNumber): string {
    return join(this.dir, `replay-${epoch}.tags`);
  }
}
