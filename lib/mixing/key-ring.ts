/**
 * The Sphinx keys of a node, one per epoch, each with its replay protection.
 *
 * The key of epoch e is accepted from start(e) - Δ to end(e) + Δ and erased then. Keys are made two epochs ahead, so
 * that a descriptor can always carry those of the next consensus. They are kept over a restart only when no packet can
 * have been accepted that the journal does not show: the key was never active, or its journal is intact and was
 * written in this boot of the system, or the last stop was clean. Otherwise the ring makes a new one instead and
 * says so (`replaced`), and the node announces it at once. So it does when the clock was set or stood still for so long
 * that keys already announced are no more (`takeRenewed`).
 * @module
 */

import { fromHex, toHex } from '../core/bytes.ts';
import { asMixError, MixError, systemReason } from '../core/errors.ts';
import { makeFolder } from '../core/folders.ts';
import { epochAt } from '../core/params.ts';
import type { Rng } from '../core/rng.ts';
import { type EpochNumber, laterMs, type UnixMs } from '../core/units.ts';
import type { Crypto } from '../crypto/index.ts';
import type { Log } from '../telemetry/log.ts';
import { type GuardedKey, GuardStore } from './guard-store.ts';
import { readKeys, type StoredKeys, writeKeys } from './key-store.ts';
import { keyWindow, nextTurnMs } from './key-window.ts';
import type { ReplayGuard } from './replay-guard.ts';

/** How many epochs ahead keys are made. */
const EPOCHS_AHEAD = 2;
/** After the disk refused a new key or journal, the ring waits this long before it tries again. */
const RETRY_MS = 1000;

export interface KeyRingOptions {
  /** Folder of the key file and the journals; made if it is missing. */
  readonly dir: string;
  readonly crypto: Crypto;
  readonly rng: Rng;
  readonly log: Log;
  readonly epochMs: number;
  /** See `bootId`. */
  readonly bootId: string | undefined;
  /** Packets that may be accepted within `spanMs`, of all keys: what the replay filters are sized for. */
  readonly mostPackets: (spanMs: number) => number;
}

/** A key under which packets are accepted now. */
export interface ActiveKey {
  readonly epoch: EpochNumber;
  readonly secret: Uint8Array;
  readonly guard: ReplayGuard;
}

interface RingKey extends GuardedKey {
  /** Set from the moment packets may be accepted under it. */
  guard: ReplayGuard | undefined;
}

export class SphinxKeyRing {
  readonly #keys = new Map<EpochNumber, RingKey>();
  #candidates: readonly ActiveKey[] = [];
  /** Those of all active keys, also of one that a step of the clock took out of its window. */
  #active: readonly ReplayGuard[] = [];
  readonly #guards: GuardStore;
  /** The candidates hold from `#validFromMs` until before `#validUntilMs`. */
  #validFromMs = 0;
  #validUntilMs = 0;
  #replaced = 0;
  /** Whether keys were made or erased that the file does not show yet. */
  #unsaved = true;
  #renewed = false;
  #closed = false;

  private constructor(readonly options: KeyRingOptions) {
    this.#guards = new GuardStore(options.dir, options.crypto);
  }

  /** Loads what can be kept and makes what is missing. Throws MixError IDENTITY when the folder cannot be used. */
  static open(options: KeyRingOptions, wallMs: UnixMs): SphinxKeyRing {
    makeKeyFolder(options.dir);
    const ring = new SphinxKeyRing(options);
    const stored = readKeys(options.dir);
    if (stored !== undefined) ring.#restore(stored, wallMs);
    ring.#guards.discardOthers(new Set(ring.#keys.keys()));
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
  publicKey(epoch: EpochNumber, wallMs: UnixMs): Uint8Array | undefined {
    this.advance(wallMs);
    return this.#keys.get(epoch)?.publicKey;
  }

  /** The keys to try on a packet: that of the current epoch first, a neighbour only within Δ of the turn. */
  candidates(wallMs: UnixMs): readonly ActiveKey[] {
    this.advance(wallMs);
    return this.#candidates;
  }

  /** Makes and erases keys as time goes; cheap when nothing is due. Call it now and then, so that an idle node erases too. */
  advance(wallMs: UnixMs): void {
    if (this.#closed) return;
    if (wallMs < this.#validFromMs || wallMs >= this.#validUntilMs) this.#refresh(wallMs);
  }

  /** Writes all pending tags; until it says true no accepted packet may leave. */
  flush(): boolean {
    let done = true;
    for (const guard of this.#active) done = guard.flush() && done;
    return done;
  }

  /** Brings the journals to the device, so that the keys are kept whatever happens to the system next. */
  close(): void {
    try {
      if (this.#active.map((guard) => guard.journal.sync()).every(Boolean)) this.#save(true);
    } catch (error) {
      this.options.log.warn({ reason: asMixError(error).message }, 'this stop does not count as clean');
    }
    for (const guard of this.#active) guard.journal.close();
    for (const key of this.#keys.values()) key.secret.fill(0);
    this.#keys.clear();
    this.#active = [];
    this.#candidates = [];
    this.#closed = true;
  }

  /** Every step is taken whatever became of the others: a disk that refuses one must not cost the node its keys. */
  #refresh(wallMs: UnixMs): void {
    const steps = [
      () => this.#eraseOld(wallMs),
      () => this.#makeMissing(wallMs),
      () => this.#unsaved && this.#save(false),
      () => this.#guards.removeDiscarded(),
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
    this.#setCandidates(
      wallMs,
      problems.length === 0 ? nextTurnMs(wallMs, this.options.epochMs) : laterMs(wallMs, RETRY_MS),
    );
    const [reason] = problems;
    if (reason !== undefined) this.options.log.error({ reason }, 'Sphinx keys could not be renewed; trying again');
  }

  #setCandidates(wallMs: UnixMs, untilMs: UnixMs): void {
    const current = epochAt(wallMs, this.options.epochMs);
    const active: ActiveKey[] = [];
    for (const { epoch, secret, guard } of this.#keys.values()) {
      const { fromMs, untilMs: endMs } = keyWindow(epoch, this.options.epochMs);
      if (guard !== undefined && wallMs >= fromMs && wallMs < endMs) active.push({ epoch, secret, guard });
    }
    active.sort((a, b) => Math.abs(a.epoch - current) - Math.abs(b.epoch - current));
    this.#candidates = active;
    this.#active = [...this.#keys.values()].flatMap((key) => (key.guard === undefined ? [] : [key.guard]));
    this.#validFromMs = wallMs;
    this.#validUntilMs = untilMs;
  }

  #makeMissing(wallMs: UnixMs): void {
    const current = epochAt(wallMs, this.options.epochMs);
    for (let epoch = current; epoch <= current + EPOCHS_AHEAD; epoch++) {
      if (this.#keys.has(epoch)) continue;
      this.#add(epoch, this.options.rng.bytes(32));
      this.#unsaved = true;
      // As time goes only the last one is new, and has not been announced.
      if (epoch < current + EPOCHS_AHEAD) this.#renewed = true;
    }
  }

  #add(epoch: EpochNumber, secret: Uint8Array): RingKey {
    const key = { epoch, secret, publicKey: this.options.crypto.x25519Base(secret), guard: undefined };
    this.#keys.set(epoch, key);
    return key;
  }

  /** Erases keys behind their window, and any that a clock far ahead made. */
  #eraseOld(wallMs: UnixMs): void {
    const last = epochAt(wallMs, this.options.epochMs) + EPOCHS_AHEAD + 1;
    for (const key of this.#keys.values()) {
      if (wallMs < keyWindow(key.epoch, this.options.epochMs).untilMs && key.epoch <= last) continue;
      this.#keys.delete(key.epoch);
      key.secret.fill(0);
      this.#unsaved = true;
      this.#guards.discard(key.epoch, key.guard);
    }
  }

  /** Gives the keys whose window is open their filter and journal; recorded before the first packet is accepted. */
  #activate(wallMs: UnixMs): void {
    for (const key of this.#keys.values()) {
      if (key.guard !== undefined || wallMs < keyWindow(key.epoch, this.options.epochMs).fromMs) continue;
      key.guard = this.#guards.create(key, this.#room(key.epoch, wallMs));
      try {
        this.#save(false);
      } catch (error) {
        this.#guards.discard(key.epoch, key.guard);
        key.guard = undefined;
        throw error;
      }
    }
  }

  /** Tags that the key of an epoch can get in what is left of its time. */
  #room(epoch: EpochNumber, wallMs: UnixMs): number {
    const { epochMs, mostPackets } = this.options;
    return mostPackets(keyWindow(epoch, epochMs).untilMs - wallMs);
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

  #restore(stored: StoredKeys, wallMs: UnixMs): void {
    const sameBoot = stored.bootId !== undefined && stored.bootId === this.options.bootId;
    const current = epochAt(wallMs, this.options.epochMs);
    for (const { epoch, secret, active } of stored.keys) {
      const usable = stored.epochMs === this.options.epochMs && wallMs < keyWindow(epoch, this.options.epochMs).untilMs;
      if (usable && epoch <= current + EPOCHS_AHEAD + 1 && (!active || stored.clean || sameBoot)) {
        if (this.#restoreKey(epoch, fromHex(secret, 32) as Uint8Array, active, wallMs)) continue;
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

  #restoreKey(epoch: EpochNumber, secret: Uint8Array, active: boolean, wallMs: UnixMs): boolean {
    const key = this.#add(epoch, secret);
    if (!active) return true;
    try {
      key.guard = this.#guards.reopen(key, this.#room(epoch, wallMs));
      return true;
    } catch (error) {
      this.options.log.warn({ epoch, reason: asMixError(error).message }, 'Sphinx key given up');
      this.#keys.delete(epoch);
      return false;
    }
  }
}

function makeKeyFolder(dir: string): void {
  try {
    makeFolder(dir);
  } catch (error) {
    throw new MixError('IDENTITY', `cannot use the folder ${dir}: ${systemReason(error)}`, error);
  }
}
