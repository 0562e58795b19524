import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { afterSilence, systemClock } from '../../lib/core/clock.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

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

/** When a silence of 1 s ends, where the process stands still for `ms` each time that `at` says, in ms of the time that it runs. */
function endOfSilence(at: readonly number[], ms: number, time = afterSilence): { firedMs: number; ranMs: number } {
  const clock = new VirtualClock();
  let firedMs = 0;
  time(clock, 1000, () => {
    firedMs = clock.nowMs();
  });
  let ranMs = 0;
  for (; ranMs < 5000 && firedMs === 0; ranMs++) {
    if (at.includes(ranMs)) clock.standStill(ms);
    clock.advance(1);
  }
  return { firedMs, ranMs };
}

t.test('a silence lasts as long as it was to, and a cancelled one for ever', async (t) => {
  t.equal(endOfSilence([], 0).firedMs, 1000);
  const clock = new VirtualClock();
  const silence = afterSilence(clock, 1000, () => t.fail('cancelled'));
  clock.advance(600);
  silence.cancel();
  clock.advance(5000);
  t.equal(clock.pending, 0);
});

t.test('time in which the process stood still is not the silence of others', async (t) => {
  for (const at of [0, 100, 500, 990, 999]) {
    for (const ms of [800, 10_000, 3_600_000]) {
      const { ranMs } = endOfSilence([at], ms);
      t.ok(ranMs >= 1000, `${ms} ms at ${at}: it ran for ${ranMs} ms`);
      t.ok(ranMs <= 1250);
    }
  }
  const plain = endOfSilence([100], 10_000, (clock, delayMs, fire) => clock.after(delayMs, fire));
  t.ok(plain.ranMs < 200, 'a plain timer takes it for that');
});

t.test('a process that is always late gives up all the same', async (t) => {
  const { firedMs } = endOfSilence(
    Array.from({ length: 50 }, (_, i) => i * 100),
    600,
  );
  t.ok(firedMs > 1000 && firedMs <= 8 * 700, `after ${firedMs} ms`);
});
