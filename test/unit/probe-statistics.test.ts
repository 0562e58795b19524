import t from 'tap';
import { exponential } from '../../lib/core/rng.ts';
import { delayLaw } from '../../research/probe/delay-law.ts';
import { compareSamples, distanceToExponential, gammaLaw, lag1Correlation } from '../../research/probe/statistics.ts';
import { seededRng } from '../support/seeded-rng.ts';

function sampleOf(seed: number, mean: number, size = 10_000): number[] {
  const rng = seededRng(seed);
  return Array.from({ length: size }, () => exponential(rng, mean));
}

t.test('a Poisson flow passes: close to its law, like another, without memory', async (t) => {
  for (const seed of [1, 2, 3]) {
    const gaps = sampleOf(seed, 18);
    t.ok(distanceToExponential(gaps, 18) < 0.02);
    t.ok(compareSamples(gaps, sampleOf(seed + 100, 18)).p > 0.001);
    t.ok(Math.abs(lag1Correlation(gaps)) < 0.03);
  }
});

t.test('a flow with another rate, another law or a memory does not', async (t) => {
  const gaps = sampleOf(4, 18);
  t.ok(distanceToExponential(gaps, 19.5) > 0.02, 'a rate that is off by a twelfth');
  t.ok(compareSamples(gaps, sampleOf(5, 20)).p < 0.001);
  const regular = gaps.map((gap) => 18 + gap / 10);
  t.ok(distanceToExponential(regular, 18) > 0.3);
  const remembered = gaps.map((gap, i) => gap + 0.2 * (gaps[i - 1] ?? 0));
  t.ok(lag1Correlation(remembered) > 0.1);
});

t.test('two samples of one law: the probabilities are spread evenly', async (t) => {
  const ps = Array.from({ length: 200 }, (_, i) => compareSamples(sampleOf(i, 1, 400), sampleOf(i + 1000, 1, 400)).p);
  const below = (limit: number) => ps.filter((p) => p < limit).length / ps.length;
  t.ok(Math.abs(below(0.5) - 0.5) < 0.12, `${below(0.5)} below one half`);
  t.ok(Math.abs(below(0.1) - 0.1) < 0.07, `${below(0.1)} below one tenth`);
});

t.test('the law of three exponential delays, and the constant beyond it', async (t) => {
  t.ok(Math.abs(gammaLaw(3, 15)(45) - 0.5768) < 1e-4, 'a value of the tables: P(3, 3)');
  t.equal(gammaLaw(3, 15)(-1), 0);
  const rng = seededRng(6);
  const loops = (hops: number, beyondMs: () => number) =>
    Array.from({ length: 10_000 }, () => {
      const drawnMs = Array.from({ length: hops }, () => exponential(rng, 15)).reduce((sum, one) => sum + one, 0);
      return { drawnMs, tookMs: drawnMs + beyondMs() };
    });
  const good = delayLaw(
    loops(3, () => 4 + exponential(rng, 0.5)),
    15,
  );
  t.ok(good.holds, `${good.distance}`);
  t.ok(Math.abs(good.constantMs - 4.35) < 0.1, `${good.constantMs}`);
  const two = loops(2, () => 4);
  t.notOk(delayLaw(two, 15).holds, 'a mix that does not wait');
  t.notOk(
    delayLaw(
      loops(3, () => exponential(rng, 15)),
      15,
    ).holds,
    'what is beyond it is no constant',
  );
});
