/**
 * One stream at the exit: check, resolve, connect, then relay. `opened` follows when the site has answered, a refusal
 * has its real reason.
 * @module
 */

import type { Socket } from 'node:net';
import { afterSilence, type Timer } from '../../lib/core/clock.ts';
import { asMixError, type ErrorCode, MixError } from '../../lib/core/errors.ts';
import type { MonotonicMs } from '../../lib/core/units.ts';
import { checkDestination, type Destination } from '../../lib/net/destination.ts';
import { type RelayOutcome, StreamRelay } from '../../lib/relay/stream-relay.ts';
import type { AcceptedHandlers, AcceptedStream } from '../../lib/session/index.ts';
import { connectToAny } from './connect.ts';
import type { EgressContext } from './context.ts';

/** Of a program that broke its connection off. With any other code the proxy has answered it that there is no connection. */
const PROGRAMS_RESET: ErrorCode = 'RESET';

export class EgressStream implements AcceptedHandlers {
  readonly #relay: StreamRelay;
  readonly #abort = new AbortController();
  #phase: 'connecting' | 'open' | 'gone' = 'connecting';
  #expiry: Timer | undefined;
  #received = false;
  /** The program broke off while we were connecting: what it had sent comes first. */
  #resetBehindBytes = false;

  /** `session` names whose memory and look-ups it takes; `onGone` is called once, when the stream needs nothing of us any more. */
  constructor(
    private readonly stream: AcceptedStream,
    private readonly context: EgressContext,
    private readonly session: string,
    private readonly onGone: () => void,
  ) {
    this.#relay = new StreamRelay({
      clock: context.clock,
      limits: context.limits,
      ...(context.memory === undefined ? {} : { memory: context.memory, memoryOwner: this.session }),
      onBytes: context.onBytes,
      onEnded: (outcome) => this.#onRelayEnded(outcome),
    });
  }

  start(host: string, port: number): void {
    void this.#run(host, port);
  }

  /** Breaks the stream off. */
  stop(): void {
    if (this.#phase === 'connecting') this.#refuse('SESSION_CLOSED');
    else this.#relay.stop('RESET');
  }

  giveUp(): void {
    if (this.#phase === 'connecting') this.#refuse('LIMIT');
    else this.#relay.stop('LIMIT');
  }

  get movedMs(): MonotonicMs {
    return this.#relay.lastActivityMs;
  }

  onData(bytes: Uint8Array): void {
    this.#received = true;
    this.#relay.onData(bytes);
  }

  onFin(): void {
    this.#relay.onFin();
  }

  onDrain(): void {
    this.#relay.onDrain();
  }

  onReset(code: ErrorCode): void {
    if (this.#phase !== 'connecting') this.#relay.onReset(code);
    else if (code === PROGRAMS_RESET && this.#received) this.#resetBehindBytes = true;
    else this.#leave();
  }

  async #run(host: string, port: number): Promise<void> {
    const { clock, limits } = this.context;
    const startedMs = clock.nowMs();
    const timer = afterSilence(clock, limits.connectMs, () => this.#refuse('TIMEOUT'));
    try {
      this.#onConnected(await this.#connect(host, port), startedMs);
    } catch (error) {
      this.#refuse(asMixError(error).code);
    } finally {
      timer.cancel();
    }
  }

  async #connect(host: string, port: number): Promise<Socket> {
    const { allowPrivate, policy, clock, limits } = this.context;
    const verdict = checkDestination(host, allowPrivate);
    if (!verdict.ok) throw new MixError(verdict.code, 'the destination is not allowed');
    if (port < 1 || port > 65_535) throw new MixError('REFUSED', 'there is no such port');
    const addresses = policy.permitted(await this.#addressesOf(verdict.destination), port);
    if (addresses.length === 0) throw new MixError('POLICY', 'no address of the destination is allowed');
    return connectToAny(addresses, port, { clock, limits, signal: this.#abort.signal });
  }

  #addressesOf({ kind, host }: Destination): Promise<readonly string[]> {
    return kind === 'address' ? Promise.resolve([host]) : this.context.resolver.resolve(host, this.session);
  }

  #onConnected(socket: Socket, startedMs: MonotonicMs): void {
    if (this.#phase !== 'connecting') {
      socket.destroy();
      return;
    }
    this.#phase = 'open';
    const { clock, limits, onOpened } = this.context;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, limits.keepAliveMs);
    const nowMs = clock.nowMs();
    onOpened(nowMs - startedMs);
    // The exit's own address is nobody's business; the client gets the unspecified one of the family in use.
    this.stream.opened({ host: socket.remoteFamily === 'IPv6' ? '::' : '0.0.0.0', port: 0 }, nowMs);
    this.#expiry = clock.after(limits.openMs, () => this.#relay.stop('TIMEOUT', 'expired'));
    this.#relay.join(socket, this.stream);
    this.#relay.startWriting();
    if (this.#resetBehindBytes) this.#relay.onReset(PROGRAMS_RESET);
  }

  #refuse(code: ErrorCode): void {
    if (this.#phase !== 'connecting') return;
    this.context.onRefused(code);
    this.context.log.debug({ code }, 'a stream was refused');
    this.stream.refuse(code, this.context.clock.nowMs());
    this.#leave();
  }

  /** From `connecting` to `gone`, with nothing left behind. */
  #leave(): void {
    this.#phase = 'gone';
    this.#relay.release();
    this.#abort.abort();
    this.onGone();
  }

  #onRelayEnded(outcome: RelayOutcome): void {
    if (this.#phase === 'connecting') {
      this.#refuse('LIMIT'); // the memory of what waits for the connection was wanted
      return;
    }
    this.#phase = 'gone';
    this.#expiry?.cancel();
    this.context.onEnded(outcome);
    this.onGone();
  }
}
