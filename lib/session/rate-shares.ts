/**
 * How the sessions at one requester divide its share of the reply clock. The sum is always the whole, so that what
 * arrives at the proxy does not tell how many sessions there are or which of them are busy.
 * @module
 */

/** What an idle session keeps: enough for acknowledgements and to be heard of within its time-outs. */
const IDLE_RATE = 1;
/** All idle sessions together leave at least the rest to busy ones. */
const MAX_IDLE_SHARE = 0.2;

/** Replies per second for each session. Without a busy one all are equal. */
export function shareRate(total: number, busy: readonly boolean[]): number[] {
  const busyCount = busy.filter((one) => one).length;
  const idleCount = busy.length - busyCount;
  if (busyCount === 0 || idleCount === 0) return busy.map(() => total / busy.length);
  const idleRate = Math.min(IDLE_RATE, (total * MAX_IDLE_SHARE) / idleCount);
  const busyRate = (total - idleRate * idleCount) / busyCount;
  // A rate so small that the equal share is below the idle one is divided equally.
  return busyRate < idleRate ? busy.map(() => total / busy.length) : busy.map((one) => (one ? busyRate : idleRate));
}
