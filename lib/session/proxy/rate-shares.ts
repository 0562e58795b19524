/**
 * How the sessions at one requester divide its share of the reply clock. The sum is always the whole, so that what
 * arrives at the proxy does not tell how many sessions there are or which of them are busy.
 *
 * A new rate costs a packet of its session. Therefore shares are those of a rounded number of sessions, and change for few
 * sessions when one comes or goes; the youngest busy session gets what that leaves.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';
import type { PooledSession } from './identities.ts';

/** A session keeps its share of the replies this long after the last stream was opened. */
const BUSY_MS = 10_000;

/** What an idle session keeps: enough for acknowledgements and for replies within its time-outs. */
const IDLE_RATE = 1;
/** All idle sessions together leave at least the rest to busy ones. */
const MAX_IDLE_SHARE = 0.2;
/** RATE counts thousandths of a reply per second; rates that are rounded up there would exceed the whole. */
const RATE_UNIT = 1 / 1000;
/** Numbers of sessions up to this are not rounded. */
const EXACT_SESSIONS = 8;

/** Replies per second for each session, in the order of their age. */
export function shareRate(total: number, busy: readonly boolean[]): number[] {
  const busyCount = busy.filter((one) => one).length;
  const idleCount = busy.length - busyCount;
  if (busyCount === 0 || idleCount === 0) return divide(total, total / roundedUp(busy.length), busy);
  const idleRate = Math.min(IDLE_RATE, (total * MAX_IDLE_SHARE) / roundedUp(idleCount));
  const busyRate = (total - idleRate * roundedUp(idleCount)) / roundedUp(busyCount);
  // A rate so small that the share of a busy session is below the idle one is divided equally.
  if (busyRate < idleRate) return divide(total, total / roundedUp(busy.length), busy);
  const rates = busy.map((one) => (one ? busyRate : idleRate));
  return withRest(rates, total, busy.lastIndexOf(true));
}

/** `rate` for each; the rest for the youngest busy one, or the youngest. */
function divide(total: number, rate: number, busy: readonly boolean[]): number[] {
  const youngest = busy.includes(true) ? busy.lastIndexOf(true) : busy.length - 1;
  return withRest(
    busy.map(() => rate),
    total,
    youngest,
  );
}

/** The rates as RATE can say them; what is left of `total` goes to the one at `index`. */
function withRest(rates: number[], total: number, index: number): number[] {
  const sayable = rates.map((rate) => Math.floor(rate / RATE_UNIT) * RATE_UNIT || rate);
  const rest = total - sayable.reduce((sum, rate) => sum + rate, 0);
  return sayable.map((rate, i) => (i === index ? rate + rest : rate));
}

/** The next number with three significant bits: at most a quarter more. */
function roundedUp(count: number): number {
  let unit = 1;
  while (count > EXACT_SESSIONS * unit) unit *= 2;
  return Math.ceil(count / unit) * unit;
}

/** While none is busy, the session used last stands for them: it is the likeliest, and rates do not change for nothing. */
export function busyOnes(sessions: readonly PooledSession[], nowMs: MonotonicMs): boolean[] {
  const serves = ({ use }: PooledSession) => use !== 'draining';
  const busy = sessions.map(
    (pooled) => pooled.session.streamsOpen > 0 || (serves(pooled) && nowMs - pooled.usedMs < BUSY_MS),
  );
  if (busy.includes(true)) return busy;
  const lastMs = Math.max(...sessions.filter(serves).map(({ usedMs }) => usedMs));
  return sessions.map((pooled) => serves(pooled) && pooled.usedMs === lastMs);
}
