/** The law of departures on a grid, with the real pool: 15 ms in the mean, 60 packets a second, as a mix has them. */
import t from 'tap';
import { exponential } from '../../lib/core/rng.ts';
import { laterMs } from '../../lib/core/units.ts';
import { DelayQueue, DepartureTicks, TICK_MS } from '../../lib/mixing/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic } from '../support/units.ts';

const MEAN_MS = 15;
const GAP_MS = 1000 / 600; // ten mixes' worth, so that many leave together
const PACKETS = 40_000;

interface Departure {
  readonly arrivedMs: number;
  readonly delayMs: number;
  readonly leftMs: number;
}

/** All departures in their order; `leaveTogether` is what a mix does with those of one tick. */
function departures(leaveTogether: (ticks: DepartureTicks, leaving: Departure[]) => Departure[]): Departure[] {
  const rng = seededRng(5);
  const ticks = new DepartureTicks(rng);
  const pool = new DelayQueue<Departure>(PACKETS);
  const left: Departure[] = [];
  const drain = (untilMs: number) => {
    for (let tickMs = pool.nextDueMs; tickMs <= untilMs; tickMs = pool.nextDueMs) {
      const leaving: Departure[] = [];
      ticks.passed(monotonic(tickMs));
      for (let one = pool.popDue(monotonic(tickMs)); one; one = pool.popDue(monotonic(tickMs))) leaving.push(one);
      left.push(...leaveTogether(ticks, leaving));
    }
  };
  let nowMs = monotonic(0);
  for (let n = 0; n < PACKETS; n++) {
    nowMs = laterMs(nowMs, exponential(rng, GAP_MS));
    drain(nowMs);
    const delayMs = exponential(rng, MEAN_MS);
    const tickMs = ticks.at(laterMs(nowMs, delayMs));
    pool.push({ arrivedMs: nowMs, delayMs, leftMs: tickMs }, tickMs);
  }
  drain(Number.MAX_VALUE);
  return left;
}

/** Share of neighbours in one tick that leave in the order in which they came. */
function shareInOrder(all: readonly Departure[]): { pairs: number; share: number } {
  let pairs = 0;
  let inOrder = 0;
  for (let i = 1; i < all.length; i++) {
    const [before, after] = [all[i - 1] as Departure, all[i] as Departure];
    if (before.leftMs !== after.leftMs) continue;
    pairs += 1;
    if (before.arrivedMs < after.arrivedMs) inOrder += 1;
  }
  return { pairs, share: inOrder / pairs };
}

const shuffled = departures((ticks, leaving) => ticks.shuffle(leaving));

t.test('all leave at ticks of one grid, at the first after their delay', async (t) => {
  const phaseMs = (shuffled[0]?.leftMs ?? 0) % TICK_MS;
  for (const { arrivedMs, delayMs, leftMs } of shuffled) {
    const phaseErrorMs = Math.abs(((leftMs - phaseMs + TICK_MS / 2) % TICK_MS) - TICK_MS / 2);
    const lateMs = leftMs - arrivedMs - delayMs;
    if (phaseErrorMs > 1e-6 || lateMs < -1e-6 || lateMs > TICK_MS) t.fail(`${phaseErrorMs} ${lateMs}`);
  }
  const meanMs = shuffled.reduce((sum, { arrivedMs, leftMs }) => sum + leftMs - arrivedMs, 0) / shuffled.length;
  t.ok(Math.abs(meanMs - MEAN_MS - TICK_MS / 2) < 0.3, `mean ${meanMs}`);
  t.equal(shuffled.length, PACKETS);
});

t.test(
  'whole ticks that a packet waits are geometric: who has waited long is as likely to leave as who has not',
  async (t) => {
    const waited = shuffled.map(({ arrivedMs, leftMs }) => Math.floor((leftMs - arrivedMs) / TICK_MS));
    const stays = Math.exp(-TICK_MS / MEAN_MS);
    for (let ticks = 1; ticks <= 20; ticks++) {
      const present = waited.filter((count) => count >= ticks).length;
      const leaving = waited.filter((count) => count === ticks).length;
      const sigma = Math.sqrt((stays * (1 - stays)) / present);
      t.ok(Math.abs(leaving / present - (1 - stays)) < 4 * sigma, `${ticks} ticks: ${leaving} of ${present}`);
    }
  },
);

t.test('what leaves together is in no order; a mix that keeps the order of arrival is rejected', async (t) => {
  const { pairs, share } = shareInOrder(shuffled);
  t.ok(pairs > 10_000, `${pairs}`);
  const sigma = 0.5 / Math.sqrt(pairs);
  t.ok(Math.abs(share - 0.5) < 4 * sigma, `${share}`);
  t.ok(shareInOrder(departures((_ticks, leaving) => leaving)).share > 0.5 + 4 * sigma, 'the order of the pool');
});

t.test('two processes have their ticks at different times', async (t) => {
  const phases = Array.from({ length: 20 }, (_, seed) => new DepartureTicks(seededRng(seed)).at(monotonic(100)));
  t.equal(new Set(phases).size, 20);
});

t.test('a tick that has been is not had again', async (t) => {
  for (let seed = 0; seed < 200; seed++) {
    const ticks = new DepartureTicks(seededRng(seed));
    const first = ticks.at(monotonic(1e6 + 7 * seed));
    ticks.passed(first);
    const again = ticks.at(laterMs(first, -0.1));
    t.ok(Math.abs(again - first - TICK_MS) < 1e-6, `${first}, then ${again}`);
    t.ok(Math.abs(ticks.at(laterMs(first, TICK_MS + 0.1)) - first - 2 * TICK_MS) < 1e-6);
  }
});
