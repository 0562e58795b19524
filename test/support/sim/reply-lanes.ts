/**
 * The reply clocks of a simulated requester, a lane with rings for each session, as its hub runs them. Burst sessions have none: they
 * pace their replies.
 */
import { exponential, type Rng } from '../../../lib/core/rng.ts';
import type { Reply, RequesterSession } from '../../../lib/session/index.ts';
import { monotonic } from '../units.ts';
import type { EventQueue } from './event-queue.ts';

const AHEAD_MS = 25;
const DUMMIES_AHEAD_MS = 60;

interface Lane {
  readonly session: RequesterSession;
  rate: number;
  readonly content: Reply[];
  readonly idle: Reply[];
  removed: boolean;
}

export interface ReplyCounts {
  downContent: number;
  downDummy: number;
  downMissed: number;
}

export class ReplyLanes {
  readonly #lanes = new Set<Lane>();

  constructor(
    readonly events: EventQueue,
    readonly rng: Rng,
    readonly counts: ReplyCounts,
    readonly send: (reply: Reply) => void,
    /** Sessions may have something for free slots. */
    readonly onRoom: () => void,
  ) {}

  /** A session begins. */
  serve(session: RequesterSession): void {
    const lane: Lane = { session, rate: 0, content: [], idle: [], removed: false };
    this.#lanes.add(lane);
    session.onContent(() => this.onRoom());
    session.onRate(() => this.#retune(lane));
    session.onClosed(() => {
      lane.removed = true;
      this.#lanes.delete(lane);
    });
    this.#retune(lane);
  }

  /** The requester has restarted. */
  clear(): void {
    for (const lane of this.#lanes) lane.removed = true;
    this.#lanes.clear();
  }

  feed(): void {
    for (const lane of this.#lanes) this.#feed(lane);
  }

  #retune(lane: Lane): void {
    const wasStopped = lane.rate === 0;
    lane.rate = lane.session.replyRatePerSecond;
    if (wasStopped && lane.rate > 0) this.#slot(lane);
  }

  #slot(lane: Lane): void {
    if (lane.rate === 0 || lane.removed) return;
    this.events.after(exponential(this.rng, 1000 / lane.rate), () => {
      if (lane.removed) return;
      const content = lane.content.shift();
      const reply = content ?? lane.idle.shift();
      if (content !== undefined) this.counts.downContent++;
      else if (reply !== undefined) this.counts.downDummy++;
      else this.counts.downMissed++;
      if (reply !== undefined) this.send(reply);
      this.onRoom();
      this.#slot(lane);
    });
  }

  #feed({ session, rate, content, idle }: Lane): void {
    const nowMs = monotonic(this.events.nowMs);
    const slots = rate === 0 ? Number.POSITIVE_INFINITY : Math.max(2, Math.ceil((rate * AHEAD_MS) / 1000));
    while (content.length < slots) {
      const reply = session.nextReply(nowMs);
      if (reply === undefined) break;
      if (rate > 0) {
        content.push(reply);
      } else {
        this.counts.downContent++;
        this.send(reply);
      }
    }
    const dummies = rate === 0 ? 0 : Math.max(2, Math.ceil((rate * DUMMIES_AHEAD_MS) / 1000));
    while (idle.length < dummies) {
      const reply = session.dummyReply(nowMs);
      if (reply === undefined) break;
      idle.push(reply);
    }
  }
}
