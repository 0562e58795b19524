/**
 * The one place that touches timers and the wall clock. Everything else gets a Clock and
 * is tested on a virtual one (test/support/virtual-clock.ts).
 * @module
 */
import type { MonotonicMs, UnixMs } from './units.ts';

/** A running timer; `cancel` after it fired does nothing. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds with a fraction, from an arbitrary start: for delays, deadlines, round trips. */
  nowMs(): MonotonicMs;
  /** Unix time in milliseconds: for epochs and documents only. */
  wallMs(): UnixMs;
  /** How much later than asked `after` may fire on an idle machine. */
  readonly grainMs: number;
  /** Calls `fire` once, `delayMs` from now at the earliest. Does not keep the process alive. */
  after(delayMs: number, fire: () => void): Timer;
  /** Calls `fire` once, after the events that wait now had their turn. Keeps the process alive until then. */
  soon(fire: () => void): void;
}

/** Node's largest timer; a longer delay would fire at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  grainMs: 1,
  nowMs: () => performance.now() as MonotonicMs,
  wallMs: () => Date.now() as UnixMs,
  after(delayMs, fire) {
    // Node cuts fractions of a millisecond off: whoever waits for a time would be early, and have to wake up once more.
    const handle = setTimeout(fire, Math.min(Math.max(0, Math.ceil(delayMs)), MAX_TIMEOUT_MS));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
  soon(fire) {
    setImmediate(fire);
  },
};

/** Repeats `run` every `periodMs` on `clock` until cancelled; the next period starts after `run` returned. */
export function every(clock: Clock, periodMs: number, run: () => void): Timer {
  let timer: Timer;
  let cancelled = false;
  const arm = () => {
    timer = clock.after(periodMs, () => {
      run();
      if (!cancelled) arm();
    });
  };
  arm();
  return {
    cancel() {
      cancelled = true;
      timer.cancel();
    },
  };
}

/** A silence is timed in so many parts. */
const SILENCE_PARTS = 4;

/**
 * As `after`, for the silence of somebody who may have spoken. Time in which this process stood still (it was stopped, its machine paused, or
 * a turn of its event loop took long) is not the other's: it is timed in parts, of which each counts for no more than its length, and as many
 * that end too late by more than that do not count at all. What waits to be read is read before `fire`, and may cancel it.
 */
export function afterSilence(clock: Clock, delayMs: number, fire: () => void): Timer {
  const partMs = Math.max(0, delayMs) / SILENCE_PARTS;
  let cancelled = false;
  let timer: Timer;
  let left = SILENCE_PARTS;
  let excused = 0;
  const arm = () => {
    const dueMs = clock.nowMs() + partMs;
    timer = clock.after(partMs, () => {
      const stoodStill = clock.nowMs() - dueMs > partMs;
      if (stoodStill && excused < SILENCE_PARTS) excused += 1;
      else left -= 1;
      if (left > 0) arm();
      else clock.soon(() => cancelled || fire());
    });
  };
  arm();
  return {
    cancel() {
      cancelled = true;
      timer.cancel();
    },
  };
}

/** Resolves `delayMs` from now on `clock`, or as soon as `stop` is aborted. */
export function sleep(clock: Pick<Clock, 'after'>, delayMs: number, stop?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let timer: Timer | undefined;
    const wake = () => {
      timer?.cancel();
      stop?.removeEventListener('abort', wake);
      resolve();
    };
    timer = clock.after(delayMs, wake);
    stop?.addEventListener('abort', wake);
  });
}

/** The time that a `Date` field names (RFC 9110 section 5.6.7); undefined when there is none or it is none. */
export function httpDateMs(field: string | string[] | undefined): UnixMs | undefined {
  const ms = typeof field === 'string' ? Date.parse(field) : Number.NaN;
  return Number.isNaN(ms) ? undefined : (ms as UnixMs);
}

/** A point in time for people: `2026-12-27 10:00 UTC`. */
export function dateText(ms: UnixMs): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
