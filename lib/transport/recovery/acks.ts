/**
 * The receiving side of acknowledgement: which packets came, and when to say so.
 * @module
 */

import { DEFAULT_SESSION_PARAMS } from '../../core/session-params.ts';
import type { MonotonicMs } from '../../core/units.ts';
import { MAX_NUMBER_RANGES } from '../limits.ts';
import type { PacketBuilder } from '../wire/packet-builder.ts';
import { RangeSet } from './ranges.ts';

/** ACK frames are lost like everything; each state is repeated this often where there is room to spare. */
const REPEATS = 3;
/** One ACK in this many names all the ranges that fit, for a peer that has not received any for a while. */
const FULL_EVERY = 8;

export class AckTracker {
  readonly #received = new RangeSet();
  /** Numbers below it are treated as duplicates: their ranges were forgotten. */
  #floor = 0;
  #waiting = 0;
  #firstWaitingMs = 0;
  #atOnce = false;
  #repeatsLeft = 0;
  #writtenMs = 0;
  /** The highest number as of one or two loss thresholds ago. */
  #staleHighest = -1;
  #nextStaleHighest = -1;
  #staleMs = 0;
  #sinceFull = 0;
  /** The lowest number that came in this threshold's time, and in the one before: most ACKs reach down to both. */
  #lowest = Number.POSITIVE_INFINITY;
  #lastLowest = Number.POSITIVE_INFINITY;

  /** An ACK goes out after `everyPackets` packets that ask for one, or `ackDelayMs` after the first of them. */
  constructor(
    private readonly ackDelayMs: number,
    private readonly everyPackets: number = DEFAULT_SESSION_PARAMS.ackEveryPackets,
  ) {}

  /** Whether `number` came before, or is too old to tell. */
  isDuplicate(number: number): boolean {
    return number < this.#floor || this.#received.has(number);
  }

  /** Notes a packet that was processed. `urgent`: it carried a FIN. */
  onReceived(number: number, eliciting: boolean, urgent: boolean, lossThresholdMs: number, nowMs: MonotonicMs): void {
    this.#received.add(number, number + 1);
    if (this.#received.count > MAX_NUMBER_RANGES) this.#floor = this.#received.shift() ?? this.#floor;
    if (nowMs - this.#staleMs >= lossThresholdMs) {
      this.#staleHighest = this.#nextStaleHighest;
      this.#nextStaleHighest = this.highest;
      this.#staleMs = nowMs;
      this.#lastLowest = this.#lowest;
      this.#lowest = Number.POSITIVE_INFINITY;
    }
    this.#lowest = Math.min(this.#lowest, number);
    if (!eliciting) return;
    if (this.#waiting === 0) this.#firstWaitingMs = nowMs;
    this.#waiting++;
    this.#repeatsLeft = REPEATS;
    // A packet later than the sender's loss threshold was given up or is about to be: say at once that it came.
    if (urgent || number < this.#staleHighest) this.#atOnce = true;
  }

  get highest(): number {
    return this.#received.empty ? -1 : this.#received.endAt(this.#received.count - 1) - 1;
  }

  /** When an ACK must go out; Infinity when nothing waits for one. */
  get dueMs(): number {
    if (this.#waiting === 0) return Number.POSITIVE_INFINITY;
    if (this.#atOnce || this.#waiting >= this.everyPackets) return Number.NEGATIVE_INFINITY;
    return this.#firstWaitingMs + this.ackDelayMs;
  }

  /** When the last ACK may be said once more, in a slot that costs nothing; Infinity when that was done often enough. */
  get repeatDueMs(): number {
    return this.#repeatsLeft > 0 ? this.#writtenMs + this.ackDelayMs : Number.POSITIVE_INFINITY;
  }

  /** Puts an ACK into a packet if there is anything new, or worth repeating, to say. */
  writeTo(builder: PacketBuilder, maxBytes: number, nowMs: MonotonicMs): void {
    if (!this.#worthSaying) return;
    const full = this.#sinceFull + 1 >= FULL_EVERY;
    // What came earlier stood in many ACKs; bytes of data are better used.
    const from = full ? 0 : Math.min(this.#lowest, this.#lastLowest);
    if (!builder.ack(this.#received, from, maxBytes)) return;
    this.#sinceFull = full ? 0 : this.#sinceFull + 1;
    this.#writtenMs = nowMs;
    this.#waiting = 0;
    this.#atOnce = false;
    this.#repeatsLeft = Math.max(0, this.#repeatsLeft - 1);
  }

  /** The same for a packet that may leave late or never: nothing counts as said, and there is room for all. */
  repeatTo(builder: PacketBuilder, maxBytes: number): boolean {
    return this.#worthSaying && builder.ack(this.#received, 0, maxBytes);
  }

  get #worthSaying(): boolean {
    return this.#waiting > 0 || this.#repeatsLeft > 0;
  }
}
