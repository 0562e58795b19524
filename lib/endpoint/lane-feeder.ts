/**
 * Keeps the rings of one lane of the client link filled: what is worth a slot into the content ring, padding into the
 * idle ring. The clock that empties them runs in the link thread and does not wait for anything that happens here.
 * @module
 */
import type { Lane } from '../link/index.ts';

/** A frame for the gateway. */
export interface LaneFrame {
  readonly firstHop: Uint8Array;
  readonly packet: Uint8Array;
}

/** Where a lane's frames come from; undefined when there is nothing now. */
export interface FrameSource {
  content(): LaneFrame | undefined;
  idle(): LaneFrame | undefined;
  /**
   * Padding costs nothing but work. Content then waits while little of the padding stands ready: a tick that finds nothing
   * would show an observer that this machine is busy. Dummies, which cost reply blocks, come after data.
   */
  readonly idleIsFree?: boolean;
}

/** Padding built per call at most: building costs about 0.3 ms a packet, and data must not wait behind a full refill. */
const IDLE_PER_FEED = 8;
/** Padding replaced per step at most: the rest stands ready meanwhile. */
const RENEWED_PER_FEED = 4;
/**
 * Content built per call at most: with its reply blocks a packet costs more than a millisecond, and what comes in must not
 * wait behind a full ring of them.
 */
const CONTENT_PER_FEED = 16;
/** Of padding that is free, this share must stand ready before content is made. */
const LEAST_PADDING_SHARE = 1 / 4;

/** How far ahead content is committed: deep enough for a busy main thread, shallow enough that fresh data leaves soon. */
const CONTENT_AHEAD_MS = 60;
/** How far ahead padding stands ready: longer than a garbage collection or a burst of work. */
const IDLE_AHEAD_MS = 400;

/** Slots of the content ring for a clock of `ratePerSecond`. */
export function contentSlots(ratePerSecond: number): number {
  return Math.max(2, Math.ceil((ratePerSecond * CONTENT_AHEAD_MS) / 1000));
}

/** Slots of the idle ring for a clock of `ratePerSecond`. */
export function idleSlots(ratePerSecond: number): number {
  return Math.max(8, Math.ceil((ratePerSecond * IDLE_AHEAD_MS) / 1000));
}

export class LaneFeeder {
  readonly #idleSlots: number;
  /** Idle frames are numbered in the order in which they were pushed; they leave in it. */
  #pushedIdle = 0;
  /** Idle frames below this number are to be replaced … */
  #staleBelow = 0;
  /** … and this far their removal has been ordered. */
  #dropOrdered = 0;

  constructor(
    readonly lane: Lane,
    readonly source: FrameSource,
  ) {
    this.#idleSlots = lane.idleRoom();
  }

  /**
   * Replaces the padding that stands ready, a few frames at a time so that no tick finds nothing. Padding gets old where
   * content takes all slots: its keys are those of an epoch, and a dummy's reply block expires.
   */
  renewIdle(): void {
    this.#staleBelow = this.#pushedIdle;
    this.#dropStale();
  }

  /** Fills what has room, a few frames at a time. True when something is still missing: call again soon. */
  feed(): boolean {
    if (!this.source.idleIsFree) {
      const wantsContent = this.#feedContent();
      return this.#feedIdle() || wantsContent;
    }
    const wantsIdle = this.#feedIdle();
    const paddingIsLow = this.lane.idleRoom() > this.#idleSlots * (1 - LEAST_PADDING_SHARE);
    if (wantsIdle && paddingIsLow) return true;
    return this.#feedContent() || wantsIdle;
  }

  #feedContent(): boolean {
    for (let built = 0; this.lane.contentRoom() > 0; built++) {
      if (built === CONTENT_PER_FEED) return true;
      const frame = this.source.content();
      if (frame === undefined || !this.lane.pushContent(frame.firstHop, frame.packet)) return false;
    }
    return false;
  }

  #feedIdle(): boolean {
    for (let built = 0; built < IDLE_PER_FEED && this.lane.idleRoom() > 0; built++) {
      const frame = this.source.idle();
      if (frame === undefined || !this.lane.pushIdle(frame.firstHop, frame.packet)) return false;
      this.#pushedIdle += 1;
    }
    this.#dropStale();
    return this.lane.idleRoom() > 0;
  }

  /** Only from a full ring, and never all of it. */
  #dropStale(): void {
    const gone = this.#pushedIdle - this.#idleSlots;
    if (this.lane.idleRoom() > 0 || gone >= this.#staleBelow || gone < this.#dropOrdered) return;
    const count = Math.min(RENEWED_PER_FEED, Math.ceil(this.#idleSlots / 2), this.#staleBelow - gone);
    this.#dropOrdered = gone + count;
    this.lane.dropIdle(count);
  }
}
