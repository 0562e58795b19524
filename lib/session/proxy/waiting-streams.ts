/**
 * Streams that wait for a session, first come, first served: because there is none for the moment, because its exit is silent,
 * or because all identities that may have one are in use.
 * @module
 */
import { afterSilence, type Clock, type Timer } from '../../core/clock.ts';
import type { ErrorCode } from '../../core/errors.ts';
import type { MonotonicMs } from '../../core/units.ts';
import type { HubStream } from './hub-stream.ts';
import type { Shortage } from './session-pool.ts';

/** What is to be opened. */
export interface OpenRequest {
  readonly stream: HubStream;
  /** The isolation token. */
  readonly token: string;
  /** The port that its requester must let through, if that matters. */
  readonly port: number | undefined;
}

interface Waiting {
  readonly request: OpenRequest;
  shortage: Shortage;
  /** Since when it is this one. */
  shortMs: MonotonicMs;
  readonly sinceMs: MonotonicMs;
  readonly timer: Timer;
}

export interface WaitingStreamsOptions {
  readonly clock: Clock;
  /** How long a stream waits at most: the time that whoever asks for it has for that. */
  readonly openTimeoutMs: () => number;
  /** Opens or refuses the stream, or says what it lacks. */
  readonly open: (request: OpenRequest) => Shortage | undefined;
  /** Whether the token has an identity already. */
  readonly hasIdentity: (token: string) => boolean;
}

/** How long a stream waits for a session when it is not for others' sake. */
export const SESSION_WAIT_MS = 15_000;
export const MAX_WAITING_STREAMS = 1024;

const CODES: Readonly<Record<Shortage, ErrorCode>> = {
  'no session': 'NO_REQUESTER',
  'no answer': 'NO_REQUESTER',
  'identities in use': 'LIMIT',
};

export class WaitingStreams {
  #waiting: Waiting[] = [];

  constructor(private readonly options: WaitingStreamsOptions) {}

  get size(): number {
    return this.#waiting.length;
  }

  /** Whether a new stream of `token` comes after others that wait for an identity. */
  precede(token: string): boolean {
    const forIdentity = this.#waiting.some(({ shortage }) => shortage === 'identities in use');
    return forIdentity && !this.options.hasIdentity(token);
  }

  /** Has the stream wait; it is refused with LIMIT when too many do. */
  add(request: OpenRequest, shortage: Shortage): void {
    if (this.#waiting.length >= MAX_WAITING_STREAMS) this.#forgetEnded();
    if (this.#waiting.length >= MAX_WAITING_STREAMS) {
      request.stream.fail('LIMIT');
      return;
    }
    const { clock, openTimeoutMs } = this.options;
    const timer = afterSilence(clock, openTimeoutMs(), () => this.#expire(waiting));
    const nowMs = clock.nowMs();
    const waiting: Waiting = { request, shortage, shortMs: nowMs, sinceMs: nowMs, timer };
    this.#waiting.push(waiting);
    tellStream(waiting);
  }

  /** Opens what can be opened now, in order; refuses what has waited for a session too long. */
  retry(): void {
    const nowMs = this.options.clock.nowMs();
    let inUse = false;
    for (const waiting of this.#waiting.splice(0)) {
      const shortage = this.#retryOne(waiting, inUse);
      inUse ||= shortage === 'identities in use';
      if (shortage === undefined) waiting.timer.cancel();
      else this.#keepOrRefuse(waiting, shortage, nowMs);
    }
  }

  refuseAll(code: ErrorCode): void {
    for (const { request, timer } of this.#waiting.splice(0)) {
      timer.cancel();
      request.stream.fail(code);
    }
  }

  /** `inUse`: no identity is free. */
  #retryOne({ request }: Waiting, inUse: boolean): Shortage | undefined {
    if (request.stream.ended) return undefined;
    if (inUse && !this.options.hasIdentity(request.token)) return 'identities in use';
    return this.options.open(request);
  }

  #keepOrRefuse(waiting: Waiting, shortage: Shortage, nowMs: MonotonicMs): void {
    if (shortage !== waiting.shortage) Object.assign(waiting, { shortage, shortMs: nowMs });
    if (shortage === 'no session' && nowMs - waiting.shortMs >= SESSION_WAIT_MS) {
      this.#refuse(waiting, shortage);
      return;
    }
    tellStream(waiting);
    this.#waiting.push(waiting);
  }

  #expire(waiting: Waiting): void {
    this.#waiting = this.#waiting.filter((other) => other !== waiting);
    this.#refuse(waiting, waiting.shortage);
  }

  #refuse({ request, timer }: Waiting, shortage: Shortage): void {
    timer.cancel();
    request.stream.fail(CODES[shortage]);
  }

  #forgetEnded(): void {
    const ended = this.#waiting.filter(({ request }) => request.stream.ended);
    for (const { timer } of ended) timer.cancel();
    this.#waiting = this.#waiting.filter((waiting) => !ended.includes(waiting));
  }
}

/** For whoever asks later why it took so long. */
function tellStream({ request, shortage, sinceMs }: Waiting): void {
  request.stream.waits(shortage === 'identities in use', sinceMs);
}
