/**
 * The proxy's sessions on its endpoint: feeds the main lane from them and opens streams on them. Which sessions there
 * are, and whose, is the pool's business.
 *
 * Every main slot goes to a requester drawn from a law that is fixed for the proxy's life, and is filled with data or
 * padding; so the flow to the requesters does not show activity, nor how many sessions there are.
 * @module
 */
import type { MixEndpoint, ReplyReceiver } from '../client/index.ts';
import { contentSlots, type Frame, idleSlots, LaneFeeder } from '../client/index.ts';
import { every, type Timer } from '../clock.ts';
import type { Components, Running } from '../components.ts';
import type { NodeEntry } from '../directory/index.ts';
import { asMixError, MixError } from '../errors.ts';
import type { Lane, LaneStats } from '../link/index.ts';
import { HubStream } from './hub-stream.ts';
import { LanePump } from './lane-pump.ts';
import type { Place } from './places.ts';
import { ProxySession } from './proxy-session.ts';
import type { SessionMeter } from './session-meter.ts';
import { type Live, SessionPool } from './session-pool.ts';
import type { CloseReason, Downlink, SessionStream, StreamHandlers, StreamTarget } from './types.ts';

/** What the hub needs of an endpoint. */
export type HubEndpoint = Pick<
  MixEndpoint,
  | 'trafficClass'
  | 'topology'
  | 'surbLifeMs'
  | 'linkState'
  | 'linkDownMs'
  | 'addLane'
  | 'addFeeder'
  | 'onMoved'
  | 'onTopology'
  | 'sealTo'
  | 'sealDrop'
  | 'mintSurb'
>;

export interface ProxyHubOptions {
  /** Counts what the sessions do. */
  readonly meter?: SessionMeter;
  readonly components: Pick<Components, 'clock' | 'rng' | 'log'>;
  readonly endpoint: HubEndpoint;
  readonly downlink: Downlink;
  /** Which requesters may be used. */
  readonly requesters: () => readonly NodeEntry[];
  /** Over how many of them packets and replies are spread evenly; isolation tokens are, too. */
  readonly spread?: number;
  readonly accessToken?: Uint8Array;
}

/** A stream that waits for a session. */
interface Waiting {
  readonly stream: HubStream;
  readonly token: string;
  readonly port: number | undefined;
  readonly untilMs: number;
}

/** A link that was lost this long ago is about to be back, here or at another gateway: streams may wait for it. */
const LINK_LOSS_MS = 15_000;
/** How long a new stream waits for a session, and how many do. */
export const SESSION_WAIT_MS = 15_000;
export const MAX_WAITING_STREAMS = 256;
const HOUSEKEEPING_MS = 1_000;
/** Padding that stood ready this long is made anew. */
const RENEW_PADDING_MS = 20_000;

export class ProxyHub implements Running {
  readonly #options: ProxyHubOptions;
  readonly #feeder: LaneFeeder;
  readonly #lane: Lane;
  readonly #timers: readonly Timer[];
  readonly #pool: SessionPool;
  #waiting: Waiting[] = [];
  #turn = 0;
  readonly #pump: LanePump;
  #stopped = false;

  constructor(options: ProxyHubOptions) {
    this.#options = options;
    const { endpoint, components } = options;
    const { mainRate } = endpoint.trafficClass;
    this.#pool = new SessionPool({
      rng: components.rng,
      nowMs: () => this.#nowMs(),
      requesters: options.requesters,
      spread: options.spread ?? 1,
      rates: () => endpoint.trafficClass,
      makeSession: (nowMs) => this.#makeSession(nowMs),
    });
    this.#lane = endpoint.addLane({
      name: 'main',
      ratePerSecond: mainRate,
      contentSlots: contentSlots(mainRate),
      idleSlots: idleSlots(mainRate),
    });
    const source = { content: () => this.#content(), idle: () => this.#idle(), idleIsFree: true };
    this.#feeder = new LaneFeeder(this.#lane, source);
    this.#pump = new LanePump(components.clock, {
      feed: () => this.#feeder.feed(),
      nextDeadlineMs: () => Math.min(...this.sessions().map((session) => session.nextDeadlineMs())),
      tick: () => {
        for (const session of this.sessions()) session.tick(this.#nowMs());
      },
    });
    endpoint.addFeeder(() => this.#pump.run());
    endpoint.onMoved(() => this.#restartAll());
    endpoint.onTopology(() => this.#onTopology());
    this.#timers = [
      every(components.clock, HOUSEKEEPING_MS, () => this.#housekeep()),
      every(components.clock, RENEW_PADDING_MS, () => this.#feeder.renewIdle()),
    ];
    this.#housekeep();
  }

  /**
   * Opens a stream on the session of `token`, or on its next when there is none for the moment. Streams of different
   * tokens never share a session. A look-up goes to no port, and an association to any: `forPort` says for which one the
   * requester is to be chosen, if for any. Throws MixError NO_GATEWAY, NO_REQUESTER, LIMIT.
   */
  open(target: StreamTarget, handlers: StreamHandlers, token = '', forPort?: number): SessionStream {
    const { endpoint, requesters } = this.#options;
    if (endpoint.linkDownMs > LINK_LOSS_MS) throw new MixError('NO_GATEWAY', 'the gateway does not answer');
    if (requesters().length === 0) throw new MixError('NO_REQUESTER', 'no requester can be used');
    const port = target.kind === 'tcp' ? target.port : forPort;
    const stream = new HubStream(target, handlers, (lost) => this.#await(lost, token, port));
    // What the caller writes in this turn is to ride in the packet that opens the stream.
    return this.#pump.afterTurn(() => {
      const live = this.#pool.sessionFor(token, port);
      if (live === undefined) this.#await(stream, token, port);
      else if (this.#pool.isDeaf(live)) stream.fail('NO_REQUESTER');
      else stream.openOn(live.session, this.#nowMs());
      return stream;
    });
  }

  /** False when the requester of `stream` does not let `port` through, and another one would. */
  suits(stream: SessionStream, port: number): boolean {
    const session = stream instanceof HubStream ? stream.session : undefined;
    const live = this.#pool.lives.find((one) => one.session === session);
    return live === undefined || this.#pool.suits(live.requester, port);
  }

  /** Whether a stream opened now would go out at once: the link is up and every requester in use has answered. */
  get ready(): boolean {
    const { lives, places } = this.#pool;
    const answers = (live: Live) => live.session.state === 'open' && !this.#pool.isDeaf(live);
    const answered = (place: Place) => lives.some((live) => live.place === place && answers(live));
    return this.#options.endpoint.linkState === 'up' && places.length > 0 && places.every(answered);
  }

  sessions(): readonly ProxySession[] {
    return this.#pool.lives.map(({ session }) => session);
  }

  requesterOf(session: ProxySession): NodeEntry | undefined {
    return this.#pool.lives.find((live) => live.session === session)?.requester;
  }

  laneStats(): LaneStats {
    return this.#lane.stats();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.#pump.stop();
    for (const session of this.sessions()) session.abandon('shutdown', this.#nowMs());
    for (const { stream } of this.#waiting.splice(0)) stream.fail('SESSION_CLOSED');
  }

  /** Rates may be others, for everybody at once; padding is for keys of the new epoch. */
  #onTopology(): void {
    this.#lane.setRate(this.#options.endpoint.trafficClass.mainRate);
    this.#pool.shareRates();
    this.#feeder.renewIdle();
  }

  #nowMs(): number {
    return this.#options.components.clock.nowMs();
  }

  #makeSession(nowMs: number): ProxySession {
    const { components, endpoint, downlink, accessToken } = this.#options;
    const { mainRate, replyRate } = endpoint.trafficClass;
    const { meanDelayMs, payloadBytes } = endpoint.topology.params;
    const receiver: ReplyReceiver = { receive: (plaintext, atMs) => this.#receive(session, plaintext, atMs) };
    const session: ProxySession = new ProxySession(
      {
        rng: components.rng,
        payloadBytes,
        delay: { meanDelayMs, mixHops: 3 },
        mainRatePerSecond: mainRate,
        replyRatePerSecond: replyRate,
        downlink,
        surbLifeMs: endpoint.surbLifeMs,
        ...(accessToken === undefined ? {} : { accessToken }),
        mintSurb: () => endpoint.mintSurb(receiver),
      },
      nowMs,
    );
    this.#options.meter?.begun(session);
    session.onContent(() => this.#pump.run());
    session.onClosed((reason) => this.#ended(session, reason));
    return session;
  }

  /** Has `stream` opened on the token's next session. */
  #await(stream: HubStream, token: string, port: number | undefined): void {
    if (this.#waiting.length >= MAX_WAITING_STREAMS) stream.fail('LIMIT');
    else this.#waiting.push({ stream, token, port, untilMs: this.#nowMs() + SESSION_WAIT_MS });
  }

  /** Opens what waits as far as there are sessions now; gives up what has waited too long. */
  #openWaiting(): void {
    const nowMs = this.#nowMs();
    for (const waiting of this.#waiting.splice(0)) {
      const { stream, token, port, untilMs } = waiting;
      if (stream.ended) continue;
      const live = this.#sessionOrFail(stream, token, port);
      if (stream.ended) continue;
      if (live !== undefined && this.#pool.isDeaf(live)) stream.fail('NO_REQUESTER');
      else if (live !== undefined) stream.openOrFail(live.session, nowMs);
      else if (untilMs <= nowMs) stream.fail('NO_REQUESTER');
      else this.#waiting.push(waiting);
    }
  }

  #sessionOrFail(stream: HubStream, token: string, port: number | undefined): Live | undefined {
    try {
      return this.#pool.sessionFor(token, port);
    } catch (error) {
      stream.fail(asMixError(error).code);
      return undefined;
    }
  }

  #receive(session: ProxySession, plaintext: Uint8Array, nowMs: number): void {
    this.#pump.afterTurn(() => session.receive(plaintext, nowMs));
  }

  #ended(session: ProxySession, reason: CloseReason): void {
    if (reason !== 'done' && !this.#stopped) this.#options.components.log.info({ reason }, 'session ended');
    this.#options.meter?.ended(session);
    if (this.#stopped) return;
    this.#pool.ended(session, reason);
    this.#openWaiting();
  }

  #housekeep(): void {
    this.#pool.housekeep();
    for (const { session } of this.#pool.listen(this.#options.endpoint.linkState === 'up')) {
      this.#options.components.log.warn({}, 'the requester does not answer: new streams are refused until it does');
      session.refuseOpening('NO_REQUESTER', this.#nowMs());
    }
    this.#openWaiting();
    this.#pump.run();
  }

  /** All reply blocks lead to a gateway that is gone: what the sessions believe of their stock is void. */
  #restartAll(): void {
    for (const session of this.sessions()) session.replyBlocksLost(this.#nowMs());
    this.#pump.run();
  }

  /**
   * The requester is drawn before it is known who has something to send: where it has nothing itself, a slot that
   * others would use goes to it all the same.
   */
  #content(): Frame | undefined {
    const nowMs = this.#nowMs();
    const { lives } = this.#pool;
    if (!lives.some(({ session }) => session.hasContent(nowMs))) return undefined;
    const place = this.#pool.draw();
    const there = lives.filter((live) => live.place === place);
    return there.length === lives.length ? this.#dataFrom(lives) : (this.#dataFrom(there) ?? this.#paddingFor(there));
  }

  /** Round robin over the sessions that have something to send. */
  #dataFrom(lives: readonly Live[]): Frame | undefined {
    const nowMs = this.#nowMs();
    for (let i = 0; i < lives.length; i++) {
      const live = lives[this.#turn++ % lives.length] as Live;
      if (!live.session.hasContent(nowMs)) continue;
      const plaintext = live.session.fill(nowMs);
      if (plaintext === undefined) continue;
      const sealed = this.#options.endpoint.sealTo(this.#listed(live), plaintext);
      if (sealed === undefined) return undefined;
      live.session.routeDelayDrawn(sealed.delayMs);
      return sealed;
    }
    return undefined;
  }

  #idle(): Frame | undefined {
    const place = this.#pool.draw();
    return this.#paddingFor(this.#pool.lives.filter((live) => live.place === place));
  }

  /** Padding of one of the sessions at a place. */
  #paddingFor(lives: readonly Live[]): Frame | undefined {
    const { endpoint } = this.#options;
    const live = lives[this.#turn++ % lives.length];
    if (live === undefined) return endpoint.sealDrop();
    return endpoint.sealTo(this.#listed(live), live.session.padding(this.#nowMs()));
  }

  /** The requester as the newest consensus has it: its keys and gateway change. */
  #listed(live: Live): NodeEntry {
    return this.#options.endpoint.topology.byId(live.requester.id) ?? live.requester;
  }
}
