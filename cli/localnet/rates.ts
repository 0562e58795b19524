/**
 * The rates of a local network, lowered to what its machine carries, and the line that its user gets: none where that is what was asked for. Pure: machine.ts measures, capacity.ts reckons.
 * @module
 */
import { MixError } from '../../lib/core/errors.ts';
import { DEFAULT_PARAMS, defaultNodeLoopRate } from '../../lib/core/params.ts';
import {
  type MachineCosts,
  type NetworkRates,
  type NetworkShape,
  type ProcessorTime,
  processorTime,
} from './capacity.ts';
import type { LocalnetConfig } from './config.ts';

export interface FittedRates {
  readonly rates: NetworkRates;
  /** Packets and replies per second, together and in the ratio asked for, that the machine carries. */
  readonly carried: number;
  /** Whether it carries what was asked for, loops and cover included. */
  readonly fits: boolean;
}

/**
 * Of the machine's time, as capacity.ts reckons it; the rest is for what comes in bursts. Two processors whose downloads were
 * fastest at 200:500 (870 kB/s; 750 at 150:375, 770 at 300:750, 630 at 450:1000) need so much by it, one that kept its clocks up to
 * 75:180, and half a one up to 25:50.
 */
const USED_SHARE = 0.7;
/** Of one processor for one process, whose main thread takes most of it: what comes unevenly must not wait. */
const THREAD_SHARE = 0.85;
/** Of all that, loops and drop packets get so much at most: only on slow machines are they lowered, too. */
const COVER_SHARE = 1 / 2;
/** Packets per second that remain on any machine: with fewer no connection opens in a time that programs wait … */
const LEAST_RATE = 2;
/** … and what remains of loops and drop packets: nodes are judged by loops. */
const LEAST_COVER = 1 / 20;
/** What the options allow; where one rate is asked for that is a hundred times the other, the other stays above it. */
const LEAST_OPTION = 0.1;
/** How much more than was asked for a machine may be said to carry, and how often the search for it halves. */
const MOST_FACTOR = 1024;
const STEPS = 40;

/** What a user asks for. */
type AskedRates = Pick<LocalnetConfig, 'rate' | 'replyRate' | 'packetSize'>;

/** The rates of a network with these for packets and replies, and the default ones for loops and drop packets. */
export function ratesWith({ rate, replyRate, packetSize }: AskedRates): NetworkRates {
  const { loopRate = 0, dropRate = 0 } = DEFAULT_PARAMS.classes.standard ?? {};
  return { rate, replyRate, loopRate, dropRate, nodeLoopRate: defaultNodeLoopRate(packetSize) };
}

/** `asked`, lowered together as far as a machine with these costs needs it. */
export function fitRates(asked: NetworkRates, shape: NetworkShape, costs: MachineCosts): FittedRates {
  const isCarried = (content: number, cover: number, share: number) =>
    within(processorTime(scaled(asked, content, cover), shape, costs), share * costs.processors, costs.processors);
  const coverFits = greatest((cover) => isCarried(0, cover, COVER_SHARE));
  const cover = Math.min(1, Math.max(LEAST_COVER, coverFits));
  const content = greatest((factor) => isCarried(factor, cover, 1));
  const carried = content * (asked.rate + asked.replyRate);
  if (content >= 1 && cover === 1) return { rates: asked, carried, fits: true };
  const least = Math.min(1, LEAST_RATE / asked.rate);
  return { rates: rounded(scaled(asked, Math.min(1, Math.max(least, content)), cover)), carried, fits: false };
}

/** Whether the network needs no more than its part of `processors`, and no process more than its part of one. */
function within({ all, ...threads }: ProcessorTime, processors: number, ofOne: number): boolean {
  const busiest = Math.max(...Object.values(threads));
  return all <= USED_SHARE * processors && busiest <= THREAD_SHARE * Math.min(1, ofOne);
}

/** The greatest factor that `isCarried`, which holds for all smaller ones, too; 0 where none does, at most MOST_FACTOR. */
function greatest(isCarried: (factor: number) => boolean): number {
  let [carried, beyond] = [0, MOST_FACTOR];
  for (let step = 0; step < STEPS; step++) {
    const middle = (carried + beyond) / 2;
    if (isCarried(middle)) carried = middle;
    else beyond = middle;
  }
  return carried;
}

/** `content` and `cover` are factors. */
function scaled(rates: NetworkRates, content: number, cover: number): NetworkRates {
  return eachOf(rates, (rate, isContent) => (isContent ? content : cover) * rate);
}

/** Downwards, to whole numbers where these are exact enough. Packets and replies keep what makes them come at all. */
function rounded(rates: NetworkRates): NetworkRates {
  const round = (rate: number) => (rate >= 20 ? Math.floor(rate) : Math.floor(100 * rate) / 100);
  return eachOf(rates, (rate, isContent) => Math.max(isContent ? LEAST_OPTION : 0, round(rate)));
}

/** `isContent`: of packets and replies, and not of loops and drop packets. */
function eachOf(rates: NetworkRates, change: (rate: number, isContent: boolean) => number): NetworkRates {
  const changed = Object.entries(rates).map(([name, rate]) => {
    return [name, change(rate, name === 'rate' || name === 'replyRate')];
  });
  return Object.fromEntries(changed) as NetworkRates;
}

interface ChosenRates {
  readonly rates: NetworkRates;
  readonly notice: string | undefined;
}

type Measure = (config: LocalnetConfig) => MachineCosts;

/**
 * `saved`: of a network that is there, which keeps them: its folder holds them for all its members. Throws CONFIG when it has
 * lower ones than `keepRates` wants.
 */
export function chooseRates(config: LocalnetConfig, saved: NetworkRates | undefined, measure: Measure): ChosenRates {
  const asked = ratesWith(config);
  if (config.keepRates) {
    if (saved !== undefined && isBelow(saved, asked))
      throw new MixError(
        'CONFIG',
        `${config.dir} holds a network with rates lowered to ${ratesText(saved)}: use another --dir, or leave out --keep-rates`,
      );
    return { rates: asked, notice: undefined };
  }
  const wanted = saved ?? asked;
  const { rates, carried, fits } = fitRates(wanted, config, measure(config));
  if (fits) return { rates: wanted, notice: undefined };
  const about = twoDigits(carried);
  if (saved !== undefined) {
    const tooSlow = `this machine carries about ${about} packets/s: too slow for the rates ${ratesText(saved)} that ${config.dir} has`;
    return { rates: saved, notice: `${tooSlow}; another --dir gets rates that fit` };
  }
  const cover = rates.nodeLoopRate / asked.nodeLoopRate;
  const more = cover < 1 ? `, loops and drop packets to ${Math.round(100 * cover)} %` : '';
  const lowered =
    rates.rate < asked.rate
      ? `this machine carries about ${about} packets/s: rates ${ratesText(asked)} lowered to ${ratesText(rates)}`
      : `this machine carries about ${about} packets/s: rates ${ratesText(asked)} kept`;
  return { rates, notice: `${lowered}${more} (--keep-rates keeps them)` };
}

function isBelow(saved: NetworkRates, asked: NetworkRates): boolean {
  return (Object.keys(asked) as (keyof NetworkRates)[]).some((name) => saved[name] < asked[name]);
}

const ratesText = ({ rate, replyRate }: NetworkRates): string => `${rate}:${replyRate}`;

function twoDigits(value: number): string {
  return value < 1 ? 'one' : String(Number(value.toPrecision(2)));
}
