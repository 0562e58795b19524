import t from 'tap';
import { packetEntropy, senderEntropy } from '../../research/anonymity/end-to-end.ts';
import { MixNetwork, type TrafficSource } from '../../research/anonymity/mix-network.ts';
import { arrivalRatePerMix, type OwnNetwork, settledDelayMs, sourcesOf } from '../../research/anonymity/own-network.ts';
import { SimulationRandom } from '../../research/anonymity/random.ts';
import { simulateSingleMix } from '../../research/anonymity/single-mix.ts';
import { spreadOf } from '../../research/anonymity/statistics.ts';
import {
  BY_CORRUPT_MIXES,
  BY_DELAY_RATE,
  SINGLE_MIX_BITS,
  TARGET_REPETITIONS,
} from '../../research/anonymity/targets.ts';
import { measureEpsilon, PAPER_SETTING, sampleEpsilon, settledAfter } from '../../research/anonymity/unlinkability.ts';

/** Packets with one of two labels from the start on, and what is known of those that left. */
class LabelledSource implements TrafficSource {
  readonly rate = 30;
  readonly delays: number[] = [];
  /** Probability of the likelier label, of packets after the start. */
  readonly best: number[] = [];
  readonly kinds = new Set<number>();
  mass = 0;

  emit(network: MixNetwork): void {
    network.enter(0, network.options.layers, network.entered % 2, 3);
  }

  leave(known: Float64Array, kind: number, enteredAt: number, now: number): void {
    this.kinds.add(kind);
    this.mass += known[0]! + known[1]!;
    if (now > 10) this.best.push(Math.max(known[0]!, known[1]!));
    this.delays.push(now - enteredAt);
  }
}

t.test('random numbers: the seeds decide, and different seeds differ', async (t) => {
  const draw = (...seeds: number[]) => {
    const random = new SimulationRandom(...seeds);
    return Array.from({ length: 50 }, () => random.uniform());
  };
  t.same(draw(1, 2), draw(1, 2));
  t.notSame(draw(1, 2), draw(2, 1));
  t.notSame(draw(1), draw(1, 0));
  const random = new SimulationRandom(3);
  const exponential = spreadOf(Array.from({ length: 20_000 }, () => random.exponential(4)));
  t.ok(Math.abs(exponential.mean - 0.25) < 0.008, `mean ${exponential.mean}`);
  t.ok(Math.abs(exponential.sd - 0.25) < 0.012, `sd ${exponential.sd}`);
  t.same(random.sample(5, 5).sort(), [0, 1, 2, 3, 4]);
});

t.test('single mix: entropy within 0.05 bit of the table, pool by Lemma 1', async (t) => {
  // Pools up to 250 here; the bench does all. Small pools fluctuate most and so are measured longest.
  for (const { arrivalRate, delayRate, bits } of SINGLE_MIX_BITS.filter((target) => target.delayRate >= 2)) {
    const departures = 40_000;
    const result = simulateSingleMix({ arrivalRate, delayRate, departures }, new SimulationRandom(7, arrivalRate));
    const pool = arrivalRate / delayRate;
    t.ok(Math.abs(result.entropyBits - bits) < 0.05, `λ ${arrivalRate} μ ${delayRate}: ${result.entropyBits}, ${bits}`);
    t.ok(Math.abs(result.poolMean / pool - 1) < 0.1, `pool ${result.poolMean}, ${pool}`);
    t.ok(Math.abs(result.poolVariance / pool - 1) < 0.35, `variance ${result.poolVariance}, ${pool}`);
  }
});

t.test('network: every packet takes a Gamma-distributed time and no probability is lost', async (t) => {
  const options = { layers: 3, mixesPerLayer: 2, delayRate: 2, labels: 2 };
  const network = new MixNetwork(options, new SimulationRandom(11));
  const source = new LabelledSource();
  network.run(250, source);
  let inside = 0;
  for (let mix = 0; mix < 6; mix++) inside += network.massOf(mix, 0) + network.massOf(mix, 1);
  t.equal(network.entered, source.delays.length + network.inFlight);
  t.ok(Math.abs(source.mass + inside - network.entered) < 1e-6, 'mass in = mass out + mass inside');
  const { mean, sd } = spreadOf(source.delays);
  t.ok(Math.abs(mean - 3 / 2) < 0.05, `mean ${mean}`);
  t.ok(Math.abs(sd - Math.sqrt(3) / 2) < 0.05, `sd ${sd}`);
  t.same([...source.kinds], [3]);
});

t.test('network: corrupt mixes tell which packet is which, one honest layer hides it again', async (t) => {
  const options = { layers: 3, mixesPerLayer: 2, delayRate: 2, labels: 2 };
  const bestGuess = (corrupt: number[]) => {
    const network = new MixNetwork({ ...options, corrupt }, new SimulationRandom(12));
    const source = new LabelledSource();
    network.run(60, source);
    return spreadOf(source.best).mean;
  };
  t.equal(bestGuess([0, 1, 2, 3, 4, 5]), 1);
  const oneHonestLayer = bestGuess([0, 1, 4, 5]);
  t.ok(oneHonestLayer > 0.5 && oneHonestLayer < 0.75, `${oneHonestLayer}`);
  t.ok(bestGuess([]) < oneHonestLayer);
});

t.test('unlinkability: within the spread of the targets', async (t) => {
  const repetitions = 40;
  const check = (name: string, target: number, setting: Partial<typeof PAPER_SETTING>) => {
    const options = { ...PAPER_SETTING, challengeTime: 40, burnIn: 15, ...setting };
    const result = measureEpsilon(options, repetitions, [21]);
    const error = Math.hypot(target / Math.sqrt(TARGET_REPETITIONS), result.standardError);
    t.ok(Math.abs(result.mean - target) < 3 * error, `${name}: ${result.mean}, target ${target}, error ${error}`);
    t.equal(result.undefinedSamples, 0);
  };
  for (const { x, epsilon } of BY_DELAY_RATE.filter((target) => target.x >= 1))
    check(`μ ${x}`, epsilon, { delayRate: x });
  for (const { x, epsilon } of BY_CORRUPT_MIXES.filter((target) => target.x === 5)) {
    check(`${x} corrupt`, epsilon, { corruptMixes: x });
  }
});

t.test('unlinkability: λ is the rate of one sender; as the rate of all it is mostly undefined', async (t) => {
  const total = { ...PAPER_SETTING, ratePerUser: 2 / 100, burnIn: settledAfter(3, 1) };
  const result = measureEpsilon(total, 40, [22]);
  t.ok(result.undefinedSamples + result.samples === 40);
  t.ok(result.samples === 0 || result.mean > 1, `${result.samples} samples, mean ${result.mean}`);
  const options = { ...PAPER_SETTING, challengeTime: 10, burnIn: 10 };
  t.same(sampleEpsilon(options, new SimulationRandom(5)), sampleEpsilon(options, new SimulationRandom(5)));
});

t.test('end to end: the entropy of a large network is that of the time of arrival', async (t) => {
  const topology = { layers: 3, mixesPerLayer: 3, delayRate: 1, corruptMixes: 0 };
  const sources = [{ rate: 200, layer: 0, hops: 3, kind: 0, users: 100 }];
  const { any, sameKind, tracedShare } = packetEntropy(topology, sources, 0, 16, new SimulationRandom(31));
  // Differential entropy of Gamma(3, 1), 2.666 bits, plus log2 of 200 packets per time unit.
  t.ok(Math.abs(any.mean - 10.309) < 0.06, `${any.mean}`);
  t.same(any, sameKind);
  t.equal(tracedShare, 0);
  const sender = senderEntropy(topology, sources, 0, 200, new SimulationRandom(32));
  t.ok(sender.mean > 6.4 && sender.mean < Math.log2(100), `${sender.mean}`);
  const corrupt = { ...topology, corruptMixes: 9 };
  const traced = packetEntropy(corrupt, sources, 0, 8, new SimulationRandom(33));
  t.equal(traced.any.mean, 0);
  t.equal(traced.tracedShare, 1);
});

t.test('own network: the clocks add up, and kinds that cannot be are left out', async (t) => {
  const network: OwnNetwork = {
    proxies: 5,
    requesters: 1,
    gateways: 2,
    layers: 3,
    mixesPerLayer: 2,
    corruptMixes: 0,
    meanDelayMs: 15,
    traffic: { mainRate: 50, replyRate: 100, loopRate: 5, dropRate: 1 },
    nodeLoopRate: 10,
  };
  const sources = sourcesOf(network);
  // Per layer: 5 x 156 of proxies and their replies, 6 of the requester, 20 of gateways, 2 x 2 x 10 of the mixes of other layers.
  t.equal(arrivalRatePerMix(network, sources), (5 * 156 + 6 + 20 + 40) / 2);
  t.equal(arrivalRatePerMix(network, sourcesOf({ ...network, nodeLoopRate: 0 })), (5 * 156 + 6) / 2);
  const topology = { layers: 3, mixesPerLayer: 2, delayRate: 1000 / 15, corruptMixes: 0 };
  const toRequester = sources[0]!.kind;
  const { any, sameKind } = packetEntropy(topology, sources, toRequester, 32, new SimulationRandom(41));
  // What goes to the requester is 255 of 846 packets per second: about log2(846 / 255) = 1.7 bits less to choose from.
  t.ok(Math.abs(any.mean - sameKind.mean - Math.log2(846 / 255)) < 0.3, `${any.mean}, ${sameKind.mean}`);
});

t.test('own network: the delay that a mixing target comes to', async (t) => {
  const network = (proxies: number): OwnNetwork => ({
    ...{ proxies, requesters: 1, gateways: 2, layers: 3, mixesPerLayer: 2, corruptMixes: 0, meanDelayMs: 40 },
    ...{ traffic: { mainRate: 50, replyRate: 100, loopRate: 5, dropRate: 1 }, nodeLoopRate: 10 },
  });
  const delays = [1, 2, 5, 10, 20, 100, 500].map((proxies) => settledDelayMs(network(proxies), 66));
  t.strictSame(delays, [200, 200, 187, 96, 50, 40, 40]);
});
