/**
 * Bounds the memory in which V8 makes new objects. By itself it lets that grow to 32 MB or more in a process that makes garbage at a steady
 * rate, as every process with clocks does, and collects no less for it.
 *
 * The bound of V8's own (`--max-semi-space-size`) holds only when it is given to node at its start, which whoever types `mixsocks` does not
 * do. So growth is switched off while the space has its size, and on while it has less. The flag is the process's, and V8 switches it on again
 * with each thread that starts, so that it is set at each review.
 * @module
 */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { type Clock, every, type Timer } from '../core/clock.ts';

/** Both halves of the space together. */
export const MOST_YOUNG_BYTES = 8 * 2 ** 20;
/**
 * The same in networks of large packets. Their bytes are outside of the space, and are let go when the small objects that hold them are
 * collected: by the time that 8 MiB of these have been made, V8 has begun to mark all of its heap for the bytes that they hold.
 */
export const MOST_YOUNG_BYTES_LARGE = 2 * 2 ** 20;
const LARGE_PAYLOAD_BYTES = 16_384;
export const REVIEW_MS = 1000;

let mostYoungBytes = MOST_YOUNG_BYTES;

/** Says what packets the process has, before it has had many: the space never becomes smaller. */
export function fitYoungGeneration(payloadBytes: number): void {
  mostYoungBytes = payloadBytes < LARGE_PAYLOAD_BYTES ? MOST_YOUNG_BYTES : MOST_YOUNG_BYTES_LARGE;
}

/** Bounds it until cancelled; nothing where node got a bound at its start. `given`: options of node. */
export function boundYoungGeneration(
  clock: Clock,
  given: readonly (string | undefined)[] = [...process.execArgv, process.env.NODE_OPTIONS],
): Timer | undefined {
  if (given.some((options) => options?.includes('semi-space') || options?.includes('semi_space'))) return undefined;
  const setGrowth = (grows: boolean) => setFlagsFromString(`--semi-space-growth-factor=${grows ? 2 : 1}`);
  setGrowth(false); // while the program is loaded, of which nothing is garbage
  return every(clock, REVIEW_MS, () => setGrowth(2 * youngBytes() <= mostYoungBytes));
}

/** Memory of the space for new objects. */
export function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? 0;
}
