/**
 * One request of a program, from its asking to its end: counted by outcome, and judged when it failed or took long.
 * @module
 */
import type { Clock } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { RelayOutcome } from '../relay/stream-relay.ts';
import type { SessionStream } from '../session/index.ts';
import type { StreamCounters } from './stream-counters.ts';
import type { SituationOf } from './troubles/diagnosis.ts';
import { judgeAbandoned, judgeBreak, judgeFailure, judgeOpening } from './troubles/judge.ts';
import type { Reason } from './troubles/reasons.ts';
import type { Effect, RecentTroubles, RequestKind } from './troubles/recent-troubles.ts';

/** What the records of one proxy or client share. */
export interface RecordContext {
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly counters: StreamCounters;
  readonly troubles: RecentTroubles;
  readonly situation: SituationOf;
}

/** A `StreamObserver`. */
export class RequestRecord {
  readonly #port: number | undefined;
  readonly #startedMs: number;

  /** `port` is the one asked for, if any: it is looked up in policies and kept nowhere else. */
  constructor(
    private readonly context: RecordContext,
    private readonly kind: RequestKind,
    port?: number,
  ) {
    this.#port = port;
    this.#startedMs = context.clock.nowMs();
  }

  opened(stream?: SessionStream): void {
    const afterMs = this.#ageMs;
    this.context.counters.opened(afterMs);
    this.#note('slow', judgeOpening(this.kind, afterMs, this.#situation(stream)));
  }

  failed(code: ErrorCode, stream?: SessionStream, timedOut = false): void {
    this.context.counters.failed(code);
    const own = timedOut || (stream === undefined && OF_THE_REQUEST.has(code));
    this.#note('refused', judgeFailure(code, own, this.#situation(stream)));
  }

  abandoned(stream?: SessionStream): void {
    this.context.counters.abandoned();
    this.#note('slow', judgeAbandoned(this.#ageMs, this.#situation(stream)));
  }

  ended(outcome: RelayOutcome, code?: ErrorCode, stream?: SessionStream): void {
    this.context.counters.ended(outcome);
    if (code !== undefined) this.#note('broken off', judgeBreak(code, this.#situation(stream)));
  }

  /** What came over an open stream is no answer that the program can get. */
  unanswered(code: 'RESET' | 'MALFORMED'): void {
    this.#note('refused', code === 'RESET' ? 'site-reset' : 'site-malformed');
  }

  get #ageMs(): number {
    return this.context.clock.nowMs() - this.#startedMs;
  }

  #situation(stream: SessionStream | undefined) {
    return this.context.situation(stream, this.#port);
  }

  #note(effect: Effect, reason: Reason | undefined): void {
    if (reason !== undefined) this.context.troubles.note(reason, effect, this.kind);
  }
}

/** Without a stream, these are said of the request itself; the others say what the network lacks. */
const OF_THE_REQUEST: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'POLICY',
  'UNSAFE',
  'REFUSED',
  'COMMAND',
  'ADDRESS_TYPE',
  'MALFORMED',
]);
