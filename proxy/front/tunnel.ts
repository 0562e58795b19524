/**
 * A connection of an application to a site: the stream is opened, then bytes are relayed. Success is reported only after the
 * requester has connected; a failure is reported with its real reason, and the connection closed soon after.
 * @module
 */
import type { Socket } from 'node:net';
import type { RequestRecord } from '../../lib/access/request-record.ts';
import { afterSilence, type Timer } from '../../lib/core/clock.ts';
import { asMixError, ERRORS, type ErrorCode } from '../../lib/core/errors.ts';
import { breakOff, breakOffBehindBytes } from '../../lib/relay/break-off.ts';
import { type RelayOutcome, StreamRelay } from '../../lib/relay/stream-relay.ts';
import type { BoundAddress, SessionStream, StreamHandlers } from '../../lib/session/index.ts';
import { type ConnectionContext, checkConnect, isolationOf } from './context.ts';
import type { ClientRequest, Handshake } from './handshake/steps.ts';
import { answerAndClose } from './last-answer.ts';

/** What an optimistic listener reports before there is an address. */
const UNKNOWN_BOUND: BoundAddress = { host: '0.0.0.0', port: 0 };

/** The answers in the words of the client's protocol. */
export type Replies = Pick<Handshake, 'openedReply' | 'failureReply'>;

export class Tunnel {
  readonly #relay: StreamRelay;
  #record: RequestRecord | undefined;
  #phase: 'opening' | 'open' | 'closed' = 'opening';
  #stream: SessionStream | undefined;
  #timer: Timer | undefined;
  /** Success was reported; from then on a failure can only be a reset. */
  #promised = false;

  constructor(
    private readonly socket: Socket,
    private readonly context: ConnectionContext,
    private readonly replies: Replies,
  ) {
    const { streamIdleMs, halfClosedIdleMs } = context.opener.times;
    this.#relay = new StreamRelay({
      clock: context.clock,
      limits: { idleMs: streamIdleMs, halfClosedIdleMs },
      ...(context.memory === undefined ? {} : { memory: context.memory }),
      onBytes: (direction, bytes) => context.counters.bytes.inc({ direction }, bytes),
      onEnded: (outcome, code) => this.#onRelayEnded(outcome, code),
    });
  }

  /** Opens it; `early` are bytes for the site that came with the request. The socket must be paused. */
  open(request: ClientRequest, early: Uint8Array): void {
    this.socket.once('close', () => this.#timer?.cancel());
    const { port } = request;
    this.#record = this.context.counters.begin('connection', port);
    const verdict = checkConnect(request, this.context);
    if (!verdict.ok) {
      this.#fail(verdict.code);
      return;
    }
    const isolation = isolationOf(request, this.socket, this.context);
    try {
      const target = { kind: 'tcp', host: verdict.host, port, isolation } as const;
      this.#stream = this.context.opener.open(target, this.#handlers());
    } catch (error) {
      this.#fail(asMixError(error).code);
      return;
    }
    if (this.#phase === 'opening') this.#join(this.#stream, early); // else it was refused on the spot
  }

  /** Breaks it off. */
  stop(): void {
    this.#relay.stop('RESET');
    this.#phase = 'closed';
    this.socket.destroy();
  }

  #join(stream: SessionStream, early: Uint8Array): void {
    this.#relay.join(this.socket, stream, early);
    this.#arm(this.context.opener.times.openTimeoutMs, () => {
      stream.reset('TIMEOUT', this.context.clock.nowMs());
      this.#fail('TIMEOUT', true);
    });
    if (this.context.listener.optimistic) this.#promise(UNKNOWN_BOUND);
  }

  #handlers(): StreamHandlers {
    return {
      onOpened: (bound) => this.#onOpened(bound),
      onRefused: (code) => this.#onFailure(code),
      onData: (bytes) => this.#relay.onData(bytes),
      onFin: () => this.#relay.onFin(),
      onReset: (code) => (this.#phase === 'opening' ? this.#onFailure(code) : this.#relay.onReset(code)),
      onDrain: () => this.#relay.onDrain(),
    };
  }

  #onOpened(bound: BoundAddress): void {
    if (this.#phase !== 'opening') return;
    this.#phase = 'open';
    this.#timer?.cancel();
    this.#record?.opened(this.#stream);
    this.#promise(bound);
    this.#relay.startWriting();
  }

  #promise(bound: BoundAddress): void {
    if (!this.#promised) this.#relay.writeAhead(this.replies.openedReply(bound));
    this.#promised = true;
  }

  #onFailure(code: ErrorCode): void {
    if (this.#phase === 'opening') this.#fail(code);
  }

  #fail(code: ErrorCode, timedOut = false): void {
    const { log, clock, limits } = this.context;
    this.#timer?.cancel();
    this.#relay.release();
    this.#phase = 'closed';
    this.#record?.failed(code, this.#stream, timedOut);
    log.debug({ code, meaning: ERRORS[code].meaning }, 'a stream could not be opened');
    if (this.#promised) {
      breakOffBehindBytes(this.socket, clock);
      this.#arm(limits.failureLingerMs, () => breakOff(this.socket));
    } else {
      this.#timer = answerAndClose(this.socket, this.replies.failureReply(code), clock, limits.failureLingerMs);
    }
  }

  #onRelayEnded(outcome: RelayOutcome, code?: ErrorCode): void {
    this.#timer?.cancel();
    if (this.#phase === 'open') this.#record?.ended(outcome, code, this.#stream);
    else if (this.#phase === 'opening') this.#record?.abandoned(this.#stream);
    this.#phase = 'closed';
  }

  #arm(delayMs: number, fire: () => void): void {
    this.#timer?.cancel();
    this.#timer = afterSilence(this.context.clock, delayMs, fire);
  }
}
