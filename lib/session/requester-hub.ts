/**
 * The requester's sessions on its endpoint: a lane of the link for each, whose clock runs at the rate that the proxy
 * asked for, filled with data or dummies. Burst sessions get a lane without a clock; the session paces it.
 * @module
 */
import type { MixEndpoint } from '../client/index.ts';
import { contentSlots, type Frame, LaneFeeder } from '../client/index.ts';
import { every, type Timer } from '../clock.ts';
import type { Components, Running } from '../components.ts';
import { asMixError, MixError } from '../errors.ts';
import type { Lane } from '../link/index.ts';
import { keyGraceMs } from '../params.ts';
import { LanePump } from './lane-pump.ts';
import type { RequesterSession } from './requester-session.ts';
import type { SessionMeter } from './session-meter.ts';
import { SessionTable } from './session-table.ts';
import type { AcceptHandler, Reply, SessionLimits } from './types.ts';

/** The part of a MixEndpoint that a requester's sessions use. */
export type RequesterEndpoint = Pick<
  MixEndpoint,
  'topology' | 'surbUsable' | 'addLane' | 'addFeeder' | 'onTopology' | 'sealReply'
>;

export interface RequesterHubOptions {
  /** Counts what the sessions do. */
  readonly meter?: SessionMeter;
  readonly components: Pick<Components, 'clock' | 'rng'>;
  readonly endpoint: RequesterEndpoint;
  readonly accept: AcceptHandler;
  readonly accessToken?: Uint8Array;
  readonly maxSessions?: number;
  readonly limits?: Partial<SessionLimits>;
}

interface Served {
  readonly session: RequesterSession;
  lane: Lane;
  feeder: LaneFeeder;
}

/** Dummies that stand ready per session: they bind reply blocks, so fewer than a proxy's padding. */
const DUMMIES_AHEAD_MS = 60;
const BURST_SLOTS = 16;
const ANSWER_SLOTS = 16;
/** Dummies that stood ready this long are made anew: less than the margin in the life of their reply blocks. */
const RENEW_DUMMIES_MS = 20_000;
/** The highest reply rate a proxy gets; asks for more are cut to it. */
export const MAX_REPLY_RATE = 2_000;
/** The clocks of all sessions together: they tick whether there are reply blocks or not, and what they ask for is free. */
export const MAX_TOTAL_REPLY_RATE = 20_000;

export class RequesterHub implements Running {
  readonly #options: RequesterHubOptions;
  readonly #table: SessionTable;
  readonly #served = new Set<Served>();
  readonly #answers: LaneFeeder;
  readonly #renewal: Timer;
  readonly #pump: LanePump;

  constructor(options: RequesterHubOptions) {
    this.#options = options;
    const { endpoint, components, accessToken, maxSessions, limits } = options;
    const { epochMs, meanDelayMs, payloadBytes } = endpoint.topology.params;
    this.#table = new SessionTable({
      rng: components.rng,
      payloadBytes,
      delay: { meanDelayMs, mixHops: 3 },
      accept: options.accept,
      surbUsable: (surb372) => endpoint.surbUsable(surb372),
      ...(accessToken === undefined ? {} : { accessToken }),
      ...(maxSessions === undefined ? {} : { maxSessions }),
      ...(limits === undefined ? {} : { limits }),
      memoryMs: epochMs + 2 * keyGraceMs(epochMs),
    });
    const lane = endpoint.addLane({
      name: 'answers',
      ratePerSecond: 0,
      contentSlots: ANSWER_SLOTS,
      idleSlots: 1,
      immediate: true,
    });
    this.#answers = new LaneFeeder(lane, {
      content: () => this.#seal(this.#table.nextAnswer(this.#nowMs())),
      idle: () => undefined,
    });
    this.#table.onSession((session) => this.#serve(session));
    this.#pump = new LanePump(components.clock, {
      feed: () => this.#fill(),
      nextDeadlineMs: () => this.#table.nextDeadlineMs(),
      tick: () => this.#table.tick(this.#nowMs()),
    });
    endpoint.addFeeder(() => this.#pump.run());
    endpoint.onTopology(() => this.#renewDummies());
    this.#renewal = every(components.clock, RENEW_DUMMIES_MS, () => this.#renewDummies());
  }

  /** Takes the plaintext of a packet that ended here. */
  receive(plaintext: Uint8Array): void {
    this.#pump.afterTurn(() => this.#table.receive(plaintext, this.#nowMs()));
  }

  stats() {
    return this.#table.stats();
  }

  sessions(): RequesterSession[] {
    return [...this.#table.sessions()];
  }

  /** Tells the proxies as far as that goes, then forgets everything. */
  async stop(): Promise<void> {
    this.#table.closeAll('shutdown', this.#nowMs());
    this.#pump.stop();
    for (let more = true; more; ) more = this.#fill();
    this.#renewal.cancel();
  }

  #nowMs(): number {
    return this.#options.components.clock.nowMs();
  }

  #serve(session: RequesterSession): void {
    const lane = this.#laneFor(session, 0);
    if (lane === undefined) return;
    const served: Served = { session, ...lane };
    this.#served.add(served);
    this.#options.meter?.begun(session);
    session.onContent(() => this.#pump.run());
    session.onRate(() => this.#retune(served));
    session.onClosed(() => {
      this.#served.delete(served);
      this.#options.meter?.ended(session);
      served.lane.remove();
    });
  }

  /** A lane as the session wants it. */
  #laneFor(session: RequesterSession, beforePerSecond: number): Pick<Served, 'lane' | 'feeder'> | undefined {
    return this.#within(session, () => this.#openLane(session, this.#granted(session, beforePerSecond)));
  }

  /** Any client can ask until there is no more: that must end its session, and not the requester. */
  #within<Result>(session: RequesterSession, grant: () => Result): Result | undefined {
    try {
      return grant();
    } catch (error) {
      if (asMixError(error).code !== 'LIMIT') throw error;
      session.close('limit', this.#nowMs());
      return undefined;
    }
  }

  /** What its clock may run at, instead of `beforePerSecond`. Throws LIMIT when there is not so much left. */
  #granted(session: RequesterSession, beforePerSecond: number): number {
    const ratePerSecond = Math.min(session.replyRatePerSecond, MAX_REPLY_RATE);
    let total = ratePerSecond - beforePerSecond;
    for (const { lane } of this.#served) total += lane.stats().set;
    if (total <= MAX_TOTAL_REPLY_RATE || ratePerSecond <= beforePerSecond) return ratePerSecond;
    throw new MixError('LIMIT', `the clocks of all sessions make at most ${MAX_TOTAL_REPLY_RATE} replies per second`);
  }

  #openLane(session: RequesterSession, ratePerSecond: number): Pick<Served, 'lane' | 'feeder'> {
    const immediate = session.downlink === 'burst';
    const lane = this.#options.endpoint.addLane({
      name: 'reply',
      ratePerSecond,
      contentSlots: immediate ? BURST_SLOTS : contentSlots(ratePerSecond),
      idleSlots: Math.max(2, Math.ceil((ratePerSecond * DUMMIES_AHEAD_MS) / 1000)),
      immediate,
    });
    const feeder = new LaneFeeder(lane, {
      content: () => this.#seal(session.nextReply(this.#nowMs())),
      idle: () => (immediate ? undefined : this.#seal(session.dummyReply(this.#nowMs()))),
    });
    return { lane, feeder };
  }

  /** The rate changed: the same lane at another speed, or another kind of lane. */
  #retune(served: Served): void {
    const { session, lane } = served;
    const before = lane.stats().set;
    if (session.downlink === 'steady' && before > 0 && session.replyRatePerSecond <= 2 * before) {
      this.#within(session, () => lane.setRate(this.#granted(session, before)));
    } else {
      lane.remove();
      Object.assign(served, this.#laneFor(session, before));
    }
    this.#pump.run();
  }

  #seal(reply: Reply | undefined): Frame | undefined {
    return reply === undefined ? undefined : this.#options.endpoint.sealReply(reply.surb372, reply.plaintext);
  }

  #renewDummies(): void {
    for (const { feeder } of this.#served) feeder.renewIdle();
  }

  /** Feeds all lanes; true when one still misses something. */
  #fill(): boolean {
    let wantsMore = this.#answers.feed();
    for (const { feeder } of this.#served) wantsMore = feeder.feed() || wantsMore;
    return wantsMore;
  }
}
