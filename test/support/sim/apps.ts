/**
 * Applications for the simulated network: both ends send bytes that can be told from their place in the stream, and
 * check every byte that comes.
 */

import assert from 'node:assert/strict';
import type { ErrorCode } from '../../../lib/core/errors.ts';
import type {
  AcceptedHandlers,
  AcceptHandler,
  BoundAddress,
  SessionStream,
  StreamHandlers,
} from '../../../lib/session/index.ts';
import { monotonic } from '../units.ts';
import type { EventQueue } from './event-queue.ts';

/** What the two ends of a stream do. It travels in the host field of OPEN. */
export interface Plan {
  /** Bytes that the proxy's end sends, then it ends. */
  readonly up: number;
  /** Bytes that the requester's end sends. */
  readonly down: number;
  readonly seed: number;
  /** The requester's end sends only when all of `up` has come. */
  readonly answers?: boolean;
  /** What the requester's end does instead. */
  readonly fate?: 'refuse' | 'reset-midway';
  /** The reader of this side gives credit back this much later; Infinity: never, until told. */
  readonly upReadMs?: number;
  readonly connectMs?: number;
}

const CHUNK_BYTES = 16 * 1024;
const PERIOD = 251 * 64;
const MOST_AT_ONCE_BYTES = 16 * CHUNK_BYTES;
const bytes = Buffer.alloc(2 * PERIOD + MOST_AT_ONCE_BYTES);
for (let i = 0; i < bytes.byteLength; i++) {
  const place = i % PERIOD;
  bytes[i] = place * 31 + (place >> 8) * 7;
}

/** The byte at `offset` depends on seed and offset; cheap to make and to compare. */
function pattern(seed: number): Buffer {
  return bytes.subarray((seed * 7919) % PERIOD);
}

/** One end of a stream: sends `total` bytes, checks what it receives. */
export class StreamEnd implements StreamHandlers {
  stream: SessionStream | undefined;
  received = 0;
  sent = 0;
  fin = false;
  /** It has sent everything and said so. */
  ended = false;
  opened: BoundAddress | undefined;
  openedMs = Number.NaN;
  finMs = Number.NaN;
  firstByteMs = Number.NaN;
  refused: ErrorCode | undefined;
  reset: ErrorCode | undefined;
  reading = true;
  unread = 0;
  maxUnread = 0;
  onEvent: () => void = () => {};
  #blocked = false;

  constructor(
    readonly events: EventQueue,
    readonly total: number,
    readonly expected: number,
    readonly sendSeed: number,
    readonly receiveSeed: number,
    readonly readMs = 0,
  ) {}

  /** Neither side has anything left to do. */
  get finished(): boolean {
    return this.fin && this.ended;
  }

  get over(): boolean {
    return this.finished || this.refused !== undefined || this.reset !== undefined;
  }

  pump(): void {
    const { stream, events } = this;
    if (stream === undefined || this.over || this.ended) return;
    while (this.sent < this.total) {
      const length = Math.min(CHUNK_BYTES, this.total - this.sent);
      const at = this.sent % PERIOD;
      this.sent += length;
      const room = stream.write(pattern(this.sendSeed).subarray(at, at + length), monotonic(events.nowMs));
      if (!room && this.sent < this.total) {
        this.#blocked = true;
        return;
      }
    }
    this.#blocked = false;
    this.ended = true;
    stream.end(monotonic(events.nowMs));
  }

  onOpened(bound: BoundAddress): void {
    assert.equal(this.opened, undefined, 'opened twice');
    this.opened = bound;
    this.openedMs = this.events.nowMs;
    this.onEvent();
  }

  onRefused(code: ErrorCode): void {
    assert.equal(this.over, false, 'refused after the end');
    this.refused = code;
    this.onEvent();
  }

  onData(bytes: Uint8Array): void {
    assert.equal(this.fin || this.reset !== undefined || this.refused !== undefined, false, 'data after the end');
    assert.ok(bytes.byteLength > 0, 'empty data');
    if (this.received === 0) this.firstByteMs = this.events.nowMs;
    const at = this.received % PERIOD;
    const same = pattern(this.receiveSeed).compare(bytes, 0, bytes.byteLength, at, at + bytes.byteLength);
    assert.equal(same, 0, `wrong bytes at ${this.received}`);
    this.received += bytes.byteLength;
    assert.ok(this.received <= this.expected, 'more bytes than were sent');
    this.unread += bytes.byteLength;
    this.maxUnread = Math.max(this.maxUnread, this.unread);
    if (this.reading) this.#giveBackLater(bytes.byteLength);
    this.onEvent();
  }

  #giveBackLater(bytes: number): void {
    if (this.readMs === 0) this.#giveBack(bytes);
    else this.events.after(this.readMs, () => this.#giveBack(bytes));
  }

  #giveBack(bytes: number): void {
    this.unread -= bytes;
    this.stream?.consume(bytes, monotonic(this.events.nowMs));
  }

  /** Reads on after `reading` was set to false. */
  resume(): void {
    this.reading = true;
    this.#giveBack(this.unread);
  }

  onFin(): void {
    assert.equal(this.fin, false, 'FIN twice');
    assert.equal(this.received, this.expected, 'FIN before all bytes');
    this.fin = true;
    this.finMs = this.events.nowMs;
    this.onEvent();
  }

  onReset(code: ErrorCode): void {
    assert.equal(this.reset, undefined, 'reset twice');
    this.reset = code;
    this.onEvent();
  }

  onDrain(): void {
    assert.ok(this.#blocked, 'drained without having waited');
    this.#blocked = false;
    this.pump();
  }
}

export function hostOf(plan: Plan): string {
  return JSON.stringify(plan);
}

/** The proxy's end of a stream of this plan. */
export function clientEnd(events: EventQueue, plan: Plan, readMs = 0): StreamEnd {
  return new StreamEnd(events, plan.up, plan.down, plan.seed, plan.seed + 1, readMs);
}

/** An accept handler that plays the requester's part of any plan, and remembers its ends by seed. */
export function server(events: () => EventQueue): { accept: AcceptHandler; ends: Map<number, StreamEnd> } {
  const ends = new Map<number, StreamEnd>();
  const accept: AcceptHandler = (stream, kind, host): AcceptedHandlers => {
    assert.equal(kind, 'tcp');
    const plan = JSON.parse(host) as Plan;
    assert.equal(ends.has(plan.seed), false, 'a stream accepted twice');
    const end = new StreamEnd(events(), plan.down, plan.up, plan.seed + 1, plan.seed, plan.upReadMs ?? 0);
    ends.set(plan.seed, end);
    end.stream = stream;
    const connect = () => {
      const { nowMs } = events();
      if (plan.fate === 'refuse') {
        stream.refuse('REFUSED', monotonic(nowMs));
        return;
      }
      stream.opened({ host: '192.0.2.1', port: 80 }, monotonic(nowMs));
      if (plan.fate === 'reset-midway') {
        end.onEvent = () => {
          if (end.received < plan.up / 2 || end.reset !== undefined) return;
          end.reset = 'RESET';
          stream.reset('RESET', monotonic(events().nowMs));
        };
      }
      if (plan.answers === true) {
        end.onEvent = () => {
          if (end.received === plan.up && !end.ended && end.sent === 0) end.pump();
        };
        end.onEvent();
      } else {
        end.pump();
      }
    };
    if (plan.connectMs === undefined) connect();
    else events().after(plan.connectMs, connect);
    return end;
  };
  return { accept, ends };
}
