/**
 * Counts replies per second over all sessions of the proxy, and by requester, from the sessions' own counters.
 * @module
 */
import { type Clock, every, type Timer } from '../../core/clock.ts';
import type { MonotonicMs } from '../../core/units.ts';

interface Counted {
  stats(): { readonly packetsReceived: number };
}

/** Replies so far, by requester: as many names as the network has had requesters. */
type Counts = ReadonlyMap<string, number>;

const PERIOD_MS = 1_000;
/** Periods that the mean is taken over. */
const PERIODS = 10;

export class ReplyMeter<Session extends Counted = Counted> {
  readonly #seen = new WeakMap<Session, number>();
  #timer: Timer | undefined;
  #samples: { atMs: MonotonicMs; counts: Counts }[] = [];

  /** `look` is called with each count: for what else is read once a second. */
  constructor(
    private readonly clock: Clock,
    private readonly sessions: () => readonly Session[],
    private readonly requesterOf: (session: Session) => string = () => '',
    private readonly look: () => void = () => {},
  ) {}

  start(): void {
    this.#samples = [{ atMs: this.clock.nowMs(), counts: new Map() }];
    this.#timer = every(this.clock, PERIOD_MS, () => this.#sample());
  }

  /** From all requesters together. */
  perSecond(): number {
    return [...(this.#samples.at(-1)?.counts.keys() ?? [])].reduce((sum, name) => sum + this.perSecondFrom(name), 0);
  }

  perSecondFrom(requester: string): number {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last === first) return 0;
    const replies = (last.counts.get(requester) ?? 0) - (first.counts.get(requester) ?? 0);
    return (replies * 1000) / (last.atMs - first.atMs);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #sample(): void {
    const counts = new Map(this.#samples.at(-1)?.counts);
    for (const session of this.sessions()) {
      const { packetsReceived } = session.stats();
      const name = this.requesterOf(session);
      counts.set(name, (counts.get(name) ?? 0) + packetsReceived - (this.#seen.get(session) ?? 0));
      this.#seen.set(session, packetsReceived);
    }
    this.#samples.push({ atMs: this.clock.nowMs(), counts });
    this.#samples = this.#samples.slice(-PERIODS - 1);
    this.look();
  }
}
