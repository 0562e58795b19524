import fc from 'fast-check';
import t from 'tap';
import { maxMin } from '../../lib/core/max-min.ts';
import { FairPolicer } from '../../lib/mixing/index.ts';
import { monotonic } from '../support/units.ts';

const RATE = 1000;
/** What may be accepted at once, of `links` links. */
const depth = (links: number) => RATE / 2 + 16 * links;

/** Weights of links, and how many packets come over which of them after how long. */
const weights = fc.array(fc.double({ min: 0.2, max: 5, noNaN: true }), { minLength: 1, maxLength: 8 });
const arrivals = fc.array(fc.record({ link: fc.nat(7), packets: fc.nat(600), afterMs: fc.nat(300) }), {
  minLength: 1,
  maxLength: 60,
});

function policerOf(weights: readonly number[], startMs = 0) {
  const policer = new FairPolicer<number>(RATE, monotonic(startMs));
  policer.setWeights(new Map(weights.entries()));
  return policer;
}

t.test('from the start of a process no more than the rate is accepted, from any later time the depth more', (t) => {
  fc.assert(
    fc.property(weights, arrivals, (weights, arrivals) => {
      const policer = policerOf(weights);
      const accepted: number[] = [];
      let nowMs = 0;
      for (const { link, packets, afterMs } of arrivals) {
        nowMs += afterMs;
        for (let i = 0; i < packets; i++) {
          if (policer.admits(policer.link(link % weights.length), monotonic(nowMs))) accepted.push(nowMs);
        }
      }
      for (const [i, sinceMs] of accepted.entries()) {
        const within = accepted.length - i;
        const most = (RATE * (nowMs - sinceMs)) / 1000 + depth(weights.length);
        if (within > Math.ceil(most)) throw new Error(`${within} within ${nowMs - sinceMs} ms`);
        if (i + 1 > Math.ceil((RATE * sinceMs) / 1000)) throw new Error(`${i + 1} within the first ${sinceMs} ms`);
      }
      if (accepted.length > policer.mostIn(nowMs)) throw new Error('more than filters are sized for');
    }),
    { numRuns: 100 },
  );
  t.end();
});

t.test('a link that keeps within its share loses nothing, whatever comes over the others', (t) => {
  fc.assert(
    fc.property(weights, arrivals, (weights, arrivals) => {
      const policer = policerOf(weights, -2000);
      const sum = weights.reduce((a, b) => a + b, 0);
      const gapMs = (1000 * sum) / (RATE * (weights[0] as number));
      let dueMs = 0;
      let nowMs = 0;
      for (const { link, packets, afterMs } of arrivals) {
        for (nowMs += afterMs; dueMs <= nowMs; dueMs += gapMs) {
          if (!policer.admits(policer.link(0), monotonic(dueMs))) throw new Error(`lost at ${dueMs}`);
        }
        const other = weights.length === 1 ? undefined : 1 + (link % (weights.length - 1));
        if (other === undefined) continue;
        for (let i = 0; i < packets; i++) policer.admits(policer.link(other), monotonic(nowMs));
      }
    }),
    { numRuns: 100 },
  );
  t.end();
});

t.test('in the long run links get their max-min shares of all of the rate', (t) => {
  const link = fc.record({
    weight: fc.double({ min: 0.2, max: 5, noNaN: true }),
    perSecond: fc.double({ min: 10, max: 2000, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(link, { minLength: 1, maxLength: 6 }), (links) => {
      const policer = policerOf(
        links.map(({ weight }) => weight),
        -2000,
      );
      const accepted = links.map(() => 0);
      const owed = links.map(() => 0);
      for (let nowMs = 0; nowMs < 20_000; nowMs += 5) {
        for (const [i, { perSecond }] of links.entries()) {
          owed[i] = (owed[i] as number) + (5 * perSecond) / 1000;
          for (; (owed[i] as number) >= 1; owed[i] = (owed[i] as number) - 1) {
            if (policer.admits(policer.link(i), monotonic(nowMs))) accepted[i] = (accepted[i] as number) + 1;
          }
        }
      }
      const shares = maxMin(
        links.map(({ perSecond }) => perSecond),
        RATE,
        links.map(({ weight }) => weight),
      );
      for (const [i, share] of shares.entries()) {
        const most = Math.abs((accepted[i] as number) - 20 * share);
        if (most > depth(links.length) + 2) throw new Error(`link ${i}: ${accepted[i]} instead of ${20 * share}`);
      }
    }),
    { numRuns: 20 },
  );
  t.end();
});
