/**
 * Which mean delay a consensus has where its network sets a mixing target: how many packets a mix is to hold at a time. That is its
 * arrivals per second times the mean delay (Little's law), so that a network with few users delays for longer.
 *
 * - A mix publishes its arrivals, in steps of a quarter (capacity.ts). What a layer has is the median of its mixes, and what the
 *   network has the median of its layers: a minority of a layer moves nothing beyond what honest mixes say, nor does one layer as a
 *   whole. The mixes of one family count once in a layer, with their median. Medians of an even number are the lower ones, since a
 *   longer delay hides more: also where a liar takes the name of another's family, which nobody checks.
 * - The delay is the smallest of `DELAY_STEPS` with which the target is met. It moves by one step an epoch, which is a quarter at most.
 * - It becomes shorter only where the next shorter one holds a quarter more than the target. So a rate that is between two of the
 *   steps in which it is published does not move the delay to and fro.
 * - It stays where a layer says nothing: a network that starts, or one layer that holds back, changes nothing.
 *
 * Pure, and in whole numbers: the same descriptors, in whatever order, and the same last consensus give the same everywhere.
 * docs/PROTOCOL.md section 4.10 has the rules.
 * @module
 */
import type { NetworkParams } from '../core/params.ts';
import type { Descriptor } from './documents.ts';
import { RING_SIZE, ringOf } from './ring.ts';

/** The mean delays that a target chooses from, ms. With the first, class standard has two packets of each user in a layer. */
export const DELAY_STEPS: readonly number[] = [40, 50, 62, 77, 96, 120, 150, 187, 200];

/** The next shorter delay is taken when it holds so many quarters of the target. */
const QUARTERS_TO_SHORTEN = 5;
const QUARTERS = 4;
const MS_PER_SECOND = 1000;

/** A mix, as far as the delay depends on it. */
type Mix = Pick<Descriptor, 'identity' | 'role'> & {
  readonly layer?: 1 | 2 | 3;
  readonly family?: string;
  readonly arrivalsPerSecond?: number;
};

/**
 * The mean delay in force, ms: that of `params` without a target. `listed`: descriptors of the nodes of this consensus; `last`: the
 * parameters of the consensus before.
 */
export function meanDelayInForce(
  listed: Iterable<Pick<Descriptor, 'identity' | 'role'>>,
  { mixingTarget, meanDelayMs }: Pick<NetworkParams, 'mixingTarget' | 'meanDelayMs'>,
  last: Pick<NetworkParams, 'meanDelayMs'> | undefined,
): number {
  if (mixingTarget === 0) return meanDelayMs;
  const at = stepOf(last?.meanDelayMs ?? meanDelayMs);
  return DELAY_STEPS[at + moveFrom(at, typicalArrivals(listed), mixingTarget)] as number;
}

/** By how many steps the delay moves. */
function moveFrom(at: number, arrivals: number | undefined, target: number): -1 | 0 | 1 {
  if (arrivals === undefined) return 0;
  const wanted = MS_PER_SECOND * target;
  const heldAt = (step: number) => arrivals * (DELAY_STEPS[step] ?? 0);
  if (heldAt(at) < wanted) return at + 1 < DELAY_STEPS.length ? 1 : 0;
  return QUARTERS * heldAt(at - 1) >= QUARTERS_TO_SHORTEN * wanted ? -1 : 0;
}

/** The greatest step that is at most `delayMs`; the first for what is below all. */
function stepOf(delayMs: number): number {
  return Math.max(
    0,
    DELAY_STEPS.findLastIndex((step) => step <= delayMs),
  );
}

/** Packets per second at a mix: the median of the layers. Undefined where one of them says nothing. */
function typicalArrivals(listed: Iterable<Pick<Descriptor, 'identity' | 'role'>>): number | undefined {
  const layers = ringOf(listed as Iterable<Mix>).slice(0, RING_SIZE - 1);
  const ofLayers = layers.map((mixes) =>
    median([...familiesOf(mixes).values()].flatMap((rates) => median(rates) ?? [])),
  );
  return ofLayers.includes(undefined) ? undefined : median(ofLayers as number[]);
}

/** What the mixes of each family say; one without a family is one of its own. */
function familiesOf(mixes: readonly Mix[]): ReadonlyMap<string, number[]> {
  const families = new Map<string, number[]>();
  for (const { identity, family, arrivalsPerSecond } of mixes) {
    const key = family === undefined ? `identity ${identity}` : `family ${family}`;
    const rates = families.get(key) ?? [];
    families.set(key, rates);
    if (arrivalsPerSecond !== undefined) rates.push(arrivalsPerSecond);
  }
  return families;
}

/** The lower one of an even number. */
function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
}
