import t from 'tap';
import { exponential } from '../../lib/core/rng.ts';
import { type MonotonicMs, NEVER_MS } from '../../lib/core/units.ts';
import { MOST_ASLEEP_MS, PreciseTimer, sleepThread } from '../../lib/runtime/precise-timer.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic } from '../support/units.ts';

/** An event loop in virtual time: its timers are early or late as those of Node are, and whoever sleeps oversleeps. */
class Loop {
  readonly #rng = seededRng(1);
  #nowMs = 1000;
  #events: { readonly atMs: number; readonly run: () => void }[] = [];
  oversleepMs = 0.1;
  /** The longest that one event has kept the others waiting. */
  longestMs = 0;
  turns = 0;
  slept = 0;

  readonly clock = {
    nowMs: (): MonotonicMs => {
      this.#nowMs += 0.0005; // looking at the clock takes time
      return monotonic(this.#nowMs);
    },
    after: (delayMs: number, run: () => void) => {
      t.ok(Number.isInteger(delayMs) && delayMs >= 1, `a timer of ${delayMs} ms`);
      const event = { atMs: this.#nowMs + delayMs - 1 + 2.3 * this.#rng.uniform(), run };
      this.#events.push(event);
      return {
        cancel: () => {
          this.#events = this.#events.filter((other) => other !== event);
        },
      };
    },
    soon: (run: () => void) => void this.#events.push({ atMs: this.#nowMs, run }),
  };

  readonly sleep = (ms: number): void => {
    this.slept += 1;
    this.#nowMs += ms + this.oversleepMs * this.#rng.uniform();
  };

  timer(fire: () => void): PreciseTimer {
    return new PreciseTimer({ clock: this.clock, sleep: this.sleep, fire });
  }

  /** The next event; false when there is none. */
  turn(): boolean {
    const next = this.#events.toSorted((a, b) => a.atMs - b.atMs)[0];
    if (next === undefined) return false;
    this.#events = this.#events.filter((other) => other !== next);
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    const fromMs = this.#nowMs;
    this.turns += 1;
    next.run();
    this.longestMs = Math.max(this.longestMs, this.#nowMs - fromMs);
    return true;
  }
}

t.test('it fires at its time, however early or late the timers of the event loop are', async (t) => {
  const loop = new Loop();
  const rng = seededRng(2);
  const late: number[] = [];
  let deadlineMs = monotonic(1010);
  const timer = loop.timer(() => {
    late.push(loop.clock.nowMs() - deadlineMs);
    deadlineMs = monotonic(deadlineMs + exponential(rng, 8));
    if (late.length < 3000) timer.set(deadlineMs, 0.2);
  });
  timer.set(deadlineMs, 0.2);
  while (loop.turn());
  t.equal(late.length, 3000);
  t.ok(Math.min(...late) >= 0, `earliest ${Math.min(...late)} ms`);
  t.ok(Math.max(...late) < 0.01, `latest ${Math.max(...late)} ms`);
  t.ok(loop.longestMs <= MOST_ASLEEP_MS + 0.01, `other events waited for ${loop.longestMs} ms`);
});

t.test('between two deadlines other events have their turn, however close they are', async (t) => {
  const loop = new Loop();
  let fired = 0;
  const timer = loop.timer(() => {
    fired += 1;
    if (fired < 100) timer.set(monotonic(1010 + fired * 0.05), 0.02);
  });
  timer.set(monotonic(1010), 0.2);
  while (loop.turn()) t.ok(loop.turns >= fired, 'never twice in a turn');
  t.equal(fired, 100);
});

t.test('another time takes the place of the one before: earlier, later, none', async (t) => {
  const loop = new Loop();
  const fired: number[] = [];
  const timer = loop.timer(() => void fired.push(Math.floor(loop.clock.nowMs())));
  timer.set(monotonic(1100), 0.2);
  timer.set(monotonic(1050), 0.2);
  while (loop.turn());
  t.strictSame(fired, [1050]);
  timer.set(monotonic(1051), 0.2); // in the next turn, by which it is set anew
  timer.set(monotonic(1070), 0.2);
  while (loop.turn());
  t.strictSame(fired, [1050, 1070]);
  timer.set(monotonic(1071), 0.2);
  timer.stop();
  while (loop.turn());
  timer.set(NEVER_MS, 0.2);
  t.equal(loop.turn(), false);
  t.strictSame(fired, [1050, 1070]);
  timer.set(monotonic(0), 0.2);
  while (loop.turn());
  t.equal(fired.length, 3, 'what is past is due in the next turn');
});

t.test('most of a wait is slept, and not watched', async (t) => {
  const loop = new Loop();
  const timer = loop.timer(() => {});
  for (const atMs of [1050, 1051, 1052]) {
    timer.set(monotonic(atMs), 0.2);
    while (loop.turn());
  }
  t.equal(loop.slept, 3);
});

t.test('a thread that sleeps wakes after its time, to the microsecond at the earliest', async (t) => {
  for (const ms of [0.1, 0.7, 2.3]) {
    const fromMs = performance.now();
    sleepThread(ms);
    t.ok(performance.now() - fromMs > ms - 0.01);
  }
});
