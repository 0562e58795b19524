import t from 'tap';
import { PoissonClock } from '../../lib/core/poisson-clock.ts';
import { TokenBucket } from '../../lib/mixing/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic } from '../support/units.ts';

/** Kolmogorov-Smirnov distance of the samples to the exponential law of this mean. */
function distanceToExponential(samples: number[], mean: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return Math.max(
    ...sorted.map((x, i) => {
      const law = 1 - Math.exp(-x / mean);
      return Math.max(Math.abs(law - i / sorted.length), Math.abs((i + 1) / sorted.length - law));
    }),
  );
}

t.test('a clock ticks by the exponential law however irregularly it is served', async (t) => {
  const rng = seededRng(1);
  const clock = new PoissonClock(rng, 50, monotonic(0));
  const deadlines: number[] = [];
  // Served every 0 to 30 ms: often late, sometimes with several ticks due at once.
  for (let nowMs = 0; deadlines.length < 20_000; nowMs += rng.uniform() * 30) {
    for (let due = clock.deadlineMs; clock.tick(monotonic(nowMs)); due = clock.deadlineMs) deadlines.push(due);
  }
  const gaps = deadlines.slice(1).map((at, i) => at - (deadlines[i] ?? 0));
  const distance = distanceToExponential(gaps, 20);
  t.ok(distance < 0.0138, `distance ${distance}, of which 0.1 % of honest runs exceed 0.0138`);
  t.equal(clock.restarts, 0);
});

t.test('lateness does not accumulate; a tick is never early', async (t) => {
  const clock = new PoissonClock(seededRng(2), 100, monotonic(0));
  const due = clock.deadlineMs;
  t.equal(clock.tick(monotonic(due - 0.001)), false);
  t.equal(clock.tick(monotonic(due + 5)), true);
  t.equal(Math.round(clock.lateMs), 5);
  const next = clock.deadlineMs;
  const twin = new PoissonClock(seededRng(2), 100, monotonic(0));
  twin.tick(due);
  t.equal(twin.deadlineMs, next, 'the next deadline is the same as if it had been served in time');
});

t.test('a clock that was not served for more than 100 ms starts afresh', async (t) => {
  const clock = new PoissonClock(seededRng(3), 1000, monotonic(0));
  const due = clock.deadlineMs;
  t.equal(clock.tick(monotonic(due + 100.001)), false, 'no burst');
  t.equal(clock.restarts, 1);
  t.ok(clock.deadlineMs > due + 100.001);
  const again = clock.deadlineMs;
  let caughtUp = 0;
  while (clock.tick(monotonic(again + 99))) caughtUp += 1;
  t.ok(caughtUp > 50, `${caughtUp} ticks of the last 99 ms are caught up`);
});

t.test('a changed rate counts from now; rate 0 stops', async (t) => {
  const clock = new PoissonClock(seededRng(4), 0, monotonic(0));
  t.equal(clock.deadlineMs, Number.POSITIVE_INFINITY);
  t.equal(clock.tick(monotonic(1e9)), false);
  clock.setRate(1000, monotonic(5000));
  t.ok(clock.deadlineMs > 5000 && clock.deadlineMs < 5020);
  const due = clock.deadlineMs;
  clock.setRate(1000, monotonic(5001));
  t.equal(clock.deadlineMs, due, 'the same rate changes nothing');
  clock.setRate(0, monotonic(5002));
  t.equal(clock.deadlineMs, Number.POSITIVE_INFINITY);
});

t.test('a token bucket gives its burst, then its rate, and never saves more than the burst', (t) => {
  const bucket = new TokenBucket(100, 5, monotonic(0));
  const takeAll = (nowMs: number) => {
    let taken = 0;
    while (bucket.take(monotonic(nowMs))) taken += 1;
    return taken;
  };
  t.equal(takeAll(0), 5);
  t.equal(takeAll(9), 0);
  t.equal(takeAll(10), 1);
  t.equal(takeAll(40), 3);
  t.equal(takeAll(1e9), 5);
  t.equal(takeAll(0), 0, 'time that runs backwards gives nothing');
  t.end();
});

t.test('a Poisson sender at the rate its limit was made for is hardly ever refused', (t) => {
  const rng = seededRng(8);
  const clock = new PoissonClock(rng, 56, monotonic(0));
  const bucket = new TokenBucket(1.1 * 56, 256, monotonic(0));
  let refused = 0;
  for (let nowMs = monotonic(0); nowMs < 3_600_000; nowMs = clock.deadlineMs) {
    while (clock.tick(nowMs)) if (!bucket.take(nowMs)) refused += 1;
  }
  t.equal(refused, 0, 'in an hour of some 200,000 packets');
  t.end();
});
