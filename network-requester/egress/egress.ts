/**
 * The requester's way out: takes streams of sessions, connects each to its site if the policy and the limits allow it,
 * and relays. Counts by outcome; never logs where to.
 * @module
 */

import type { ErrorCode } from '../../lib/core/errors.ts';
import type { MonotonicMs } from '../../lib/core/units.ts';
import type { RelayOutcome } from '../../lib/relay/stream-relay.ts';
import type { Components } from '../../lib/runtime/components.ts';
import type { AcceptedHandlers, AcceptedStream, AcceptHandler, StreamKind } from '../../lib/session/index.ts';
import { Admission } from '../admission.ts';
import { DEFAULT_EGRESS_LIMITS, type EgressLimits } from '../config.ts';
import { type NameResolver, SystemResolver } from '../dns/resolver.ts';
import { ExitPolicy } from '../policy/exit-policy.ts';
import type { PaidBy } from '../shares.ts';
import type { EgressContext } from './context.ts';
import { EgressStream } from './egress-stream.ts';
import { ResolveStream } from './resolve-stream.ts';
import { UdpEgress } from './udp-egress.ts';

export interface EgressOptions {
  readonly components: Pick<Components, 'clock' | 'log' | 'metrics' | 'memory'>;
  readonly allowPrivate: boolean;
  /** UDP associations; true unless said otherwise. */
  readonly allowUdp?: boolean;
  readonly limits?: Partial<EgressLimits>;
  readonly resolver?: NameResolver;
  readonly policy?: ExitPolicy;
  /** What streams and look-ups are shared by when there are too few for all; without it all sessions have the same share. */
  readonly paidBy?: PaidBy;
}

export interface EgressCounts {
  /** Connecting or open now. */
  readonly active: number;
  readonly opened: number;
  readonly refused: Readonly<Partial<Record<ErrorCode, number>>>;
}

/** A stream of any kind while it needs something of us. */
interface ServedStream extends AcceptedHandlers {
  /** When bytes last moved, or it began. */
  readonly movedMs: MonotonicMs;
  start(host: string, port: number): void;
  /** Breaks it off. */
  stop(): void;
  /** The same, since its place is for another one. */
  giveUp(): void;
}

const IGNORE: AcceptedHandlers = { onData() {}, onFin() {}, onReset() {}, onDrain() {} };

/** Seconds from the arrival of a request to the answer of the site. */
const CONNECT_BUCKETS_S = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];

export class Egress {
  readonly #context: EgressContext;
  readonly #admission: Admission;
  /** With their sessions. */
  readonly #streams = new Map<ServedStream, string>();
  readonly #refused: Partial<Record<ErrorCode, number>> = {};
  readonly #requests;
  #opened = 0;

  constructor(options: EgressOptions) {
    const { clock, log, metrics, memory } = options.components;
    const { paidBy } = options;
    this.#requests = metrics.counter('requester_requests_total', 'Streams by outcome: opened, or why not.', [
      'outcome',
    ]);
    const bytes = metrics.counter('requester_stream_bytes_total', 'Bytes from (up) and to (down) sites.', [
      'direction',
    ]);
    const ended = metrics.counter('requester_streams_ended_total', 'How open streams ended.', ['outcome']);
    const datagrams = metrics.counter('requester_datagrams_total', 'Datagrams sent up, passed down, or lost.', [
      'fate',
    ]);
    const seconds = metrics.histogram('requester_connect_seconds', 'Name resolution and connect.', CONNECT_BUCKETS_S);
    metrics.gaugeOf('requester_streams_active', 'Streams connecting or open.', () => this.#streams.size);
    const limits = { ...DEFAULT_EGRESS_LIMITS, ...options.limits };
    const giveUp = (session: string) => this.#longestIdle(session)?.giveUp();
    this.#admission = new Admission({ limits, giveUp, ...(paidBy === undefined ? {} : { paidBy }) }, clock.nowMs());
    this.#context = {
      clock,
      log: log.child({ part: 'egress' }),
      limits,
      ...(memory === undefined ? {} : { memory }),
      allowPrivate: options.allowPrivate,
      allowUdp: options.allowUdp ?? true,
      resolver: options.resolver ?? new SystemResolver({ clock }),
      policy: options.policy ?? new ExitPolicy({ clock, allowPrivate: options.allowPrivate }),
      onBytes: (direction, count) => bytes.inc({ direction }, count),
      onOpened: (afterMs) => {
        this.#opened += 1;
        this.#requests.inc({ outcome: 'opened' });
        seconds.observe(afterMs / 1000);
      },
      onRefused: (code) => this.#countRefused(code),
      onEnded: (outcome: RelayOutcome) => ended.inc({ outcome }),
      onDatagram: (fate) => datagrams.inc({ fate }),
    };
  }

  /**
   * Takes a new stream. `session` groups streams for the limit per session and is used for nothing else.
   */
  readonly accept: AcceptHandler = (stream, kind, host, port, session) => {
    if (kind === 'udp' && !this.#context.allowUdp) return this.#turnDown(stream, 'COMMAND');
    if (!this.#admission.admit(session, this.#context.clock.nowMs())) return this.#turnDown(stream, 'LIMIT');
    const onGone = () => {
      if (this.#streams.delete(served)) this.#admission.release(session);
    };
    const served = this.#newStream(stream, kind, session, onGone);
    this.#streams.set(served, session);
    served.start(host, port);
    return served;
  };

  #newStream(stream: AcceptedStream, kind: StreamKind, session: string, onGone: () => void): ServedStream {
    const context = this.#context;
    if (kind === 'tcp') return new EgressStream(stream, context, session, onGone);
    if (kind === 'resolve') return new ResolveStream(stream, context, session, onGone);
    // Whom a datagram is sent to for the first time counts like a new connection.
    const mayReach = () => this.#admission.takeRate(session, context.clock.nowMs());
    return new UdpEgress(stream, context, session, mayReach, onGone);
  }

  counts(): EgressCounts {
    return { active: this.#streams.size, opened: this.#opened, refused: { ...this.#refused } };
  }

  /** Breaks all streams off. */
  stop(): void {
    for (const stream of this.#streams.keys()) stream.stop();
  }

  #longestIdle(session: string): ServedStream | undefined {
    let found: ServedStream | undefined;
    for (const [stream, owner] of this.#streams) {
      if (owner === session && (found === undefined || stream.movedMs < found.movedMs)) found = stream;
    }
    return found;
  }

  #turnDown(stream: AcceptedStream, code: ErrorCode): AcceptedHandlers {
    this.#countRefused(code);
    stream.refuse(code, this.#context.clock.nowMs());
    return IGNORE;
  }

  #countRefused(code: ErrorCode): void {
    this.#refused[code] = (this.#refused[code] ?? 0) + 1;
    this.#requests.inc({ outcome: code });
  }
}
