/**
 * Counts the streams of a proxy or client: by outcome and reason only, never by destination.
 * @module
 */
import type { Clock } from '../core/clock.ts';
import { type ErrorCode, isErrorCode } from '../core/errors.ts';
import type { RelayOutcome } from '../relay/stream-relay.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { RequestRecord } from './request-record.ts';
import { RecentTimes, type TimesStatus } from './status/recent-times.ts';
import type { SituationOf } from './troubles/diagnosis.ts';
import { judgeFailure, UNTROUBLED } from './troubles/judge.ts';
import { RecentTroubles, type RequestKind, type TroublesStatus } from './troubles/recent-troubles.ts';

/** Streams as `status.json` shows them. */
export interface StreamCounts {
  /** Applications' connections, in whatever state. */
  readonly connections: number;
  /** Streams that are open now. */
  readonly open: number;
  readonly opened: number;
  /** Requests that failed, by reason. */
  readonly refused: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Requests that the application gave up before there was an answer. */
  readonly abandoned: number;
  /** From request to success, for the last of those opened. */
  readonly opening: TimesStatus;
  /** What was refused, slow or broken off lately, and why. */
  readonly troubles: TroublesStatus;
}

/** Seconds: a local network answers in tenths, a large one in a few seconds. */
const OPEN_BUCKETS_S = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60];

export class StreamCounters {
  readonly bytes;
  readonly datagrams;
  readonly handshakesFailed;
  readonly addresses;
  readonly #requests;
  readonly #ended;
  readonly #openSeconds;
  readonly #opening = new RecentTimes();
  readonly #refused: Partial<Record<ErrorCode, number>> = {};
  #openedCount = 0;
  #endedCount = 0;
  #abandonedCount = 0;

  readonly troubles: RecentTroubles;

  /** Without `situation`, failures are judged by their codes alone. */
  constructor(
    metrics: Metrics,
    private readonly clock: Pick<Clock, 'nowMs'>,
    readonly connections: () => number,
    private readonly situation: SituationOf = () => UNTROUBLED,
  ) {
    this.troubles = new RecentTroubles(clock);
    this.bytes = metrics.counter('proxy_stream_bytes_total', 'Bytes of streams, without cover.', ['direction']);
    this.datagrams = metrics.counter('proxy_datagrams_total', 'UDP datagrams passed up and down, or dropped.', [
      'fate',
    ]);
    this.handshakesFailed = metrics.counter('proxy_handshakes_failed_total', 'Connections that asked for nothing.', [
      'reason',
    ]);
    this.addresses = metrics.counter(
      'proxy_addresses_for_names_total',
      'Requests with a public address in place of a name: the program may resolve names outside the mixnet.',
      ['protocol'],
    );
    this.#requests = metrics.counter('proxy_requests_total', 'Requests by outcome: opened, or why not.', ['outcome']);
    this.#ended = metrics.counter('proxy_streams_ended_total', 'How open streams ended.', ['outcome']);
    this.#openSeconds = metrics.histogram('proxy_open_seconds', 'From request to success reply.', OPEN_BUCKETS_S);
    metrics.gaugeOf('proxy_streams_open', 'Streams open now.', () => this.#openedCount - this.#endedCount);
    metrics.gaugeOf('proxy_connections', 'Connections of applications.', connections);
  }

  /** A connection that asked for nothing that can be had; `reason` is an error code or a word of the handshake. */
  handshakeRefused(reason: string): void {
    this.handshakesFailed.inc({ reason });
    const why = isErrorCode(reason) ? judgeFailure(reason, true, UNTROUBLED) : 'not-a-request';
    this.troubles.note(why, 'refused', 'connection');
  }

  /** A request begins; `port` is the one that it is for. */
  begin(kind: RequestKind, port?: number): RequestRecord {
    const { troubles } = this;
    return new RequestRecord({ clock: this.clock, counters: this, troubles, situation: this.situation }, kind, port);
  }

  opened(afterMs: number): void {
    this.#openedCount += 1;
    this.#requests.inc({ outcome: 'opened' });
    this.#openSeconds.observe(afterMs / 1000);
    this.#opening.record(afterMs);
  }

  failed(code: ErrorCode): void {
    this.#refused[code] = (this.#refused[code] ?? 0) + 1;
    this.#requests.inc({ outcome: code });
  }

  abandoned(): void {
    this.#abandonedCount += 1;
    this.#requests.inc({ outcome: 'abandoned' });
  }

  ended(outcome: RelayOutcome): void {
    this.#endedCount += 1;
    this.#ended.inc({ outcome });
  }

  counts(): StreamCounts {
    return {
      connections: this.connections(),
      open: this.#openedCount - this.#endedCount,
      opened: this.#openedCount,
      refused: { ...this.#refused },
      abandoned: this.#abandonedCount,
      opening: this.#opening.status(),
      troubles: this.troubles.status(),
    };
  }
}
