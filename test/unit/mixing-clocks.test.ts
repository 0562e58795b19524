import t from 'tap';
import { PoissonClock, TokenBucket } from '../../lib/mixing/index.ts';
import { seededRng } from '../support/seeded-rng.ts';

t.test('a Poisson clock keeps its rate however late it is asked, and its gaps are exponential', (t) => {
  const rng = seededRng(5);
  const clock = new PoissonClock(rng, 50, 0);
  let nowMs = 0;
  let events = 0;
  while (nowMs < 200_000) {
    nowMs += rng.uniform() * 60; // asked at random, up to 60 ms late
    events += clock.take(nowMs);
  }
  t.ok(Math.abs(events - 10_000) < 500, `${events} events, 10000 expected, 5 sigma 500`);
  const gaps: number[] = [];
  const exact = new PoissonClock(rng, 100, 0);
  while (gaps.length < 10_000) {
    const dueMs = exact.nextDueMs;
    exact.take(dueMs);
    gaps.push(exact.nextDueMs - dueMs);
  }
  gaps.sort((a, b) => a - b);
  const distance = Math.max(...gaps.map((gap, i) => Math.abs(1 - Math.exp(-gap / 10) - i / gaps.length)));
  t.ok(distance < 0.02, `Kolmogorov-Smirnov distance ${distance}`);
  t.end();
});

t.test('far behind, a Poisson clock starts afresh instead of catching up', (t) => {
  const clock = new PoissonClock(seededRng(6), 1000, 0);
  t.equal(clock.take(3_600_000), 1);
  t.ok(clock.nextDueMs > 3_600_000);
  t.end();
});

t.test('rate 0 stops a Poisson clock, a new rate starts it', (t) => {
  const clock = new PoissonClock(seededRng(6), 0, 0);
  t.equal(clock.take(1e12), 0);
  clock.setRate(10, 1000);
  t.ok(clock.nextDueMs > 1000 && Number.isFinite(clock.nextDueMs));
  const dueMs = clock.nextDueMs;
  clock.setRate(10, 1500);
  t.equal(clock.nextDueMs, dueMs, 'the same rate draws no new gap');
  t.end();
});

t.test('a token bucket gives its burst, then its rate, and never saves more than the burst', (t) => {
  const bucket = new TokenBucket(100, 5, 0);
  const takeAll = (nowMs: number) => {
    let taken = 0;
    while (bucket.take(nowMs)) taken += 1;
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
  const clock = new PoissonClock(rng, 56, 0);
  const bucket = new TokenBucket(1.1 * 56, 256, 0);
  let refused = 0;
  for (let nowMs = 0; nowMs < 3_600_000; nowMs = clock.nextDueMs) {
    for (let due = clock.take(nowMs); due > 0; due--) if (!bucket.take(nowMs)) refused += 1;
  }
  t.equal(refused, 0, 'in an hour of some 200,000 packets');
  t.end();
});
