/**
 * What happens to honest exits, as runs of the model of reply blocks: none of it may get one accused.
 */
import { HonestExit, type HonestOptions } from './block-exits.ts';
import { BlockWorld, type BlockWorldOptions, type Random, type Way } from './block-world.ts';

type Scenario = (seed: number) => Omit<BlockWorldOptions, 'seed' | 'exit'> & { readonly exit?: HonestOptions };

const RUN_MS = 75_000;
const lost = Number.POSITIVE_INFINITY;

/** A time in the first half of the run. */
const onsetMs = (seed: number) => 10_000 + ((seed * 7_919) % 20_000);
const layerOf = (seed: number) => 1 + (seed % 3);
/** Loss of a fifth on each way. */
const aFifth = (_way: Way, random: Random) => (random() < 0.2 ? lost : 0);
/** A little loss everywhere, and something worse from a time on. */
const from = (seed: number, worse: (way: Way) => number) => (way: Way, random: Random) =>
  random() < 0.03 ? lost : way.atMs >= onsetMs(seed) ? worse(way) : 0;
/** Mix 0 of a layer, once it was looked at for five seconds. */
const excludes = (seed: number, layer: number) => (of: number, mix: number, nowMs: number) =>
  of === layer && mix === 0 && nowMs >= onsetMs(seed) + 5_000;
const away = (seed: number, kind: 'cut off' | 'frozen', forMs: number) => (nowMs: number) =>
  nowMs >= onsetMs(seed) && nowMs < onsetMs(seed) + forMs ? kind : undefined;

export const HONEST: Readonly<Record<string, Scenario>> = {
  '20 % loss on each way, steady': () => ({ fate: aFifth }),
  '20 % loss on each way, burst': () => ({ fate: aFifth, downlink: 'burst' }),
  'a dead mix of two in layer 1, excluded by client and exit': (seed) => ({
    fate: from(seed, ({ mixes }) => (mixes[0] === 0 ? lost : 0)),
    excluded: excludes(seed, 1),
    exit: { avoids: (mix, nowMs) => excludes(seed, 1)(1, mix, nowMs) },
  }),
  'a mix of two in layer 1 that drops what the exit sends, excluded by the exit alone': (seed) => ({
    fate: from(seed, ({ mixes, direction }) => (mixes[0] === 0 && direction === 'down' ? lost : 0)),
    exit: { avoids: (mix, nowMs) => excludes(seed, 1)(1, mix, nowMs) },
  }),
  'a dead mix of two in layer 3, excluded by the client': (seed) => ({
    fate: from(seed, ({ mixes }) => (mixes[2] === 0 ? lost : 0)),
    excluded: excludes(seed, 3),
  }),
  'a turn of generation': (seed) => ({
    fate: from(seed, () => 0),
    downlink: seed % 2 === 0 ? 'steady' : 'burst',
    turnMs: Math.round(onsetMs(seed) / 20) * 20,
  }),
  'a mix of two that holds packets for 30 s': (seed) => ({
    fate: from(seed, ({ mixes }) => (mixes[layerOf(seed) - 1] === 0 ? 30_000 : 0)),
    downlink: seed % 2 === 0 ? 'steady' : 'burst',
  }),
  'the same, and the client excludes it': (seed) => ({
    fate: from(seed, ({ mixes }) => (mixes[layerOf(seed) - 1] === 0 ? 30_000 : 0)),
    excluded: excludes(seed, layerOf(seed)),
    exit: { avoids: (mix, nowMs) => excludes(seed, layerOf(seed))(1, mix, nowMs) },
  }),
  'an exit that is cut off for half a minute': (seed) => ({ exit: { away: away(seed, 'cut off', 30_000) } }),
  'an exit that stands still for half a minute': (seed) => ({ exit: { away: away(seed, 'frozen', 30_000) } }),
  'a class of 500 replies a second, with 20 % loss': () => ({ fate: aFifth, mainRate: 200, replyRate: 500 }),
  'an idle session of one reply a second, with 20 % loss': () => ({ fate: aFifth, replyRate: 1 }),
};

/** One run; the exit is honest. */
export function honestRun(name: string, seed: number): BlockWorld {
  const { exit, ...options } = (HONEST[name] as Scenario)(seed);
  return new BlockWorld({ ...options, seed, exit: (random) => new HonestExit(random, exit) }).run(RUN_MS);
}
