/**
 * Which sessions the proxy has, and whose they are.
 *
 * Each exit in use has at least one session at any time. One that nobody has used yet is given to the first isolation
 * token that comes to the exit, and then belongs to it for good. A session is never used by two tokens.
 * @module
 */

import type { SessionParams } from '../../core/session-params.ts';
import type { MonotonicMs } from '../../core/units.ts';
import type { NodeEntry } from '../../directory/index.ts';
import type { CloseReason } from '../../transport/types.ts';
import {
  ACCUSATIONS,
  checkExits,
  type Exit,
  ExitSet,
  type ExitSetOptions,
  isGone,
  responsiveOnes,
  type Silences,
} from './exits.ts';
import type { OpeningSession } from './hub-stream.ts';
import { hasStreams, type Identity, IdentityTable, isSpare, type PooledSession } from './identities.ts';
import type { ProxySession } from './proxy-session.ts';
import { busyOnes, shareRate } from './rate-shares.ts';

export interface SessionPoolOptions extends ExitSetOptions {
  readonly rates: () => { readonly mainRate: number; readonly replyRate: number };
  /** Those of the network now. */
  readonly params: () => SessionParams;
  /** Isolation tokens with a session at a time. */
  readonly maxIdentities: number;
  /** Makes a session; the caller reports its replies with `onReply` and its end with `onEnded`. */
  readonly makeSession: (requester: NodeEntry, nowMs: MonotonicMs) => ProxySession;
}

/** Why a stream gets no session for the moment. `no answer`: its exit is silent. */
export type Shortage = 'no session' | 'no answer' | 'identities in use';

export const DEFAULT_MAX_IDENTITIES = 256;
/** Sessions beside those of identities: spare ones, and draining ones. */
export const EXTRA_SESSIONS = 64;
/** Rotation waits while so many sessions drain: the rest is for sessions of identities that came and went. */
const MAX_ROTATING_SESSIONS = 32;
/** A session that was closed at once is not started anew before this time: a requester that refuses is not hammered. */
const RESTART_DELAY_MS = 1_000;
/** The same for one that stops, where there is no other. */
const STOPPING_PAUSE_MS = 5_000;
/** The same for one that keeps reply blocks back. */
const HOARDING_PAUSE_MS = 10_000;
/** Ends of a session that was never admitted, for which another requester is used. */
const REFUSALS: readonly CloseReason[] = ['limit', 'token', 'version', 'protocol', 'timeout'];
/** Deadlines of sessions that are closer together than this share a wake-up. */
const TICK_GAP_MS = 5;

export class SessionPool {
  readonly #exits: ExitSet;
  readonly #identities: IdentityTable;
  #sessions: PooledSession[] = [];
  #tickedMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: SessionPoolOptions) {
    this.#exits = new ExitSet(options);
    this.#identities = new IdentityTable(options.maxIdentities);
  }

  get sessions(): readonly PooledSession[] {
    return this.#sessions;
  }

  get exits(): readonly Exit[] {
    return this.#exits.all;
  }

  /** The exit that the next packet goes to: all are equally likely, whatever there is to send. */
  drawExit(): Exit | undefined {
    return this.#exits.draw();
  }

  /** Whether `token` has a session, or had one lately. */
  knows(token: string): boolean {
    return this.#identities.has(token);
  }

  /** The session for streams of `token` to `port` (undefined: no port in particular), which then counts as used. */
  sessionFor(token: string, port?: number): PooledSession | Shortage {
    const nowMs = this.options.nowMs();
    const exits = port === undefined ? this.exits : this.#exits.suitingFor(port);
    this.#fillExits();
    const identity = this.#identityFor(token, responsiveOnes(exits), nowMs);
    if (typeof identity === 'string') return identity;
    const pooled = identity.session ?? this.#servingAt(identity.exit).find(isSpare) ?? this.#start(identity.exit);
    if (pooled === undefined) return 'no session';
    identity.session = pooled;
    pooled.use = 'assigned';
    pooled.usedMs = nowMs;
    this.shareRates();
    return pooled;
  }

  /** False when `requester` does not let `port` through, and another one of those listed does. */
  suits(requester: NodeEntry, port: number): boolean {
    return this.#exits.suits(requester, port);
  }

  /**
   * Follows the list of requesters, and forgets identities that have been idle for long. New streams open on a new session after a
   * while; an old one lives until its streams end.
   */
  housekeep(): void {
    const nowMs = this.options.nowMs();
    const { rotationMs, identityIdleMs } = this.options.params();
    const isOld = ({ startedMs }: PooledSession) => nowMs - startedMs >= rotationMs;
    for (const { session, requester } of this.#sessions) if (session.state === 'open') this.#exits.worked(requester);
    this.#leave(this.#exits.followList());
    for (const [key, identity] of this.#identities.entries()) {
      if (nowMs - identity.usedMs >= identityIdleMs && this.#isDispensable(identity)) this.#forget(key, identity);
      else if (identity.session !== undefined && isOld(identity.session)) this.#rotate(identity);
    }
    for (const pooled of this.#sessions) if (pooled.use === 'spare' && isOld(pooled)) this.#drain(pooled);
    this.#fillExits();
    this.shareRates();
  }

  /** A reply has come on `session`. */
  onReply(session: ProxySession): void {
    const pooled = this.of(session);
    if (pooled === undefined) return;
    pooled.wasOpen ||= session.state === 'open';
    if (pooled.requester.id !== pooled.exit.requester.id) return;
    pooled.exit.replied = true;
    pooled.exit.overdueChecks = 0;
  }

  /**
   * To be called once a second. An exit whose replies are overdue is gone, or the way to it is. The sessions at an exit are judged
   * together: each alone may get a reply in several seconds only. Returns the exits that have become unresponsive, and gone.
   */
  checkReplies(linkIsUp: boolean): Silences {
    const isOverdue = (exit: Exit) => linkIsUp && this.#servingAt(exit).some(({ session }) => session.overdueMs > 0);
    const found = checkExits(this.exits, isOverdue);
    for (const { requester } of this.exits.filter(isGone)) this.#failed(requester);
    return found;
  }

  of(session: OpeningSession | undefined): PooledSession | undefined {
    return this.#sessions.find((pooled) => pooled.session === session);
  }

  /** A session is over. */
  onEnded(session: ProxySession, reason: CloseReason): void {
    const pooled = this.of(session);
    if (pooled === undefined) return;
    const nowMs = this.options.nowMs();
    this.#sessions = this.#sessions.filter((other) => other !== pooled);
    const atOnce = reason !== 'done' && nowMs - pooled.startedMs < RESTART_DELAY_MS;
    if (atOnce) pooled.exit.notBeforeMs = nowMs + (reason === 'shutdown' ? STOPPING_PAUSE_MS : RESTART_DELAY_MS);
    this.#identities.sessionEnded(pooled);
    if (ACCUSATIONS[reason] !== undefined) this.#avoid(pooled, nowMs);
    else if (reason === 'shutdown' || (!pooled.wasOpen && REFUSALS.includes(reason))) this.#failed(pooled.requester);
    this.#fillExits();
    this.shareRates();
  }

  /** The requester of `session` takes no more streams: new ones open at another, and what is open goes on. */
  onStopping(session: OpeningSession | undefined): void {
    const pooled = this.of(session);
    if (pooled === undefined || pooled.use === 'draining') return;
    pooled.exit.notBeforeMs = this.options.nowMs() + STOPPING_PAUSE_MS;
    this.#identities.sessionEnded(pooled);
    this.#failed(pooled.requester);
    if (this.#servingAt(pooled.exit).includes(pooled)) this.#drain(pooled);
  }

  /** Another of its sample is used, where it has one that has not failed lately. */
  #failed(requester: NodeEntry): void {
    this.#exits.failed(requester);
    this.#leave(this.#exits.followList());
  }

  /** Its sessions drain. Where it is the only requester, another session begins after a pause. */
  #avoid({ exit, requester }: PooledSession, nowMs: MonotonicMs): void {
    exit.notBeforeMs = nowMs + HOARDING_PAUSE_MS;
    this.#exits.avoid(requester);
    this.#leave(this.#exits.followList());
  }

  /** When `tick` must be called at the latest. */
  nextDeadlineMs(): number {
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const { session } of this.#sessions) earliestMs = Math.min(earliestMs, session.nextDeadlineMs());
    return Math.max(earliestMs, this.#tickedMs + TICK_GAP_MS);
  }

  /** Ticks the sessions that are due. */
  tick(nowMs: MonotonicMs): void {
    this.#tickedMs = nowMs;
    for (const { session } of this.#sessions) if (session.nextDeadlineMs() <= nowMs) session.tick(nowMs);
  }

  /** Every exit has the same share of each clock; its sessions divide it. */
  shareRates(): void {
    const nowMs = this.options.nowMs();
    const { mainRate, replyRate } = this.options.rates();
    for (const exit of this.exits) {
      const sessions = this.#sessions.filter((pooled) => pooled.exit === exit);
      const busy = busyOnes(sessions, nowMs);
      const shares = shareRate(replyRate / this.exits.length, busy);
      const busyCount = busy.filter((one) => one).length;
      for (const [i, { session }] of sessions.entries()) {
        session.setReplyRate(shares[i] ?? 0, nowMs);
        // The main clock is shared packet by packet: this is only what a session may expect of it.
        session.setMainRate(mainRate / this.exits.length / (busyCount + (busy[i] ? 0 : 1)));
      }
    }
  }

  /** The identity of `token` at one of `exits`; a new one takes the entry that was idle for longest, if all are taken. */
  #identityFor(token: string, exits: readonly Exit[], nowMs: MonotonicMs): Identity | Shortage {
    const found = this.#identities.keyAmong(token, exits, this.options.rng);
    if (found === undefined) return 'no session';
    const known = this.#identities.use(found.key, nowMs);
    if (known !== undefined) return known;
    if (this.#identities.isFull) {
      const idle = this.#identities.longestIdle();
      if (idle === undefined) return 'identities in use';
      this.#forget(...idle);
    }
    return this.#identities.add(found.key, found.exit, nowMs);
  }

  /** The sessions at `exit` that take new streams. */
  #servingAt(exit: Exit): PooledSession[] {
    return this.#sessions.filter((pooled) => pooled.exit === exit && pooled.use !== 'draining');
  }

  #forget(key: string, { session }: Identity): void {
    this.#identities.delete(key);
    if (session !== undefined) this.#drain(session);
  }

  /** Without streams, and its exit has another session: one that ends when another begins tells whose both are. */
  #isDispensable(identity: Identity): boolean {
    const { session, exit } = identity;
    return session === undefined || (this.#servingAt(exit).some((one) => one !== session) && !hasStreams(identity));
  }

  /** What has no streams is not replaced before it is needed. */
  #rotate(identity: Identity): void {
    const old = identity.session;
    if (old === undefined) return;
    const next = hasStreams(identity) ? this.#startForRotation(identity.exit) : undefined;
    if (next === undefined && hasStreams(identity)) return; // later
    if (next !== undefined) next.use = 'assigned';
    identity.session = next;
    this.#drain(old);
  }

  #startForRotation(exit: Exit): PooledSession | undefined {
    const draining = this.#sessions.filter(({ use }) => use === 'draining').length;
    return draining < MAX_ROTATING_SESSIONS ? this.#start(exit) : undefined;
  }

  #drain(pooled: PooledSession): void {
    pooled.use = 'draining';
    this.#fillExits(); // its exit must not be without a session while this one closes
    pooled.session.drain(this.options.nowMs());
  }

  /** These exits are no longer in use: identities and sessions that had one get another. */
  #leave(left: readonly Exit[]): void {
    this.#identities.leave(left, () => this.drawExit());
    for (const pooled of [...this.#sessions]) {
      if (!left.includes(pooled.exit)) continue;
      pooled.exit = this.drawExit() ?? pooled.exit;
      if (pooled.use !== 'draining') this.#drain(pooled);
    }
  }

  #fillExits(): void {
    for (const exit of this.exits) if (this.#servingAt(exit).length === 0) this.#start(exit);
  }

  #start(exit: Exit): PooledSession | undefined {
    const nowMs = this.options.nowMs();
    const isFull = this.#sessions.length >= this.options.maxIdentities + EXTRA_SESSIONS;
    if (isFull || nowMs < exit.notBeforeMs) return undefined;
    const { requester } = exit;
    const session = this.options.makeSession(requester, nowMs);
    const usedMs = Number.NEGATIVE_INFINITY;
    const pooled: PooledSession = { session, exit, requester, startedMs: nowMs, use: 'spare', usedMs, wasOpen: false };
    this.#sessions.push(pooled);
    return pooled;
  }
}
