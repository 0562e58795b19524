/**
 * Which rates a local network gets, and the line that its user gets: none where this machine carries what was asked for.
 * @module
 */
import { MixError } from '../../lib/core/errors.ts';
import type { MachineCosts, NetworkRates } from './capacity.ts';
import type { LocalnetConfig } from './config.ts';
import { fitRates, ratesWith } from './rates.ts';

export interface ChosenRates {
  readonly rates: NetworkRates;
  readonly notice: string | undefined;
}

export type Measure = (config: LocalnetConfig) => MachineCosts;

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
        `${config.dir} holds a network with rates lowered to ${text(saved)}: use another --dir, or leave out --keep-rates`,
      );
    return { rates: asked, notice: undefined };
  }
  const wanted = saved ?? asked;
  const { rates, carried, fits } = fitRates(wanted, config, measure(config));
  if (fits) return { rates: wanted, notice: undefined };
  const about = twoDigits(carried);
  if (saved !== undefined) {
    const tooSlow = `this machine carries about ${about} packets/s: too slow for the rates ${text(saved)} that ${config.dir} has`;
    return { rates: saved, notice: `${tooSlow}; another --dir gets rates that fit` };
  }
  const cover = rates.nodeLoopRate / asked.nodeLoopRate;
  const more = cover < 1 ? `, loops and drop packets to ${Math.round(100 * cover)} %` : '';
  const lowered =
    rates.rate < asked.rate
      ? `this machine carries about ${about} packets/s: rates ${text(asked)} lowered to ${text(rates)}`
      : `this machine carries about ${about} packets/s: rates ${text(asked)} kept`;
  return { rates, notice: `${lowered}${more} (--keep-rates keeps them)` };
}

function isBelow(saved: NetworkRates, asked: NetworkRates): boolean {
  return (Object.keys(asked) as (keyof NetworkRates)[]).some((name) => saved[name] < asked[name]);
}

const text = ({ rate, replyRate }: NetworkRates): string => `${rate}:${replyRate}`;

function twoDigits(value: number): string {
  return value < 1 ? 'one' : String(Number(value.toPrecision(2)));
}
