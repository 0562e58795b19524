/**
 * The requester's sessions on its endpoint: a lane of the link for each, whose clock runs at the rate that the proxy
 * asked for, filled with data or dummies. Burst sessions get a lane without a clock; the session paces it.
 * @module
 */

import { every, type Timer } from '../../core/clock.ts';
import { lawTimes } from '../../core/delay-law.ts';
import { asMixError } from '../../core/errors.ts';
import { maxMin } from '../../core/max-min.ts';
import { keyGraceMs, packetBytes } from '../../core/params.ts';
import type { MonotonicMs } from '../../core/units.ts';
import { contentSlots, LaneFeeder, type LaneFrame } from '../../endpoint/index.ts';
import type { Lane } from '../../link/index.ts';
import type { Running } from '../../runtime/components.ts';
import type { Reply } from '../../transport/types.ts';
import { SessionDriver } from '../session-driver.ts';
import { MismatchLog } from '../versions.ts';
import { paidRate, replyTerms } from './admission.ts';
import { acceptUnless, streamsEnded } from './drain.ts';
import type { RequesterEndpoint, RequesterHubOptions } from './hub-options.ts';
import { sendLastAnswers } from './last-answers.ts';
import type { RequesterSession } from './requester-session.ts';
import { SessionTable } from './session-table.ts';

/** A link to a gateway. */
interface Way {
  readonly endpoint: RequesterEndpoint;
  readonly answers: LaneFeeder;
}

interface Served {
  readonly session: RequesterSession;
  /** Replies leave by the gateway through which the session's packets come. */
  way: Way;
  /** When a packet last came that way. */
  receivedMs: MonotonicMs;
  lane: Lane;
  feeder: LaneFeeder;
  /** The rate for which the rings of the lane are large enough. */
  readonly sizedFor: number;
}

/** Dummies that stand ready per session: they bind reply blocks, so fewer than a proxy's padding. */
const DUMMIES_AHEAD_MS = 60;
const UNCLOCKED_SLOTS = 16; // of a lane without a clock
/** Dummies that stood ready this long are made anew: less than the margin in the life of their reply blocks. */
const RENEW_DUMMIES_MS = 20_000;
/** A session moves when no packet has come its own way for this long, and for longer than packets are overtaken. */
const MOVE_AFTER_MS = 1_000;
/** The highest reply rate a proxy gets; asks for more are cut to it. */
export const MAX_REPLY_RATE = 2_000;
/** The clocks of all sessions together: beyond it they share it max-min. */
export const MAX_TOTAL_REPLY_RATE = 20_000;
/** Reply rates follow what sessions pay this often. */
export const SHARE_PERIOD_MS = 250;
/** How often it is looked what the machine achieves. */
const LOAD_PERIOD_MS = 1_000;
/** Changes below this are not worth a message to the link. */
const LEAST_CHANGE = 0.02;

export class RequesterHub implements Running {
  readonly #table: SessionTable;
  readonly #served = new Map<RequesterSession, Served>();
  readonly #ways: Way[] = [];
  /** Of the packet that is being read. */
  #arriving: Way | undefined;
  /** Replies that were made since the load was last looked at. */
  #made = 0;
  #draining = false;
  #timers: readonly Timer[] = [];
  readonly #driver: SessionDriver;

  constructor(private readonly options: RequesterHubOptions) {
    const { endpoint, components, accessToken, maxSessions, limits } = options;
    const { epochMs, payloadBytes } = endpoint.topology.params;
    const mismatches = new MismatchLog(components.clock, components.log);
    this.#table = new SessionTable({
      rng: components.rng,
      payloadBytes,
      terms: () => ({ delay: endpoint.laws, params: endpoint.topology.params.session }),
      accept: acceptUnless(() => this.#draining, options.accept, components.clock),
      surbUsable: (surb372) => endpoint.surbUsable(surb372),
      onOtherVersion: (version) => mismatches.proxyRefused(version),
      ...(accessToken === undefined ? {} : { accessToken }),
      ...(maxSessions === undefined ? {} : { maxSessions }),
      ...(limits === undefined ? {} : { limits }),
      ...(components.memory === undefined ? {} : { memory: components.memory }),
      memoryMs: epochMs + 2 * keyGraceMs(epochMs),
    });
    this.#table.onSession((session) => this.#serve(session));
    this.#driver = new SessionDriver(components.clock, this.#table, () => this.#fill());
  }

  /** Begins to serve what `receive` takes. */
  start(): void {
    const { endpoint, components } = this.options;
    this.attach(endpoint);
    this.#timers = [
      every(components.clock, RENEW_DUMMIES_MS, () => this.#renewDummies()),
      every(components.clock, SHARE_PERIOD_MS, () => this.#shareRates()),
      every(components.clock, LOAD_PERIOD_MS, () => this.#observeLoad()),
    ];
  }

  /** Serves over another link as well. */
  attach(endpoint: RequesterEndpoint): void {
    const lane = endpoint.addLane({
      name: 'answers',
      ratePerSecond: 0,
      contentSlots: UNCLOCKED_SLOTS,
      idleSlots: 1,
      immediate: true,
    });
    const answers = new LaneFeeder(lane, {
      // What is given to a link that is down is lost, and another may be up.
      content: () =>
        endpoint.linkState === 'up' ? this.#seal(endpoint, this.#table.nextAnswer(this.#nowMs())) : undefined,
      idle: () => undefined,
    });
    this.#ways.push({ endpoint, answers });
    endpoint.addFeeder(() => this.#driver.run());
    endpoint.onTopology(() => this.#renewDummies());
  }

  /** Takes the plaintext of a packet that ended here, and came over the link of `endpoint`. */
  receive(plaintext: Uint8Array, endpoint: RequesterEndpoint = this.options.endpoint): void {
    const nowMs = this.#nowMs();
    this.#arriving = this.#ways.find((way) => way.endpoint === endpoint);
    this.#driver.afterTurn(() => {
      const session = this.#table.receive(plaintext, nowMs);
      const served = session === undefined ? undefined : this.#served.get(session);
      if (served !== undefined && this.#arriving !== undefined) this.#follow(served, this.#arriving, nowMs);
    });
  }

  /** Replies per second that all sessions together may have. */
  get replyCapacity(): number {
    const { maxTotalReplyRate = MAX_TOTAL_REPLY_RATE, load } = this.options;
    return Math.min(maxTotalReplyRate, load?.capacity.perSecond ?? Number.POSITIVE_INFINITY);
  }

  stats() {
    return this.#table.stats();
  }

  /** Packets per second that the session with this key sends. */
  paidRate(key: string): number {
    return this.#table.paidRate(key, this.#nowMs());
  }

  sessions(): RequesterSession[] {
    return [...this.#table.sessions()];
  }

  /** Takes no more sessions and streams. Resolves when those that are open have ended, `maxMs` at the latest; `stop` is to follow. */
  async drain(maxMs: number): Promise<void> {
    this.#draining = true;
    this.#table.drain();
    await streamsEnded(() => this.#table.sessions(), this.options.components.clock, maxMs);
  }

  /** Sends CLOSE to the proxies as far as there are reply blocks, then forgets everything. */
  async stop(): Promise<void> {
    this.#table.closeAll('shutdown', this.#nowMs());
    this.#driver.stop();
    for (const timer of this.#timers) timer.cancel();
    const left = () => this.#table.hasAnswers && this.#ways.some(({ endpoint }) => endpoint.linkState === 'up');
    await sendLastAnswers(() => this.#fill(), left, this.options.components.clock);
  }

  #nowMs(): MonotonicMs {
    return this.options.components.clock.nowMs();
  }

  #serve(session: RequesterSession): void {
    const way = this.#arriving ?? this.#ways[0];
    const lane = way && this.#laneFor(session, way);
    if (way === undefined || lane === undefined) return;
    const served: Served = { session, way, receivedMs: this.#nowMs(), ...lane };
    this.#served.set(session, served);
    this.options.meter?.begun(session);
    session.onContent(() => this.#driver.run());
    session.onRate(() => this.#retune(served));
    session.onClosed(() => {
      this.#served.delete(session);
      this.options.meter?.ended(session);
      served.lane.remove();
    });
  }

  /** The proxy has gone over to another of our gateways, or the link to the one it used is down: replies follow. */
  #follow(served: Served, way: Way, nowMs: MonotonicMs): void {
    if (served.way !== way) {
      const { oneWayQuantileMs } = lawTimes(this.options.endpoint.laws.underWay(nowMs));
      const isSilent = nowMs - served.receivedMs >= Math.max(MOVE_AFTER_MS, oneWayQuantileMs);
      if (served.way.endpoint.linkState === 'up' && !isSilent) return;
      this.#reopen(Object.assign(served, { way }));
    }
    served.receivedMs = nowMs;
  }

  /** A lane as the session wants it. Any client can ask until there is none: that ends its session, and not the requester. */
  #laneFor(session: RequesterSession, { endpoint }: Way): Pick<Served, 'lane' | 'feeder' | 'sizedFor'> | undefined {
    try {
      return this.#openLane(session, endpoint);
    } catch (error) {
      if (asMixError(error).code !== 'LIMIT') throw error;
      session.close('limit', this.#nowMs());
      return undefined;
    }
  }

  #openLane(session: RequesterSession, endpoint: RequesterEndpoint): Pick<Served, 'lane' | 'feeder' | 'sizedFor'> {
    const immediate = session.downlink === 'burst';
    const sizedFor = this.#mostFor(session);
    const slots = {
      contentSlots: immediate ? UNCLOCKED_SLOTS : contentSlots(sizedFor),
      idleSlots: Math.max(2, Math.ceil((sizedFor * DUMMIES_AHEAD_MS) / 1000)),
    };
    session.laneBytes = (slots.contentSlots + slots.idleSlots) * packetBytes(endpoint.topology.params.payloadBytes);
    const lane = endpoint.addLane({ name: 'reply', ratePerSecond: this.#wantedBy(session), ...slots, immediate });
    const feeder = new LaneFeeder(lane, {
      content: () => this.#seal(endpoint, session.nextReply(this.#nowMs())),
      idle: () => (immediate ? undefined : this.#seal(endpoint, session.dummyReply(this.#nowMs()))),
    });
    return { lane, feeder, sizedFor };
  }

  get #terms() {
    return replyTerms(this.options.endpoint.topology.params.classes);
  }

  /** What the clock of a session runs at, at most, whatever it pays. */
  #mostFor(session: RequesterSession): number {
    return Math.min(session.replyRatePerSecond, MAX_REPLY_RATE, this.#terms.maxRate);
  }

  #wantedBy(session: RequesterSession): number {
    return Math.min(this.#mostFor(session), paidRate(session.paid.rate(this.#nowMs()), this.#terms));
  }

  /** All clocks run at what their sessions have paid for, or at their shares. */
  #shareRates(): void {
    const steady = [...this.#served.values()].filter(({ session }) => session.downlink === 'steady');
    const wanted = steady.map(({ session }) => this.#wantedBy(session));
    const shares = maxMin(wanted, this.replyCapacity);
    for (const [i, { lane }] of steady.entries()) {
      const [rate = 0, before] = [shares[i], lane.stats().set];
      if (rate === wanted[i] ? Math.abs(rate - before) > LEAST_CHANGE * rate : rate !== before) lane.setRate(rate);
    }
  }

  /** The rate changed: the same lane at another speed, or another kind of lane. */
  #retune(served: Served): void {
    const { session, lane, sizedFor } = served;
    const isSteady = session.downlink === 'steady' && lane.stats().set > 0;
    if (!isSteady || this.#mostFor(session) > 2 * sizedFor) this.#reopen(served);
    this.#shareRates();
    this.#driver.run();
  }

  #reopen(served: Served): void {
    served.lane.remove();
    Object.assign(served, this.#laneFor(served.session, served.way));
  }

  #observeLoad(): void {
    const { load } = this.options;
    load?.capacity.observe({ packets: this.#made, busyShare: load.busyShare() }, this.#nowMs());
    this.#made = 0;
  }

  #seal(endpoint: RequesterEndpoint, reply: Reply | undefined): LaneFrame | undefined {
    if (reply !== undefined) this.#made += 1;
    return reply && endpoint.sealReply(reply.surb372, reply.plaintext);
  }

  #renewDummies(): void {
    for (const { feeder } of this.#served.values()) feeder.renewIdle();
  }

  /** Feeds all lanes; true when one still misses something. */
  #fill(): boolean {
    let wantsMore = false;
    for (const { answers } of this.#ways) wantsMore = answers.feed() || wantsMore;
    for (const { feeder } of this.#served.values()) wantsMore = feeder.feed() || wantsMore;
    return wantsMore;
  }
}
