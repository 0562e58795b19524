/**
 * The proxy's sessions on its endpoint: feeds the main lane from them, turns them over every ten minutes, and starts a
 * new one when the requester forgot or left the old.
 *
 * Every main slot goes to a requester drawn from a law that is fixed for the proxy's life (here: all weight on one), and
 * is filled with data or padding; so the flow to the requester does not show activity.
 * @module
 */
import type { MixEndpoint } from '../client/index.ts';
import { contentSlots, type Frame, idleSlots, LaneFeeder } from '../client/index.ts';
import { every, type Timer } from '../clock.ts';
import type { Components, Running } from '../components.ts';
import type { NodeEntry } from '../directory/index.ts';
import { MixError } from '../errors.ts';
import type { Lane, LaneStats } from '../link/index.ts';
import { pick } from '../rng.ts';
import { HubStream } from './hub-stream.ts';
import { ProxySession } from './proxy-session.ts';
import type { CloseReason, Downlink, SessionStream, StreamHandlers, StreamTarget } from './types.ts';

export interface ProxyHubOptions {
  readonly components: Components;
  readonly endpoint: MixEndpoint;
  readonly downlink: Downlink;
  /** Which requesters may be used; one of them is drawn. */
  readonly requesters: () => readonly NodeEntry[];
  readonly accessToken?: Uint8Array;
}

interface Live {
  readonly session: ProxySession;
  readonly requester: NodeEntry;
  readonly bornMs: number;
}

/** New streams open on a new session after this time; an old one lives until its streams end. */
export const SESSION_ROTATION_MS = 600_000;
/** Sessions of one proxy at a time, draining ones included; at the bound rotation waits. */
export const MAX_PROXY_SESSIONS = 8;
/** A session that closed at once is not started anew before this time: a requester that refuses is not hammered. */
const RESTART_DELAY_MS = 1_000;
/** A link that was lost this long ago is about to be back, here or at another gateway: streams may wait for it. */
const LINK_LOSS_MS = 15_000;
/** How long a new stream waits for a session, and how many do. */
export const SESSION_WAIT_MS = 15_000;
export const MAX_WAITING_STREAMS = 256;
const IDLE_REFILL_MS = 2;
const HOUSEKEEPING_MS = 1_000;
/** Padding that stood ready this long is made anew. */
const RENEW_PADDING_MS = 20_000;

export class ProxyHub implements Running {
  readonly #options: ProxyHubOptions;
  readonly #feeder: LaneFeeder;
  readonly #lane: Lane;
  readonly #timers: readonly Timer[];
  #live: Live[] = [];
  #waiting: { readonly stream: HubStream; readonly untilMs: number }[] = [];
  #current: Live | undefined;
  #turn = 0;
  #deadline: { atMs: number; timer: Timer } | undefined;
  #refill: Timer | undefined;
  #feeding = false;
  #stopped = false;
  #notBeforeMs = 0;

  constructor(options: ProxyHubOptions) {
    this.#options = options;
    const { endpoint, components } = options;
    const { mainRate } = endpoint.trafficClass;
    this.#lane = endpoint.addLane({
      name: 'main',
      ratePerSecond: mainRate,
      contentSlots: contentSlots(mainRate),
      idleSlots: idleSlots(mainRate),
    });
    this.#feeder = new LaneFeeder(this.#lane, { content: () => this.#content(), idle: () => this.#idle() });
    endpoint.addFeeder(() => this.#feed());
    endpoint.onMoved(() => this.#restartAll());
    endpoint.onTopology(() => this.#feeder.renewIdle());
    this.#timers = [
      every(components.clock, HOUSEKEEPING_MS, () => this.#housekeep()),
      every(components.clock, RENEW_PADDING_MS, () => this.#feeder.renewIdle()),
    ];
    this.#housekeep();
  }

  /**
   * Opens a stream on the current session, or on the next when there is none for the moment. Throws MixError NO_GATEWAY,
   * NO_REQUESTER, LIMIT.
   */
  open(target: StreamTarget, handlers: StreamHandlers): SessionStream {
    const { endpoint, requesters } = this.#options;
    if (endpoint.linkDownMs > LINK_LOSS_MS) throw new MixError('NO_GATEWAY', 'the gateway does not answer');
    if (requesters().length === 0) throw new MixError('NO_REQUESTER', 'no requester can be used');
    const stream = new HubStream(target, handlers, (lost) => this.#await(lost));
    // What the caller writes in this turn is to ride in the packet that opens the stream.
    this.#feeding = true;
    try {
      const current = this.#current ?? this.#startSession();
      if (current === undefined) this.#await(stream);
      else stream.openOn(current.session, this.#nowMs());
      return stream;
    } finally {
      this.#feeding = false;
      queueMicrotask(() => this.#feed());
    }
  }

  /** Whether a stream opened now would go out at once: the link is up and the requester has answered. */
  get ready(): boolean {
    return this.#options.endpoint.linkState === 'up' && this.#current?.session.state === 'open';
  }

  get requester(): NodeEntry | undefined {
    return this.#current?.requester;
  }

  sessions(): readonly ProxySession[] {
    return this.#live.map(({ session }) => session);
  }

  laneStats(): LaneStats {
    return this.#lane.stats();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.#deadline?.timer.cancel();
    this.#refill?.cancel();
    for (const { session } of [...this.#live]) session.abandon('shutdown', this.#nowMs());
    for (const { stream } of this.#waiting.splice(0)) stream.fail('SESSION_CLOSED');
  }

  #nowMs(): number {
    return this.#options.components.clock.nowMs();
  }

  #startSession(): Live | undefined {
    const { components, endpoint, downlink, accessToken } = this.#options;
    const nowMs = this.#nowMs();
    const requester = this.#pickRequester();
    if (requester === undefined || this.#live.length >= MAX_PROXY_SESSIONS || nowMs < this.#notBeforeMs)
      return undefined;
    const { mainRate, replyRate } = endpoint.trafficClass;
    const { meanDelayMs, payloadBytes } = endpoint.topology.params;
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
        mintSurb: () => endpoint.mintSurb({ receive: (plaintext, atMs) => this.#receive(session, plaintext, atMs) }),
      },
      nowMs,
    );
    const live: Live = { session, requester, bornMs: nowMs };
    session.onContent(() => this.#feed());
    session.onClosed((reason) => this.#ended(live, reason));
    this.#live.push(live);
    this.#current = live;
    this.#shareRates();
    return live;
  }

  /** Has `stream` opened on the next session. */
  #await(stream: HubStream): void {
    if (this.#waiting.length >= MAX_WAITING_STREAMS) stream.fail('LIMIT');
    else this.#waiting.push({ stream, untilMs: this.#nowMs() + SESSION_WAIT_MS });
  }

  /** Opens what waits on the current session, if there is one now; gives up what has waited too long. */
  #openWaiting(): void {
    const nowMs = this.#nowMs();
    const session = this.#current?.session;
    for (const { stream, untilMs } of this.#waiting.splice(0)) {
      if (stream.ended) continue;
      if (session !== undefined) stream.openOrFail(session, nowMs);
      else if (untilMs <= nowMs) stream.fail('NO_REQUESTER');
      else this.#waiting.push({ stream, untilMs });
    }
  }

  /** The requester of the running session while it is listed; else one drawn anew. */
  #pickRequester(): NodeEntry | undefined {
    const usable = this.#options.requesters();
    const known = this.#current?.requester.id;
    return usable.find((node) => node.id === known) ?? pick(this.#options.components.rng, usable);
  }

  #receive(session: ProxySession, plaintext: Uint8Array, nowMs: number): void {
    session.receive(plaintext, nowMs);
    this.#feed();
  }

  #ended(live: Live, reason: CloseReason): void {
    this.#live = this.#live.filter((other) => other !== live);
    const nowMs = this.#nowMs();
    if (reason !== 'done' && !this.#stopped) {
      this.#options.components.log.info({ reason }, 'session ended');
      this.#notBeforeMs = nowMs - live.bornMs < RESTART_DELAY_MS ? nowMs + RESTART_DELAY_MS : nowMs;
    }
    if (this.#current === live) this.#current = undefined;
    if (this.#stopped) return;
    if (this.#current === undefined) this.#startSession();
    this.#openWaiting();
    this.#shareRates();
  }

  /** The sum of the reply clocks stays the class's rate, however many sessions share it. */
  #shareRates(): void {
    const { mainRate, replyRate } = this.#options.endpoint.trafficClass;
    const nowMs = this.#nowMs();
    for (const { session } of this.#live) {
      session.setReplyRate(replyRate / this.#live.length, nowMs);
      session.setMainRate(mainRate / this.#live.length);
    }
  }

  #housekeep(): void {
    const current = this.#current;
    if (current === undefined) {
      this.#startSession();
    } else {
      const listed = this.#options.requesters().some((node) => node.id === current.requester.id);
      const old = this.#nowMs() - current.bornMs >= SESSION_ROTATION_MS;
      if ((old || !listed) && this.#live.length < MAX_PROXY_SESSIONS && this.#startSession() !== undefined) {
        current.session.drain(this.#nowMs());
      }
    }
    this.#openWaiting();
    this.#feed();
  }

  /** All reply blocks lead to a gateway that is gone: what the sessions believe of their stock is void. */
  #restartAll(): void {
    for (const { session } of this.#live) session.replyBlocksLost(this.#nowMs());
    this.#feed();
  }

  #feed(): void {
    if (this.#feeding || this.#stopped) return; // sessions call back into here while they are being asked
    this.#feeding = true;
    const wantsMore = this.#feeder.feed();
    this.#feeding = false;
    if (wantsMore && this.#refill === undefined) {
      this.#refill = this.#options.components.clock.after(IDLE_REFILL_MS, () => {
        this.#refill = undefined;
        this.#feed();
      });
    }
    this.#armDeadline();
  }

  /** Round robin over the sessions that have something to send. */
  #content(): Frame | undefined {
    const nowMs = this.#nowMs();
    for (let i = 0; i < this.#live.length; i++) {
      const live = this.#live[this.#turn++ % this.#live.length] as Live;
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
    const { endpoint } = this.#options;
    const live = this.#current ?? this.#live[0];
    if (live === undefined) return endpoint.sealDrop();
    return endpoint.sealTo(this.#listed(live), live.session.padding(this.#nowMs()));
  }

  /** The requester as the newest consensus has it: its keys and gateway change. */
  #listed(live: Live): NodeEntry {
    return this.#options.endpoint.topology.byId(live.requester.id) ?? live.requester;
  }

  #armDeadline(): void {
    const atMs = Math.min(...this.#live.map(({ session }) => session.nextDeadlineMs()));
    if (this.#deadline?.atMs === atMs) return;
    this.#deadline?.timer.cancel();
    this.#deadline = undefined;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const timer = this.#options.components.clock.after(atMs - this.#nowMs(), () => {
      this.#deadline = undefined;
      for (const { session } of [...this.#live]) session.tick(this.#nowMs());
      this.#feed();
    });
    this.#deadline = { atMs, timer };
  }
}
