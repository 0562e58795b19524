/**
 * The proxy's sessions on its endpoint: fills the main lane from them and opens streams on them. The pool decides whose they are.
 *
 * Every main slot goes to an exit drawn uniformly from those in use, and is filled with data or padding; so the flow to the
 * exits does not show activity, nor how many sessions there are.
 * @module
 */
import { every, type Timer } from '../../core/clock.ts';
import { asMixError, MixError } from '../../core/errors.ts';
import type { MonotonicMs } from '../../core/units.ts';
import type { NodeEntry } from '../../directory/index.ts';
import { contentSlots, idleSlots, LaneFeeder, type ReplyReceiver } from '../../endpoint/index.ts';
import type { Lane, LaneStats } from '../../link/index.ts';
import type { Running } from '../../runtime/components.ts';
import { sessionMemory } from '../../transport/session-memory.ts';
import type { CloseReason, SessionStream, StreamHandlers, StreamTarget } from '../../transport/types.ts';
import { SessionDriver } from '../session-driver.ts';
import { MismatchLog, sessionVersion } from '../versions.ts';
import { ACCUSATIONS, type Exit, isGone, isToReachAnew, isUnresponsive } from './exits.ts';
import type { ProxyHubOptions } from './hub-options.ts';
import { HubStream, type OpenAgain } from './hub-stream.ts';
import { sendLastCloses } from './last-closes.ts';
import { MainSource } from './main-source.ts';
import { ProxySession } from './proxy-session.ts';
import { DEFAULT_MAX_IDENTITIES, SessionPool, type Shortage } from './session-pool.ts';
import { StreamRefusals } from './stream-refusals.ts';
import { type OpenRequest, WaitingStreams } from './waiting-streams.ts';

/** A link that was lost this long ago is about to be back, here or at another gateway: streams may wait for it. */
const LINK_LOSS_MS = 15_000;
const HOUSEKEEPING_MS = 1_000;
/** Padding that stood ready this long is made anew. */
const RENEW_PADDING_MS = 20_000;

export class ProxyHub implements Running {
  readonly #pool: SessionPool;
  readonly #lane: Lane;
  readonly #contentSlots: number;
  readonly #feeder: LaneFeeder;
  readonly #driver: SessionDriver;
  readonly #waiting: WaitingStreams;
  readonly #refusals: StreamRefusals;
  readonly #mismatches: MismatchLog;
  #timers: readonly Timer[] = [];
  #retryPending = false;
  #stopped = false;

  constructor(private readonly options: ProxyHubOptions) {
    const { endpoint, components } = options;
    const { mainRate } = endpoint.trafficClass;
    this.#mismatches = new MismatchLog(components.clock, components.log, options.versions);
    this.#pool = new SessionPool({
      ...components,
      nowMs: () => this.#nowMs(),
      requesters: options.requesters,
      spread: options.spread ?? 1,
      maxIdentities: options.maxIdentities ?? DEFAULT_MAX_IDENTITIES,
      rates: () => endpoint.trafficClass,
      params: () => endpoint.topology.params.session,
      makeSession: (requester, nowMs) => this.#makeSession(requester, nowMs),
    });
    const { requesters } = options;
    this.#refusals = new StreamRefusals(this.#pool, { ...components, nowMs: () => this.#nowMs(), requesters });
    this.#waiting = new WaitingStreams({
      clock: components.clock,
      openTimeoutMs: () => options.openTimeoutMs ?? endpoint.topology.params.session.openTimeoutMs,
      open: (request) => this.#openOrRefuse(request),
      hasIdentity: (token) => this.#pool.knows(token),
    });
    this.#lane = endpoint.addLane({
      name: 'main',
      ratePerSecond: mainRate,
      contentSlots: contentSlots(mainRate),
      idleSlots: idleSlots(mainRate),
    });
    this.#contentSlots = this.#lane.contentRoom();
    this.#feeder = new LaneFeeder(this.#lane, new MainSource(components, this.#pool, endpoint));
    this.#driver = new SessionDriver(components.clock, this.#pool, () => this.#feeder.feed());
  }

  /** Begins to send: from now on every slot of the main clock is filled. */
  start(): void {
    const { endpoint, components } = this.options;
    endpoint.addFeeder(() => this.#driver.run());
    endpoint.onMoved(() => this.#restartAll());
    endpoint.onTopology(() => this.#onTopology());
    this.#timers = [
      every(components.clock, HOUSEKEEPING_MS, () => this.#housekeep()),
      every(components.clock, RENEW_PADDING_MS, () => this.#feeder.renewIdle()),
    ];
    this.#housekeep();
  }

  /**
   * Opens a stream on the session of `token`; waits when there is none for the moment, when its exit is silent, or when all
   * identities have streams open. Streams of different tokens never share a session. A look-up goes to no port, and an association to any:
   * `forPort` says for which one to choose the requester. Throws MixError NO_GATEWAY, NO_REQUESTER, LIMIT.
   */
  open(target: StreamTarget, handlers: StreamHandlers, token = '', forPort?: number): SessionStream {
    const { endpoint, requesters } = this.options;
    if (endpoint.linkDownMs > LINK_LOSS_MS) throw new MixError('NO_GATEWAY', 'the gateway does not answer');
    if (requesters().length === 0) throw new MixError('NO_REQUESTER', 'no requester can be used');
    const port = target.kind === 'tcp' ? target.port : forPort;
    const openAgain: OpenAgain = (lost, isStopping) => this.#openAgain({ stream: lost, token, port }, isStopping);
    const stream = new HubStream(target, handlers, openAgain, (...answer) => this.#refusals.answered(...answer));
    const request = { stream, token, port };
    // What the caller writes in this turn is to ride in the packet that opens the stream.
    return this.#driver.afterTurn(() => {
      const shortage = this.#waiting.precede(token) ? 'identities in use' : this.#open(request);
      if (shortage !== undefined) this.#wait(request, shortage);
      return stream;
    });
  }

  /** False when the requester of `stream` does not let `port` through, and another one would. */
  suits(stream: SessionStream, port: number): boolean {
    const session = stream instanceof HubStream ? stream.session : undefined;
    const pooled = this.#pool.sessions.find((one) => one.session === session);
    return pooled === undefined || this.#pool.suits(pooled.requester, port);
  }

  /** Whether a stream opened now would go out at once: the link is up and every exit in use has answered. */
  get ready(): boolean {
    const { sessions, exits } = this.#pool;
    const answered = (exit: Exit) =>
      !isUnresponsive(exit) && sessions.some((pooled) => pooled.exit === exit && pooled.session.state === 'open');
    return this.options.endpoint.linkState === 'up' && exits.length > 0 && exits.every(answered);
  }

  /** Which versions met, when a requester has refused ours in the last minute. */
  get versionMismatch(): string | undefined {
    return this.#mismatches.recent;
  }

  sessions(): readonly ProxySession[] {
    return this.#pool.sessions.map(({ session }) => session);
  }

  requesterOf(session: ProxySession): NodeEntry | undefined {
    return this.#pool.of(session)?.requester;
  }

  laneStats(): LaneStats {
    return this.#lane.stats();
  }

  /** Takes no more streams, and sends CLOSE to the exits in slots of the clock, which goes on for that moment; `stop` is to follow. */
  async leave(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    const { endpoint, components } = this.options;
    await sendLastCloses({
      sessions: this.sessions(),
      lane: this.#lane,
      contentSlots: this.#contentSlots,
      linkIsUp: () => endpoint.linkState === 'up',
      clock: components.clock,
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.#driver.stop();
    for (const session of this.sessions()) session.abandon('shutdown', this.#nowMs());
    this.#waiting.refuseAll('SESSION_CLOSED');
  }

  /** Opens the stream, or refuses it when its exit is gone. Throws MixError as `ProxySession.open` does. */
  #open({ stream, token, port }: OpenRequest): Shortage | undefined {
    const pooled = this.#pool.sessionFor(token, port);
    if (typeof pooled === 'string') return pooled;
    if (isGone(pooled.exit)) stream.fail('NO_REQUESTER');
    else if (pooled.session.state === 'closed')
      return 'no session'; // its streams just learn that it has ended
    else if (isUnresponsive(pooled.exit)) return 'no answer';
    else stream.openOn(pooled.session, this.#nowMs());
    return undefined;
  }

  #openOrRefuse(request: OpenRequest): Shortage | undefined {
    try {
      return this.#open(request);
    } catch (error) {
      request.stream.fail(asMixError(error).code);
      return undefined;
    }
  }

  /** Its session has ended, or its exit is about to stop: then the exit is left, as it would be with the end of the session. */
  #openAgain(request: OpenRequest, isStopping: boolean): void {
    if (isStopping) this.#pool.onStopping(request.stream.session);
    this.#wait(request, 'no session');
    this.#retrySoon();
  }

  #wait(request: OpenRequest, shortage: Shortage): void {
    if (!this.#stopped) this.#waiting.add(request, shortage);
    else request.stream.fail('SESSION_CLOSED');
  }

  /** A session ended, or an identity is idle: what waits may have it, once this turn is over. */
  #retrySoon(): void {
    if (this.#retryPending || this.#waiting.size === 0) return;
    this.#retryPending = true;
    this.options.components.clock.soon(() => {
      this.#retryPending = false;
      if (!this.#stopped) this.#driver.afterTurn(() => this.#waiting.retry());
    });
  }

  #makeSession({ sessionVersions }: NodeEntry, nowMs: MonotonicMs): ProxySession {
    const { components, endpoint, downlink, accessToken, versions } = this.options;
    const { mainRate, replyRate } = endpoint.trafficClass;
    const { payloadBytes, session: params } = endpoint.topology.params;
    const receiver: ReplyReceiver = {
      receive: (plaintext, atMs) => this.#receive(session, plaintext, atMs),
      settled: (block, atMs) => session.settled(block, atMs),
    };
    const session: ProxySession = new ProxySession(
      {
        rng: components.rng,
        ...{ payloadBytes, params },
        delay: endpoint.laws,
        mainRatePerSecond: mainRate,
        replyRatePerSecond: replyRate,
        downlink,
        version: sessionVersion(sessionVersions, versions),
        surbLifeMs: endpoint.surbLifeMs,
        ...(accessToken === undefined ? {} : { accessToken }),
        ...sessionMemory(components.memory),
        ownPath: () => endpoint.ownPath,
        mintSurb: () => endpoint.createSurb(receiver),
      },
      nowMs,
    );
    this.options.meter?.begun(session);
    session.onContent(() => this.#driver.run());
    session.onIdle(() => this.#retrySoon());
    session.onClosed((reason) => this.#ended(session, reason));
    return session;
  }

  #receive(session: ProxySession, plaintext: Uint8Array, nowMs: MonotonicMs): void {
    this.#pool.onReply(session);
    this.#driver.afterTurn(() => session.receive(plaintext, nowMs));
  }

  #ended(session: ProxySession, reason: CloseReason): void {
    const { components, meter } = this.options;
    if (reason !== 'done' && !this.#stopped) components.log.info({ reason }, 'session ended');
    if (reason === 'version') this.#mismatches.refusedBy(session.requesterVersion);
    const accusation = ACCUSATIONS[reason];
    if (accusation !== undefined) components.log.warn({ requester: this.requesterOf(session)?.name }, accusation);
    meter?.ended(session, reason);
    if (this.#stopped) return;
    this.#pool.onEnded(session, reason);
    this.#retrySoon();
  }

  #housekeep(): void {
    const { endpoint, components } = this.options;
    this.#pool.housekeep();
    const { silent, gone } = this.#pool.checkReplies(endpoint.linkState === 'up');
    if (silent.length > 0) components.log.warn({}, 'the requester does not answer: new streams wait for it');
    for (const { requester } of gone) {
      components.log.warn({}, 'the requester is given up: new streams go to another, or are refused until it answers');
      for (const pooled of this.#pool.sessions) {
        if (pooled.requester.id === requester.id) pooled.session.refuseOpening('NO_REQUESTER', this.#nowMs());
      }
    }
    for (const { requester } of this.#pool.exits.filter(isToReachAnew)) {
      if (!endpoint.changeExitGateway(requester)) continue;
      components.log.info({}, 'no reply: packets go to another gateway of the requester');
    }
    this.#waiting.retry();
    this.#driver.run();
  }

  /** All reply blocks lead to a gateway that is gone: what the sessions believe of their stock is void. */
  #restartAll(): void {
    for (const session of this.sessions()) session.replyBlocksLost(this.#nowMs());
    this.#driver.run();
  }

  /** Rates may be others, for everybody at once; padding is for keys of the new epoch. */
  #onTopology(): void {
    this.#lane.setRate(this.options.endpoint.trafficClass.mainRate);
    this.#pool.shareRates();
    this.#feeder.renewIdle();
  }

  #nowMs(): MonotonicMs {
    return this.options.components.clock.nowMs();
  }
}
