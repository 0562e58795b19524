/**
 * The Sphinx keys of a node, one per epoch, each with its replay protection.
 *
 * The key of epoch e is accepted from start(e) - Δ to end(e) + Δ and erased then. Keys are made two epochs ahead, so
 * that a descriptor can always carry those of the next consensus. They are kept over a restart only when no packet can
 * have been accepted that the journal does not show: the key was never active, or its journal is intact and was
 * written in this boot of the system, or the last stop was clean. Otherwise the ring makes a new one in its place and
 * says so (`replaced`), and the node announces it at once. So it does when the clock was set or stood still for so long
 * that keys already announced are no more (`takeRenewed`).
 * @module
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex, toHex } from '../bytes.ts';
import type { Crypto } from '../crypto/index.ts';
import { asMixError, MixError, systemCode } from '../errors.ts';
import type { Log } from '../log.ts';
import { epochAt, epochStartMs, keyGraceMs } from '../params.ts';
import type { Rng } from '../rng.ts';
import { readKeys, type StoredKeys, writeKeys } from './key-store.ts';
import { FILTER_KEY_BYTES, ReplayFilter } from './replay-filter.ts';
import { ReplayGuard } from './replay-guard.ts';
import { JOURNAL_KEY_ID_BYTES, removeJournal, TagJournal } from './tag-journal.ts';

/** Unwraps per second that the replay filters are sized for; more than one process can do. */
export const MAX_UNWRAPS_PER_SECOND = 10_000;

/** How many epochs ahead keys are made. */
const EPOCHS_AHEAD = 2;
const JOURNAL_NAME = /^replay-(\d+)\.tags$/;
/** After the disk refused a new key or journal, the ring waits this long before it tries again. */
const RETRY_MS = 1000;

const FILTER_KEY_INFO = Buffer.from('mixsocks/replay-filter/v1', 'latin1');
const JOURNAL_ID_INFO = Buffer.from('mixsocks/replay-journal/v1', 'latin1');
const NO_SALT = new Uint8Array(0);

export interface KeyRingOptions {
  /** Folder of the key file and the journals; made if it is missing. */
  readonly dir: string;
  readonly crypto: Crypto;
  readonly rng: Rng;
  readonly log: Log;
  readonly epochMs: number;
  /** See `bootId`. */
  readonly bootId: string | undefined;
  readonly maxUnwrapsPerSecond?: number;
}

/** A key under which packets are accepted now. */
export interface ActiveKey {
  readonly epoch: number;
  readonly secret: Uint8Array;
  readonly guard: ReplayGuard;
}

interface RingKey {
  readonly epoch: number;
  readonly secret: Uint8Array;
  readonly publicKey: Uint8Array;
  /** Set from the moment packets may be accepted under it. */
  guard: ReplayGuard | undefined;
}

export class SphinxKeyRing {
  readonly #keys = new Map<number, RingKey>();
  #candidates: readonly ActiveKey[] = [];
  /** Those of all active keys, also of one that a step of the clock took out of its window. */
  #guards: readonly ReplayGuard[] = [];
  /** The candidates hold from `#validFromMs` until before `#validUntilMs`. */
  #validFromMs = 0;
  #validUntilMs = 0;
  #replaced = 0;
  /** Whether the file still has to be told of keys made or erased. */
  #unsaved = true;
  /** Journals of keys that are no more, still to be deleted. */
  readonly #orphans = new Set<string>();
  #renewed = false;
  #closed = false;

  private constructor(readonly options: KeyRingOptions) {}

  /** Loads what can be kept and makes what is missing. Throws MixError IDENTITY when the folder cannot be used. */
  static open(options: KeyRingOptions, wallMs: number): SphinxKeyRing {
    makeFolder(options.dir);
    const ring = new SphinxKeyRing(options);
    const stored = readKeys(options.dir);
    if (stored !== undefined) ring.#restore(stored, wallMs);
    ring.#findOrphans();
    ring.#makeMissing(wallMs);
    ring.#save(false); // before a packet is accepted: the stop that follows is not clean until it says so
    ring.#renewed = false;
    ring.#refresh(wallMs);
    return ring;
  }

  /** Keys that a restart could not keep: the consensus still lists them, and packets under them are lost. */
  get replaced(): number {
    return this.#replaced;
  }

  /** Whether keys that were announced have been replaced since the last call: then the node must announce itself anew. */
  takeRenewed(): boolean {
    const renewed = this.#renewed;
    this.#renewed = false;
    return renewed;
  }

  /** Tags held and memory taken by all filters. */
  filterUse(): { tags: number; bytes: number } {
    const use = { tags: 0, bytes: 0 };
    for (const { guard } of this.#keys.values()) {
      use.tags += guard?.filter.size ?? 0;
      use.bytes += guard?.filter.bytes ?? 0;
    }
    return use;
  }

  /** The public key of an epoch; undefined when it is not among the present and the two to come. */
  publicKey(epoch: number, wallMs: number): Uint8Array | undefined {
    this.advance(wallMs);
    return this.#keys.get(epoch)?.publicKey;
  }

  /** The keys to try on a packet: that of the current epoch first, a neighbour only within Δ of the turn. */
  candidates(wallMs: number): readonly ActiveKey[] {
    this.advance(wallMs);
    return this.#candidates;
  }

  /** Makes and erases keys as time goes; cheap when nothing is due. Call it now and then, so that an idle node erases too. */
  advance(wallMs: number): void {
    if (this.#closed) return;
    if (wallMs < this.#validFromMs || wallMs >= this.#validUntilMs) this.#refresh(wallMs);
  }

  /** Writes all pending tags; until it says true no accepted packet may leave. */
  flush(): boolean {
    let done = true;
    for (const guard of this.#guards) done = guard.flush() && done;
    return done;
  }

  /** Brings the journals to the device, so that the keys are kept whatever happens to the system next. */
  close(): void {
    try {
      if (this.#guards.map((guard) => guard.journal.sync()).every(Boolean)) this.#save(true);
    } catch (error) {
      this.options.log.warn({ reason: asMixError(error).message }, 'this stop does not count as clean');
    }
    for (const guard of this.#guards) guard.journal.close();
    for (const key of this.#keys.values()) key.secret.fill(0);
    this.#keys.clear();
    this.#guards = [];
    this.#candidates = [];
    this.#closed = true;
  }

  #window(epoch: number): { fromMs: number; untilMs: number } {
    const { epochMs } = this.options;
    const graceMs = keyGraceMs(epochMs);
    return { fromMs: epochStartMs(epoch, epochMs) - graceMs, untilMs: epochStartMs(epoch + 1, epochMs) + graceMs };
  }

  /** Tags that fit: the most a node can unwrap while a key is accepted. */
  #capacity(): number {
    const { fromMs, untilMs } = this.#window(0);
    const perSecond = this.options.maxUnwrapsPerSecond ?? MAX_UNWRAPS_PER_SECOND;
    return Math.ceil((perSecond * (untilMs - fromMs)) / 1000);
  }

  /** Every step is taken whatever became of the others: a disk that refuses one must not cost the node its keys. */
  #refresh(wallMs: number): void {
    const steps = [
      () => this.#eraseOld(wallMs),
      () => this.#makeMissing(wallMs),
      () => this.#unsaved && this.#save(false),
      () => this.#removeOrphans(),
      () => this.#activate(wallMs),
    ];
    const problems = steps.flatMap((step) => {
      try {
        step();
        return [];
      } catch (error) {
        return [asMixError(error).message];
      }
    });
    this.#setCandidates(wallMs, problems.length === 0 ? this.#nextTurnMs(wallMs) : wallMs + RETRY_MS);
    const [reason] = problems;
    if (reason !== undefined) this.options.log.error({ reason }, 'Sphinx keys could not be renewed; trying again');
  }

  #setCandidates(wallMs: number, untilMs: number): void {
    const current = epochAt(wallMs, this.options.epochMs);
    const active: ActiveKey[] = [];
    for (const { epoch, secret, guard } of this.#keys.values()) {
      const { fromMs, untilMs: endMs } = this.#window(epoch);
      if (guard !== undefined && wallMs >= fromMs && wallMs < endMs) active.push({ epoch, secret, guard });
    }
    active.sort((a, b) => Math.abs(a.epoch - current) - Math.abs(b.epoch - current));
    this.#candidates = active;
    this.#guards = [...this.#keys.values()].flatMap((key) => (key.guard === undefined ? [] : [key.guard]));
    this.#validFromMs = wallMs;
    this.#validUntilMs = untilMs;
  }

  /** When the set of accepted keys, or the current one, changes next. */
  #nextTurnMs(wallMs: number): number {
    const { epochMs } = this.options;
    const startMs = epochStartMs(epochAt(wallMs, epochMs), epochMs);
    const graceMs = keyGraceMs(epochMs);
    const turns = [startMs + graceMs, startMs + epochMs - graceMs, startMs + epochMs];
    return turns.find((turnMs) => turnMs > wallMs) ?? startMs + epochMs;
  }

  #makeMissing(wallMs: number): void {
    const current = epochAt(wallMs, this.options.epochMs);
    for (let epoch = current; epoch <= current + EPOCHS_AHEAD; epoch++) {
      if (this.#keys.has(epoch)) continue;
      this.#add(epoch, this.options.rng.bytes(32));
      this.#unsaved = true;
      // As time goes only the last one is new, and nobody has heard of it.
      if (epoch < current + EPOCHS_AHEAD) this.#renewed = true;
    }
  }

  #add(epoch: number, secret: Uint8Array): RingKey {
    const key = { epoch, secret, publicKey: this.options.crypto.x25519Base(secret), guard: undefined };
    this.#keys.set(epoch, key);
    return key;
  }

  /** Erases keys behind their window, and any that a clock far ahead made. */
  #eraseOld(wallMs: number): void {
    const last = epochAt(wallMs, this.options.epochMs) + EPOCHS_AHEAD + 1;
    for (const key of this.#keys.values()) {
      if (wallMs < this.#window(key.epoch).untilMs && key.epoch <= last) continue;
      this.#keys.delete(key.epoch);
      key.secret.fill(0);
      this.#unsaved = true;
      this.#orphans.add(this.#journalPath(key.epoch));
      key.guard?.journal.close();
    }
  }

  #removeOrphans(): void {
    for (const path of this.#orphans) {
      removeJournal(path);
      this.#orphans.delete(path);
    }
  }

  /** A stop between the two may have left the journal of a key that was erased. */
  #findOrphans(): void {
    for (const name of readdirSync(this.options.dir)) {
      const epoch = JOURNAL_NAME.exec(name)?.[1];
      if (epoch !== undefined && !this.#keys.has(Number(epoch))) this.#orphans.add(join(this.options.dir, name));
    }
  }

  /** Gives the keys whose window is open their filter and journal; recorded before the first packet is accepted. */
  #activate(wallMs: number): void {
    for (const key of this.#keys.values()) {
      if (key.guard !== undefined || wallMs < this.#window(key.epoch).fromMs) continue;
      const path = this.#journalPath(key.epoch);
      removeJournal(path); // of a key that is no more
      this.#orphans.delete(path);
      const journal = TagJournal.create(path, this.#journalId(key));
      key.guard = new ReplayGuard(this.#newFilter(key), journal);
      try {
        this.#save(false);
      } catch (error) {
        key.guard = undefined;
        this.#orphans.add(path);
        journal.close();
        throw error;
      }
    }
  }

  #newFilter(key: RingKey): ReplayFilter {
    const { crypto } = this.options;
    const secret = crypto.hkdfSha256(key.secret, NO_SALT, FILTER_KEY_INFO, FILTER_KEY_BYTES);
    return new ReplayFilter(crypto, secret, this.#capacity());
  }

  #journalId(key: RingKey): Uint8Array {
    return this.options.crypto.hkdfSha256(key.publicKey, NO_SALT, JOURNAL_ID_INFO, JOURNAL_KEY_ID_BYTES);
  }

  #journalPath(epoch: number): string {
    return join(this.options.dir, `replay-${epoch}.tags`);
  }

  #save(clean: boolean): void {
    const { dir, epochMs, bootId } = this.options;
    writeKeys(dir, {
      format: 1,
      epochMs,
      ...(bootId === undefined ? {} : { bootId }),
      clean,
      keys: [...this.#keys.values()].map((key) => ({
        epoch: key.epoch,
        secret: toHex(key.secret),
        active: key.guard !== undefined,
      })),
    });
    this.#unsaved = false;
  }

  #restore(stored: StoredKeys, wallMs: number): void {
    const sameBoot = stored.bootId !== undefined && stored.bootId === this.options.bootId;
    const current = epochAt(wallMs, this.options.epochMs);
    for (const { epoch, secret, active } of stored.keys) {
      const usable = stored.epochMs === this.options.epochMs && wallMs < this.#window(epoch).untilMs;
      if (usable && epoch <= current + EPOCHS_AHEAD + 1 && (!active || stored.clean || sameBoot)) {
        if (this.#restoreKey(epoch, fromHex(secret, 32) as Uint8Array, active)) continue;
      }
      if (usable) this.#replaced += 1;
    }
    if (this.#replaced > 0) {
      this.options.log.warn(
        { keys: this.#replaced },
        'replay journal not usable after this restart: new Sphinx keys, and no packets until the next epoch lists them',
      );
    }
  }

  #restoreKey(epoch: number, secret: Uint8Array, active: boolean): boolean {
    const key = this.#add(epoch, secret);
    if (!active) return true;
    try {
      const filter = this.#newFilter(key);
      const journal = TagJournal.reopen(this.#journalPath(epoch), this.#journalId(key), (bytes) => filter.load(bytes));
      key.guard = new ReplayGuard(filter, journal);
      return true;
    } catch (error) {
      this.options.log.warn({ epoch, reason: asMixError(error).message }, 'Sphinx key given up');
      this.#keys.delete(epoch);
      return false;
    }
  }
}

function makeFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new MixError('IDENTITY', `cannot use the folder ${dir}: ${systemCode(error) ?? error}`, error);
  }
}
