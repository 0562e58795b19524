/**
 * All sessions of a requester: finds the session of a packet, admits new ones, answers for unknown ones.
 *
 * A packet of an unknown session without HELLO may have overtaken the HELLO: it is held for a moment. If nothing
 * comes, and a reply block came along, the proxy is told once that the session is not known, so that it starts anew
 * instead of waiting: that is how sessions end cleanly when a requester was restarted.
 * @module
 */
import { constantTimeEqual } from '../bytes.ts';
import { FRAME, type Frame } from './frames.ts';
import {
  DEFAULT_SESSION_LIMITS,
  INITIAL_SESSION_WINDOW_BYTES,
  INITIAL_STREAM_WINDOW_BYTES,
  PROTOCOL_VERSION,
} from './limits.ts';
import { NOBODY } from './packet-builder.ts';
import { beginDownlink, decodeUplink, sessionKeyOf, UNNUMBERED, type Uplink } from './payload.ts';
import { closeNumber } from './reasons.ts';
import { RequesterSession } from './requester-session.ts';
import type { CloseReason, Reply, SessionLimits, SessionTableOptions } from './types.ts';

const DEFAULT_MAX_SESSIONS = 1024;
/** How long packets of an unknown session wait for its HELLO. */
const HOLD_MS = 500;
const MAX_HELD_SESSIONS = 256;
const MAX_HELD_PACKETS = 16;
/**
 * How long an ended session is remembered, so that its late packets do not count as unknown. A mix that holds back the
 * packet with HELLO, OPEN and a request could else have the request made once more; the caller gives the time for which
 * such a packet can still be read.
 */
const MEMORY_MS = 60_000;
const MAX_REMEMBERED = 65_536;
/** A session that goes on sending after its end is told again, this often at most. */
const ANSWER_AGAIN_MS = 2_000;
const MAX_ANSWERS = 256;
/** Unread bytes and reply blocks of all sessions together; beyond it the session that holds most is ended. */
const DEFAULT_MAX_HELD_BYTES = 512 * 1024 * 1024;
const AUDIT_EVERY_PACKETS = 256;

interface Held {
  readonly packets: Uplink[];
  readonly dueMs: number;
}

interface Ended {
  readonly untilMs: number;
  /** What to tell a proxy that goes on; undefined when the proxy ended it itself. */
  readonly reason: CloseReason | undefined;
  answeredMs: number;
}

export class SessionTable {
  readonly #options: SessionTableOptions;
  readonly #sessions = new Map<string, RequesterSession>();
  readonly #held = new Map<string, Held>();
  readonly #ended = new Map<string, Ended>();
  readonly #answers: Reply[] = [];
  readonly #dropped: Record<string, number> = {};
  #sinceAudit = 0;
  #sessionCallback: (session: RequesterSession) => void = () => {};

  constructor(options: SessionTableOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#sessions.size;
  }

  sessions(): IterableIterator<RequesterSession> {
    return this.#sessions.values();
  }

  /** Takes the plaintext of a packet from any proxy. Never throws. */
  receive(plaintext: Uint8Array, nowMs: number): void {
    const key = sessionKeyOf(plaintext);
    const packet = key === undefined ? undefined : decodeUplink(plaintext);
    if (key === undefined || packet === undefined) {
      this.#drop('malformed');
      if (key !== undefined) this.#sessions.get(key)?.onViolation('payload', nowMs);
      return;
    }
    const session = this.#sessions.get(key);
    if (++this.#sinceAudit >= AUDIT_EVERY_PACKETS) this.#audit(nowMs);
    if (session !== undefined) session.receive(packet, nowMs);
    else if ((this.#ended.get(key)?.untilMs ?? Number.NEGATIVE_INFINITY) > nowMs) this.#answerAgain(key, packet, nowMs);
    else this.#admit(key, packet, nowMs);
  }

  /** A CLOSE to send for a session that is unknown, refused or over; call until undefined after `receive` and `tick`. */
  nextAnswer(_nowMs: number): Reply | undefined {
    return this.#answers.shift();
  }

  /** The earliest deadline of the table and all its sessions. */
  nextDeadlineMs(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const session of this.#sessions.values()) earliest = Math.min(earliest, session.nextDeadlineMs());
    for (const held of this.#held.values()) return Math.min(earliest, held.dueMs); // the first is the oldest
    return earliest;
  }

  /** Ticks the table and all its sessions. */
  tick(nowMs: number): void {
    for (const session of this.#sessions.values()) session.tick(nowMs);
    for (const [key, held] of this.#held) {
      if (held.dueMs > nowMs) break;
      this.#held.delete(key);
      this.#refuse(key, held.packets, 'unknown', nowMs);
    }
    for (const [key, ended] of this.#ended) {
      if (ended.untilMs > nowMs) break;
      this.#ended.delete(key);
    }
  }

  onSession(callback: (session: RequesterSession) => void): void {
    this.#sessionCallback = callback;
  }

  closeAll(reason: CloseReason, nowMs: number): void {
    for (const session of [...this.#sessions.values()]) session.close(reason, nowMs);
  }

  stats(): { readonly sessions: number; readonly held: number; readonly dropped: Readonly<Record<string, number>> } {
    return { sessions: this.#sessions.size, held: this.#held.size, dropped: this.#dropped };
  }

  /** Each session is bounded by itself; many together could still take all memory. */
  #audit(nowMs: number): void {
    this.#sinceAudit = 0;
    const maxBytes = this.#options.maxHeldBytes ?? DEFAULT_MAX_HELD_BYTES;
    let total = 0;
    let largest: RequesterSession | undefined;
    for (const session of this.#sessions.values()) {
      total += session.heldBytes;
      if (largest === undefined || session.heldBytes > largest.heldBytes) largest = session;
    }
    if (total > maxBytes) largest?.close('limit', nowMs);
  }

  #admit(key: string, packet: Uplink, nowMs: number): void {
    const hello = packet.frames.find((frame) => frame.type === FRAME.HELLO);
    if (hello === undefined) {
      this.#hold(key, packet, nowMs);
      return;
    }
    const refusal = this.#objection(hello);
    const held = this.#held.get(key);
    this.#held.delete(key);
    if (refusal !== undefined) {
      this.#refuse(key, [...(held?.packets ?? []), packet], refusal, nowMs);
      return;
    }
    const session = this.#create(key, nowMs);
    session.receive(packet, nowMs);
    if (session.closed) return;
    this.#sessionCallback(session);
    for (const earlier of held?.packets ?? []) session.receive(earlier, nowMs);
  }

  #objection(hello: Extract<Frame, { type: typeof FRAME.HELLO }>): CloseReason | undefined {
    const { accessToken, maxSessions = DEFAULT_MAX_SESSIONS } = this.#options;
    if (hello.version !== PROTOCOL_VERSION) return 'version';
    if (accessToken !== undefined && !constantTimeEqual(accessToken, hello.token)) return 'token';
    return this.#sessions.size >= maxSessions ? 'limit' : undefined;
  }

  #create(key: string, nowMs: number): RequesterSession {
    const { rng, payloadBytes, delay, accept, limits, surbUsable } = this.#options;
    const session = new RequesterSession(
      {
        key,
        rng,
        payloadBytes,
        delay,
        accept,
        limits: requesterLimits(limits),
        ...(surbUsable === undefined ? {} : { surbUsable }),
        onEnd: (reason, atMs) => {
          this.#sessions.delete(key);
          this.#remember(key, reason === 'done' ? undefined : reason, atMs);
        },
        sayGoodbye: (reply) => this.#answer(reply),
      },
      nowMs,
    );
    this.#sessions.set(key, session);
    return session;
  }

  #hold(key: string, packet: Uplink, nowMs: number): void {
    if (packet.number === UNNUMBERED) {
      this.#drop('unknown-session');
      return;
    }
    let held = this.#held.get(key);
    if (held === undefined) {
      if (this.#held.size >= MAX_HELD_SESSIONS) {
        this.#drop('hold-full');
        return;
      }
      held = { packets: [], dueMs: nowMs + HOLD_MS };
      this.#held.set(key, held);
    }
    if (held.packets.length < MAX_HELD_PACKETS) held.packets.push(packet);
    else this.#drop('hold-full');
  }

  /** Drops the packets; tells the proxy why, if one of them brought a reply block. */
  #refuse(key: string, packets: readonly Uplink[], reason: CloseReason, nowMs: number): void {
    this.#drop(reason === 'unknown' ? 'unknown-session' : `refused-${reason}`);
    this.#remember(key, reason, nowMs);
    for (const packet of packets) if (this.#tell(packet, reason)) return;
    const ended = this.#ended.get(key);
    if (ended !== undefined) ended.answeredMs = Number.NEGATIVE_INFINITY;
  }

  #answerAgain(key: string, packet: Uplink, nowMs: number): void {
    const ended = this.#ended.get(key);
    this.#drop('ended-session');
    if (ended?.reason === undefined || nowMs - ended.answeredMs < ANSWER_AGAIN_MS) return;
    if (this.#tell(packet, ended.reason)) ended.answeredMs = nowMs;
  }

  /** Answers CLOSE through the first reply block of the packet. */
  #tell(packet: Uplink, reason: CloseReason): boolean {
    for (const frame of packet.frames) {
      const surb372 = frame.type === FRAME.SURBS ? frame.blocks[0] : undefined;
      if (surb372 === undefined) continue;
      const nothing = { received: 0, used: 0, expired: 0, evicted: 0, demandBytes: 0 };
      // Any number that the proxy has not seen does; a random one is nearly always that.
      const number = 2 ** 40 + this.#options.rng.int(2 ** 30);
      const builder = beginDownlink(this.#options.payloadBytes, number, nothing);
      builder.close(NOBODY, closeNumber(reason));
      this.#answer({ surb372, plaintext: builder.bytes });
      return true;
    }
    return false;
  }

  #answer(reply: Reply): void {
    if (this.#answers.length < MAX_ANSWERS) this.#answers.push(reply);
    else this.#drop('answers-full');
  }

  #remember(key: string, reason: CloseReason | undefined, nowMs: number): void {
    this.#ended.delete(key);
    this.#ended.set(key, { untilMs: nowMs + (this.#options.memoryMs ?? MEMORY_MS), reason, answeredMs: nowMs });
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

/** A proxy may use the protocol's first windows before it hears of ours: ours are never smaller. */
function requesterLimits(limits: Partial<SessionLimits> | undefined): SessionLimits {
  const all = { ...DEFAULT_SESSION_LIMITS, ...limits };
  return {
    ...all,
    streamWindowBytes: Math.max(all.streamWindowBytes, INITIAL_STREAM_WINDOW_BYTES),
    sessionWindowBytes: Math.max(all.sessionWindowBytes, INITIAL_SESSION_WINDOW_BYTES),
  };
}
