/**
 * All sessions of a requester: finds the session of a packet, starts new ones, sends CLOSE for unknown ones.
 *
 * A packet of an unknown session without HELLO may have overtaken the HELLO: it is held for a moment. If nothing
 * comes, and a reply block came along, one CLOSE (unknown) goes to the proxy, so that it starts anew instead of
 * waiting: that is how sessions end cleanly when a requester was restarted.
 * @module
 */

import { constantTimeEqual } from '../../core/bytes.ts';
import type { MemoryAccount } from '../../core/memory-budget.ts';
import { laterMs, type MonotonicMs } from '../../core/units.ts';
import { speaks, type VersionRange } from '../../core/version-range.ts';
import { requesterLimits, SESSION_VERSIONS } from '../../transport/limits.ts';
import { sessionMemory } from '../../transport/session-memory.ts';
import type { CloseReason, Reply, SessionLimits, SessionTableOptions } from '../../transport/types.ts';
import { FRAME, type HelloFrame } from '../../transport/wire/frames.ts';
import { NOBODY } from '../../transport/wire/packet-builder.ts';
import {
  beginDownlink,
  decodeUplink,
  sessionKeyOf,
  UNNUMBERED,
  type Uplink,
  versionOf,
} from '../../transport/wire/payload.ts';
import { closeNumber } from '../../transport/wire/reasons.ts';
import { seatToLeave, unprovenToLeave } from './admission.ts';
import { EndedIds } from './ended-ids.ts';
import { HeldPackets } from './held-packets.ts';
import { RequesterSession } from './requester-session.ts';

const DEFAULT_MAX_SESSIONS = 1024;
/**
 * How long an ended session is remembered, so that its late packets do not count as unknown. A mix that holds back the
 * packet with HELLO, OPEN and a request could else have the request made once more; the caller gives the time for which
 * such a packet can still be read.
 */
const MEMORY_MS = 60_000;
/** Reasons that are remembered; the ids of sessions that had a stream all are (ended-ids.ts). */
export const MAX_REMEMBERED = 65_536;
/** A session that goes on sending after its end gets CLOSE again, this often at most. */
const CLOSE_AGAIN_MS = 2_000;
const MAX_ANSWERS = 256;

interface Ended {
  readonly untilMs: MonotonicMs;
  /** The reason in CLOSE to a proxy that goes on; undefined when the proxy ended it itself. */
  readonly reason: CloseReason | undefined;
  closeSentMs: number;
}

export class SessionTable {
  /** Of every session: one object for all. */
  readonly #limits: SessionLimits;
  readonly #versions: VersionRange;
  readonly #sessions = new Map<string, RequesterSession>();
  readonly #held: HeldPackets;
  readonly #ended = new Map<string, Ended>();
  readonly #endedIds: EndedIds;
  readonly #endedMemory: MemoryAccount | undefined;
  readonly #answers: Reply[] = [];
  readonly #dropped: Record<string, number> = {};
  #sessionCallback: (session: RequesterSession) => void = () => {};
  #draining = false;

  constructor(private readonly options: SessionTableOptions) {
    this.#limits = requesterLimits(options.limits, options.payloadBytes);
    this.#versions = options.versions ?? SESSION_VERSIONS;
    this.#held = new HeldPackets(options.payloadBytes);
    this.#endedIds = new EndedIds(options.memoryMs ?? MEMORY_MS, options.rng);
    this.#endedMemory = options.memory?.account('sessions');
  }

  get size(): number {
    return this.#sessions.size;
  }

  sessions(): IterableIterator<RequesterSession> {
    return this.#sessions.values();
  }

  /** Packets per second of the session with this key; 0 when there is none. */
  paidRate(key: string, nowMs: MonotonicMs): number {
    return this.#sessions.get(key)?.paid.rate(nowMs) ?? 0;
  }

  /** Takes the plaintext of a packet from any proxy, and returns the session it was of, if that was known. Never throws. */
  receive(plaintext: Uint8Array, nowMs: MonotonicMs): RequesterSession | undefined {
    const key = sessionKeyOf(plaintext);
    const packet = key === undefined ? undefined : decodeUplink(plaintext);
    if (key === undefined || packet === undefined) {
      this.#onMalformed(plaintext, key, nowMs);
      return undefined;
    }
    const session = this.#sessions.get(key);
    if (session !== undefined) session.receive(packet, nowMs);
    else if ((this.#ended.get(key)?.untilMs ?? Number.NEGATIVE_INFINITY) > nowMs) this.#closeAgain(key, packet, nowMs);
    else if (this.#endedIds.has(key, nowMs)) this.#drop('ended-session');
    else this.#onUnknown(key, packet, plaintext, nowMs);
    return session;
  }

  /** A CLOSE to send for a session that is unknown, refused or over; call until undefined after `receive` and `tick`. */
  nextAnswer(_nowMs: number): Reply | undefined {
    return this.#answers.shift();
  }

  /** Whether `nextAnswer` has one. */
  get hasAnswers(): boolean {
    return this.#answers.length > 0;
  }

  /** The earliest deadline of the table and all its sessions. */
  nextDeadlineMs(): number {
    let earliest = this.#held.dueMs;
    for (const session of this.#sessions.values()) earliest = Math.min(earliest, session.nextDeadlineMs());
    return earliest;
  }

  /** Ticks the table and all its sessions. */
  tick(nowMs: MonotonicMs): void {
    for (const session of this.#sessions.values()) session.tick(nowMs);
    for (let key = this.#held.overdue(nowMs); key !== undefined; key = this.#held.overdue(nowMs)) {
      this.#refuse(key, this.#held.take(key), 'unknown', nowMs);
    }
    for (const [key, ended] of this.#ended) {
      if (ended.untilMs > nowMs) break;
      this.#ended.delete(key);
    }
  }

  onSession(callback: (session: RequesterSession) => void): void {
    this.#sessionCallback = callback;
  }

  /** Takes no new session from now on: their proxies go elsewhere. */
  drain(): void {
    this.#draining = true;
  }

  closeAll(reason: CloseReason, nowMs: MonotonicMs): void {
    for (const session of [...this.#sessions.values()]) session.close(reason, nowMs);
  }

  stats(): { readonly sessions: number; readonly held: number; readonly dropped: Readonly<Record<string, number>> } {
    return { sessions: this.#sessions.size, held: this.#held.size, dropped: this.#dropped };
  }

  /** A packet of another version may be unreadable here, and is refused for that reason all the same. */
  #onMalformed(plaintext: Uint8Array, key: string | undefined, nowMs: MonotonicMs): void {
    this.#drop('malformed');
    const session = key === undefined ? undefined : this.#sessions.get(key);
    if (session !== undefined) session.close('protocol', nowMs);
    else this.#checkVersion(versionOf(plaintext) ?? this.#versions.highest);
  }

  #onUnknown(key: string, packet: Uplink, plaintext: Uint8Array, nowMs: MonotonicMs): void {
    const hello = packet.frames.find((frame) => frame.type === FRAME.HELLO);
    if (hello === undefined) {
      if (packet.number === UNNUMBERED) this.#drop('unknown-session');
      else if (!this.#held.add(key, plaintext, nowMs)) this.#drop('hold-full');
      return;
    }
    const refusal = this.#refusalOf(hello, nowMs);
    const held = this.#held.take(key);
    if (refusal !== undefined) {
      this.#refuse(key, [...held, packet], refusal, nowMs);
      return;
    }
    const session = this.#create(key, nowMs);
    session.receive(packet, nowMs);
    if (session.closed) return;
    this.#sessionCallback(session);
    for (const earlier of held) session.receive(earlier, nowMs);
  }

  /** A newcomer without proof takes the place of another one without proof, if of anybody: seats are for the others. */
  #refusalOf(hello: HelloFrame, nowMs: MonotonicMs): CloseReason | undefined {
    const { accessToken } = this.options;
    if (this.#draining) return 'shutdown';
    if (!this.#checkVersion(hello.version)) return 'version';
    if (accessToken !== undefined && !constantTimeEqual(accessToken, hello.token)) return 'token';
    if (this.#endedIds.isFull(nowMs) || this.options.memory?.admits('sessions') === false) return 'limit';
    unprovenToLeave(this.#sessions.values(), nowMs)?.close('limit', nowMs);
    return undefined;
  }

  #checkVersion(version: number): boolean {
    const isOurs = speaks(this.#versions, version);
    if (!isOurs) this.options.onOtherVersion?.(version);
    return isOurs;
  }

  #create(key: string, nowMs: MonotonicMs): RequesterSession {
    const { rng, payloadBytes, terms, accept, surbUsable, maxSessions, memory } = this.options;
    const session = new RequesterSession(
      {
        key,
        rng,
        payloadBytes,
        ...terms(),
        accept,
        limits: this.#limits,
        ...(surbUsable === undefined ? {} : { surbUsable }),
        ...sessionMemory(memory, key),
      },
      nowMs,
    );
    const seats = maxSessions ?? DEFAULT_MAX_SESSIONS;
    session.onProven((atMs) => seatToLeave(this.#sessions.values(), session, seats, atMs)?.close('limit', atMs));
    session.onClosed((reason, closes, atMs) => {
      this.#sessions.delete(key);
      if (session.stats().streamsOpened > 0) this.#endedIds.add(key, atMs);
      this.#endedMemory?.set(this.#endedIds.memoryBytes);
      this.#remember(key, reason === 'done' ? undefined : reason, atMs);
      for (const reply of closes) this.#answer(reply);
    });
    this.#sessions.set(key, session);
    return session;
  }

  /** Drops the packets; sends CLOSE with the reason, if one of them brought a reply block. */
  #refuse(key: string, packets: readonly Uplink[], reason: CloseReason, nowMs: MonotonicMs): void {
    this.#drop(reason === 'unknown' ? 'unknown-session' : `refused-${reason}`);
    this.#remember(key, reason, nowMs);
    for (const packet of packets) if (this.#queueClose(packet, reason)) return;
    const ended = this.#ended.get(key);
    if (ended !== undefined) ended.closeSentMs = Number.NEGATIVE_INFINITY;
  }

  #closeAgain(key: string, packet: Uplink, nowMs: MonotonicMs): void {
    const ended = this.#ended.get(key);
    this.#drop('ended-session');
    if (ended?.reason === undefined || nowMs - ended.closeSentMs < CLOSE_AGAIN_MS) return;
    if (this.#queueClose(packet, ended.reason)) ended.closeSentMs = nowMs;
  }

  /** Sends CLOSE over the first reply block of the packet; false when it has none. */
  #queueClose(packet: Uplink, reason: CloseReason): boolean {
    for (const frame of packet.frames) {
      const surb372 = frame.type === FRAME.SURBS ? frame.blocks[0] : undefined;
      if (surb372 === undefined) continue;
      const nothing = { received: 0, used: 0, expired: 0, evicted: 0, demandBytes: 0 };
      // Any number that the proxy has not seen does; a random one is nearly always that.
      const number = 2 ** 40 + this.options.rng.int(2 ** 30);
      const builder = beginDownlink(this.options.payloadBytes, number, nothing);
      builder.close(NOBODY, closeNumber(reason));
      if (reason === 'version') builder.hello(NOBODY, this.#versions.highest, new Uint8Array(0), 0, 0);
      this.#answer({ surb372, plaintext: builder.bytes });
      return true;
    }
    return false;
  }

  #answer(reply: Reply): void {
    if (this.#answers.length < MAX_ANSWERS) this.#answers.push(reply);
    else this.#drop('answers-full');
  }

  #remember(key: string, reason: CloseReason | undefined, nowMs: MonotonicMs): void {
    this.#ended.delete(key);
    this.#ended.set(key, { untilMs: laterMs(nowMs, this.options.memoryMs ?? MEMORY_MS), reason, closeSentMs: nowMs });
    if (this.#ended.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#ended.keys()) {
      this.#ended.delete(oldest);
      return;
    }
  }

  #drop(reason: string): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1;
  }
}
