/** The mean delay that a mixing target gives: a function of what mixes publish and of the last consensus. */

import fc from 'fast-check';
import t from 'tap';
import { buildConsensus, nodesFor } from '../../directory/consensus-builder.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import { epochNumber } from '../../lib/core/units.ts';
import {
  CAPACITY_STEPS,
  type Consensus,
  DELAY_STEPS,
  type Descriptor,
  meanDelayInForce,
  parseConsensus,
  stepAtMost,
} from '../../lib/directory/index.ts';
import { descriptorOf, draft, testNetwork } from '../support/signed-documents.ts';

fc.configureGlobal({ seed: 20_261 });

interface Mix {
  readonly identity: IdentityHex;
  readonly role: 'mixnode';
  readonly layer: 1 | 2 | 3;
  readonly family?: string;
  readonly arrivalsPerSecond?: number;
}

const SHORTEST = DELAY_STEPS[0] as number;
const LONGEST = DELAY_STEPS.at(-1) as number;
const TARGET = 60;
const EPOCH = 1000;

let made = 0;
function mix(layer: 1 | 2 | 3, arrivalsPerSecond?: number, family?: string): Mix {
  const identity = (++made).toString(16).padStart(64, '0') as IdentityHex;
  return {
    ...{ identity, role: 'mixnode', layer },
    ...(arrivalsPerSecond === undefined ? {} : { arrivalsPerSecond }),
    ...(family === undefined ? {} : { family }),
  };
}

/** Layers of mixes that say these rates. */
const network = (...layers: readonly (readonly number[])[]): Mix[] =>
  layers.flatMap((rates, i) => rates.map((rate) => mix((i + 1) as 1 | 2 | 3, rate)));

const after = (mixes: readonly Mix[], lastMs: number | undefined, mixingTarget = TARGET): number =>
  meanDelayInForce(
    mixes,
    { mixingTarget, meanDelayMs: 40 },
    lastMs === undefined ? undefined : { meanDelayMs: lastMs },
  );

/** The delays of the epochs to come, while nothing else changes. */
function settled(mixes: readonly Mix[], fromMs: number, mixingTarget = TARGET): number[] {
  const delays = [fromMs];
  for (let i = 0; i < 2 * DELAY_STEPS.length; i++) delays.push(after(mixes, delays.at(-1), mixingTarget));
  return delays;
}

const rate = fc.constantFrom(...CAPACITY_STEPS.filter((step) => step >= 8 && step < 100_000));
const delay = fc.constantFrom(...DELAY_STEPS);
const layerRates = fc.array(rate, { minLength: 1, maxLength: 5 });
const layers = fc.tuple(layerRates, layerRates, layerRates);
const target = fc.integer({ min: 1, max: 5000 });

t.test('without a target the delay is that of the parameters, whatever the last one was', async (t) => {
  const mixes = network([1], [1], [1]);
  t.equal(DEFAULT_PARAMS.mixingTarget, 0, 'off by default');
  t.equal(meanDelayInForce(mixes, { mixingTarget: 0, meanDelayMs: 15.5 }, { meanDelayMs: 200 }), 15.5);
});

t.test(
  'it begins with the delay of the parameters, within the bounds, and stays while a layer says nothing',
  async (t) => {
    const silent = [mix(1), mix(2), mix(3)];
    const first = (meanDelayMs: number) => meanDelayInForce(silent, { mixingTarget: TARGET, meanDelayMs }, undefined);
    t.strictSame([0, 15, 40, 45, 100, 200, 600_000].map(first), [40, 40, 40, 40, 96, 200, 200]);
    t.equal(after([...network([1], [1]), mix(3)], 96), 96, 'two layers do not decide');
    t.equal(after([], 96), 96);
  },
);

t.test('it becomes the shortest with which the target is met, by one step an epoch', async (t) => {
  const few = network([500, 500], [500, 500], [500, 500]);
  t.strictSame(
    settled(few, 40).slice(0, 7),
    [40, 50, 62, 77, 96, 120, 120],
    '500 a second wait for 120 ms: 60 packets',
  );
  t.equal(settled(network([891], [891], [891]), 40).at(-1), 77);
  t.equal(settled(network([8], [8], [8]), 40).at(-1), LONGEST, 'no longer than that, met or not');
  t.equal(settled(network([0], [0], [0]), 40).at(-1), LONGEST, 'also where nothing comes');
  t.equal(settled(network([90_000], [90_000], [90_000]), 200).at(-1), SHORTEST, 'nor shorter');
});

t.test('each step is a quarter more at most, and all of them are whole', async (t) => {
  for (const [i, step] of DELAY_STEPS.entries()) {
    t.ok(Number.isInteger(step));
    if (i > 0) t.ok(step <= 1.25 * (DELAY_STEPS[i - 1] ?? 0), `${step}`);
  }
  t.strictSame([SHORTEST, LONGEST], [40, 200]);
});

t.test('one liar in each layer of three moves nothing beyond what the honest ones say', async (t) => {
  const honest = settled(network([571, 571, 571], [571, 571, 571], [571, 571, 571]), 96).at(-1);
  for (const lie of [0, 1, 1_000_000]) {
    const lied = settled(network([lie, 571, 571], [571, lie, 571], [571, 571, lie]), 96).at(-1);
    t.equal(lied, honest, `${lie}`);
  }
});

t.test('a whole layer of liars moves nothing beyond what the two others say', async (t) => {
  for (const lie of [0, 1_000_000]) {
    t.equal(settled(network([lie, lie, lie], [571, 571, 571], [571, 571, 571]), 96).at(-1), 120, `${lie}`);
  }
});

t.test('of two mixes in a layer the one that says less counts: a longer delay hides more', async (t) => {
  t.equal(settled(network([571, 1_000_000], [1_000_000, 571], [571, 1_000_000]), 96).at(-1), 120);
});

t.test('the mixes of one family count once, however many they are', async (t) => {
  const lying = (layer: 1 | 2 | 3, family?: string) => Array.from({ length: 20 }, () => mix(layer, 1_000_000, family));
  const honest = network([571, 571], [571, 571], [571, 571]);
  const family = [...honest, ...lying(1, 'one'), ...lying(2, 'one'), ...lying(3, 'one')];
  t.equal(settled(family, 96).at(-1), 120);
  t.equal(
    settled([...honest, ...lying(1), ...lying(2), ...lying(3)], 96).at(-1),
    SHORTEST,
    'control: without the family',
  );
  const silent = [...honest, mix(1, undefined, 'one'), mix(1, undefined, 'one')];
  t.equal(settled(silent, 96).at(-1), 120, 'a family that says nothing does not count');
});

t.test('property: the same in whatever order, a step within the bounds, and never by more than one', async (t) => {
  fc.assert(
    fc.property(layers, delay, target, fc.infiniteStream(fc.nat()), (rates, lastMs, mixingTarget, order) => {
      const mixes = network(...rates);
      const shuffled = mixes
        .map((one) => [order.next().value as number, one] as const)
        .sort((a, b) => a[0] - b[0])
        .map(([, one]) => one);
      const next = after(mixes, lastMs, mixingTarget);
      const moved = Math.abs(DELAY_STEPS.indexOf(next) - DELAY_STEPS.indexOf(lastMs));
      return DELAY_STEPS.includes(next) && moved <= 1 && after(shuffled, lastMs, mixingTarget) === next;
    }),
  );
  t.pass();
});

t.test(
  'property: it settles from anywhere, where the target is met and the next shorter one would hardly do',
  async (t) => {
    fc.assert(
      fc.property(rate, delay, target, (arrivals, fromMs, mixingTarget) => {
        const delays = settled(network([arrivals], [arrivals], [arrivals]), fromMs, mixingTarget);
        const last = delays.at(-1) as number;
        const shorter = DELAY_STEPS[DELAY_STEPS.indexOf(last) - 1];
        const meets = (ms: number) => arrivals * ms >= 1000 * mixingTarget;
        const isStable = delays.slice(-2).every((ms) => ms === last);
        const isMet = meets(last) || last === LONGEST;
        return isStable && isMet && (shorter === undefined || 4 * arrivals * shorter < 5000 * mixingTarget);
      }),
    );
    t.pass();
  },
);

/** How often the delay turns back while mixes publish rates around one, a step up or down by chance. */
function turns(trueRate: number, mixingTarget: number, draws: readonly boolean[], next = after): number {
  let [lastMs, direction, count] = [DELAY_STEPS[4] as number, 0, 0];
  for (const above of draws) {
    const published = stepAtMost(CAPACITY_STEPS, above ? trueRate : trueRate - 1);
    const delayMs = next(network([published], [published], [published]), lastMs, mixingTarget);
    const move = Math.sign(delayMs - lastMs);
    if (move !== 0 && direction !== 0 && move !== direction) count += 1;
    if (move !== 0) direction = move;
    lastMs = delayMs;
  }
  return count;
}

t.test('property: a rate between two steps of what is published does not move the delay to and fro', async (t) => {
  const draws = fc.array(fc.boolean(), { minLength: 60, maxLength: 60 });
  fc.assert(fc.property(rate, target, draws, (edge, mixingTarget, above) => turns(edge, mixingTarget, above) <= 1));
  const eager: typeof after = (mixes, lastMs, mixingTarget = TARGET) => {
    const [{ arrivalsPerSecond = 0 } = {}] = mixes;
    return DELAY_STEPS.find((ms) => arrivalsPerSecond * ms >= 1000 * mixingTarget) ?? lastMs ?? LONGEST;
  };
  const alternating = Array.from({ length: 60 }, (_, i) => i % 2 === 0);
  t.ok(turns(571, 60, alternating) <= 1);
  t.ok(turns(571, 60, alternating, eager) > 50, 'control: without hysteresis');
});

t.test('the consensus has the delay that follows from what it lists, and no arrivals', async (t) => {
  const network = testNetwork();
  const node = (n: number, role: 'mixnode' | 'gateway', extra: object) =>
    descriptorOf(network, n, draft(role, [EPOCH, EPOCH + 1], { name: `node-${n}`, ...extra }), EPOCH * 60_000);
  const mixes = [1, 2, 3].map((layer) => node(layer, 'mixnode', { layer, arrivalsPerSecond: 235 }));
  const params = { ...DEFAULT_PARAMS, epochMs: 60_000, mixingTarget: TARGET };
  const build = (descriptors: Descriptor[], last?: Consensus) => {
    const nodes = nodesFor(epochNumber(EPOCH), descriptors, network, params, last);
    return buildConsensus(epochNumber(EPOCH), nodes, params, '0'.repeat(64), descriptors, last);
  };
  const first = build([...mixes, node(4, 'gateway', {})]);
  t.equal(first.params.meanDelayMs, 50, 'a step from the 40 ms of the parameters');
  t.equal(parseConsensus(JSON.stringify(first)).params.mixingTarget, TARGET);
  t.notOk(first.nodes.some((one) => Object.hasOwn(one, 'arrivalsPerSecond')));
  const late = [1, 2, 3].map((layer) => node(10 + layer, 'mixnode', { layer, arrivalsPerSecond: 891, sphinxKeys: [] }));
  t.equal(build([...mixes, ...late], first).params.meanDelayMs, 62, 'mixes that are not listed do not count');
});
