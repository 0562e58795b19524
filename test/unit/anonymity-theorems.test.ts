import fc from 'fast-check';
import t from 'tap';
import { table } from '../../research/anonymity/report.ts';
import {
  binaryEntropy,
  largePoolEntropy,
  probabilityOfFirst,
  probabilityOfLater,
  updatedEntropy,
} from '../../research/anonymity/single-mix.ts';
import { svgPlot } from '../../research/anonymity/svg-plot.ts';

/** The pool as an explicit list: for each message that ever came in, the probability that it is still inside. */
class ExplicitPool {
  readonly #stillInside: number[] = [];
  size = 0;

  arrive(): void {
    this.#stillInside.push(1);
    this.size++;
  }

  /** Probability of each message to be the next one out. */
  nextOut(): number[] {
    return this.#stillInside.map((probability) => probability / this.size);
  }

  depart(): void {
    const out = this.nextOut();
    for (const [i, probability] of out.entries()) this.#stillInside[i]! -= probability;
    this.size--;
  }
}

const entropy = (probabilities: number[]) =>
  probabilities.reduce((sum, p) => (p > 0 ? sum - p * Math.log2(p) : sum), 0);

const near = (a: number, b: number) => Math.abs(a - b) < 1e-9;

t.test('equation 5 equals the entropy of the explicit distribution', async (t) => {
  const arrivalsBetweenDepartures = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(arrivalsBetweenDepartures, (arrivals) => {
      const pool = new ExplicitPool();
      let bits = 0;
      for (const arrived of arrivals) {
        const leftOver = pool.size;
        for (let i = 0; i < arrived; i++) pool.arrive();
        if (pool.size === 0) continue;
        bits = updatedEntropy(leftOver, arrived, bits);
        if (!near(bits, entropy(pool.nextOut()))) return false;
        pool.depart();
      }
      return true;
    }),
    { seed: 1, numRuns: 200 },
  );
  t.equal(updatedEntropy(0, 8, 3), 3);
  t.equal(updatedEntropy(1, 1, 0), 1);
  t.equal(binaryEntropy(0), 0);
  t.ok(near(largePoolEntropy(500, 0.02), 16.0523355153));
});

t.test('theorem 1 equals the explicit distribution', async (t) => {
  const pool = new ExplicitPool();
  const [first, left, later] = [7, 3, 4];
  for (let i = 0; i < first; i++) pool.arrive();
  for (let i = 0; i < first - left; i++) pool.depart();
  for (let i = 0; i < later; i++) pool.arrive();
  const out = pool.nextOut();
  t.ok(near(out[0]!, probabilityOfFirst({ first, left, later })));
  t.ok(near(out[first]!, probabilityOfLater({ first, left, later })));
});

t.test('theorem 2: all messages and the loop add up to one, and loops hide both kinds', async (t) => {
  const seen = { first: 7, left: 3, later: 4, loopRate: 5, delayRate: 2 };
  const loop = 5 / (7 * 2 + 5);
  t.ok(near(7 * probabilityOfFirst(seen) + 4 * probabilityOfLater(seen) + loop, 1));
  t.ok(near(probabilityOfFirst(seen), ((3 / 7) * 2) / (7 * 2 + 5)), 'appendix A.2, not the swapped main text');
  t.ok(near(probabilityOfLater(seen), 2 / (7 * 2 + 5)));
});

t.test('plots are well-formed and keep to their axes', async (t) => {
  const points = [
    { x: 1, y: 0.5, error: 0.2 },
    { x: 10, y: 99 },
    { x: 100, y: -3 },
  ];
  const axis = {
    xLabel: 'a < b & c',
    yLabel: 'y',
    xRange: [1, 100],
    yRange: [0, 1],
    xTicks: [1, 100],
    yTicks: [0, 1],
  } as const;
  const lines = [
    { name: 'ours', style: 'line', points } as const,
    { name: 'target', style: 'reference', points } as const,
  ];
  const svg = svgPlot({ title: 'T', ...axis, logX: true, series: lines });
  t.match(svg, 'a &lt; b &amp; c');
  t.equal(svg.split('<circle').length - 1, 4, 'three points and the legend');
  t.equal(svg.split('<polygon').length - 1, 4);
  t.match(
    svg,
    'points="64,194 277,40 490,348"',
    'a decade is half the logarithmic axis, values beyond an axis end on it',
  );
  t.equal((svg.match(/<(svg|title|text)\b/g) ?? []).length, (svg.match(/<\/(svg|title|text)>/g) ?? []).length);
});

t.test('the columns of tables are aligned', async (t) => {
  t.equal(table(['a', 'bcd'], [['12', '3']]), '|  a | bcd |\n|---:|----:|\n| 12 |   3 |\n');
});
