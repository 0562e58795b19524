/**
 * Counts replies per second over all sessions of the proxy, from the sessions' own counters.
 * @module
 */
import { type Clock, every, type Timer } from '../lib/clock.ts';

interface Counted {
  stats(): { readonly packetsReceived: number };
}

const PERIOD_MS = 1_000;
/** Periods that the mean is taken over. */
const PERIODS = 10;

export class ReplyMeter {
  readonly #clock: Clock;
  readonly #sessions: () => readonly Counted[];
  readonly #seen = new WeakMap<Counted, number>();
  readonly #timer: Timer;
  #samples: { atMs: number; replies: number }[];

  constructor(clock: Clock, sessions: () => readonly Counted[]) {
    this.#clock = clock;
    this.#sessions = sessions;
    this.#samples = [{ atMs: clock.nowMs(), replies: 0 }];
    this.#timer = every(clock, PERIOD_MS, () => this.#sample());
  }

  perSecond(): number {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last === first) return 0;
    return ((last.replies - first.replies) * 1000) / (last.atMs - first.atMs);
  }

  stop(): void {
    this.#timer.cancel();
  }

  #sample(): void {
    let replies = this.#samples.at(-1)?.replies ?? 0;
    for (const session of this.#sessions()) {
      const { packetsReceived } = session.stats();
      replies += packetsReceived - (this.#seen.get(session) ?? 0);
      this.#seen.set(session, packetsReceived);
    }
    this.#samples.push({ atMs: this.#clock.nowMs(), replies });
    this.#samples = this.#samples.slice(-PERIODS - 1);
  }
}
