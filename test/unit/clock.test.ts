import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { systemClock } from '../../lib/core/clock.ts';

/** How long a timer of `delayMs` takes, from before the turn of the event loop in which it is set. */
async function elapsedMs(delayMs: number): Promise<number> {
  await turn();
  const beforeMs = performance.now();
  await turn();
  await new Promise<void>((resolve) => systemClock.after(delayMs, resolve));
  return performance.now() - beforeMs;
}

t.test('who waits for a fraction of a millisecond is not woken before it is over, to wait once more', async (t) => {
  const alive = setInterval(() => {}, 1000); // timers of the clock do not keep a process alive
  t.teardown(() => clearInterval(alive));
  const taken: number[] = [];
  for (let i = 0; i < 40; i++) taken.push(await elapsedMs(2.9));
  // The loop's own time is in whole milliseconds: when one ends while the timer is set, it fires by so much early.
  const late = taken.filter((ms) => ms > 2.9).length;
  t.ok(late > 10, `${late} of 40 took their time`);
});
