/**
 * One connection of an application: handshake, opening of the stream, relay. Success is told only after the requester
 * has connected; a failure is told with its real reason, and the connection closed soon after.
 * @module
 */
import type { Socket } from 'node:net';
import { parseAddress } from '../lib/address-policy.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { checkDestination, type Destination } from '../lib/destination.ts';
import { asMixError, ERRORS, type ErrorCode } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { breakOff } from '../lib/relay/break-off.ts';
import { type RelayOutcome, StreamRelay } from '../lib/relay/stream-relay.ts';
import type { BoundAddress, SessionStream, StreamHandlers } from '../lib/session/index.ts';
import type { FrontLimits } from './config.ts';
import type { FrontCounters } from './front-counters.ts';
import { type ClientRequest, type Handshake, type HandshakeStep, handshakeFor, type Protocol } from './handshake.ts';
import type { IsolationTokens } from './isolation.ts';
import type { LeakWarning } from './leak-warning.ts';
import { describeAddress, type ListenerOptions } from './listener.ts';
import type { StreamOpener } from './opener.ts';
import { type Bound, socks5NameReply } from './replies.ts';
import { ResolveRequest } from './resolve.ts';
import type { SideEvents, SideRequest } from './side-request.ts';
import { UdpAssociation, type UdpContext } from './udp-association.ts';

export interface ConnectionContext {
  readonly opener: StreamOpener;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: FrontLimits;
  readonly counters: FrontCounters;
  readonly tokens: IsolationTokens;
  readonly leaks: LeakWarning;
  readonly listener: ListenerOptions;
  /** As the listener has it. */
  readonly allowPrivate: boolean;
}

/** What an optimistic listener tells before there is an address. */
const UNKNOWN_BOUND: BoundAddress = { host: '0.0.0.0', port: 0 };

const DNS_PORT = 53;

type Phase = 'handshake' | 'opening' | 'open' | 'closing';

export class FrontConnection {
  readonly #socket: Socket;
  readonly #context: ConnectionContext;
  readonly #relay: StreamRelay;
  #phase: Phase = 'handshake';
  #handshake: Handshake | undefined;
  #stream: SessionStream | undefined;
  /** In the place of stream and relay, when the client asked for something else than a connection. */
  #side: SideRequest | undefined;
  #timer: Timer | undefined;
  #openStartedMs = 0;
  /** Success was told; from then on a failure can only be a reset. */
  #promised = false;

  constructor(socket: Socket, context: ConnectionContext) {
    this.#socket = socket;
    this.#context = context;
    this.#relay = new StreamRelay({
      clock: context.clock,
      limits: context.limits,
      onBytes: (direction, bytes) => context.counters.bytes.inc({ direction }, bytes),
      onEnded: (outcome) => this.#onRelayEnded(outcome),
    });
  }

  /** Starts to read. The socket must be paused. */
  start(): void {
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, this.#context.limits.keepAliveMs);
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => {
      this.#timer?.cancel();
      this.#leaveSide('socket-reset');
    });
    socket.on('data', this.#onHandshakeData);
    socket.on('end', this.#onHandshakeEnd);
    this.#arm(this.#context.limits.handshakeMs, () => this.#giveUpHandshake('TIMEOUT'));
    socket.resume();
  }

  /** Breaks the connection off. */
  stop(): void {
    this.#leaveSide('stopped'); // first: the end of the relay closes the connection's books
    this.#relay.stop('RESET');
    this.#phase = 'closing';
    this.#socket.destroy();
  }

  readonly #onHandshakeData = (bytes: Buffer): void => {
    this.#handshake ??= handshakeFor(bytes[0] ?? 0, this.#context.listener);
    for (const step of this.#handshake.push(bytes)) this.#carryOut(step);
  };

  /** Nothing can be asked for any more; a client that only probes the port ends like this. */
  readonly #onHandshakeEnd = (): void => this.#giveUpHandshake('MALFORMED');

  #giveUpHandshake(reason: 'TIMEOUT' | 'MALFORMED'): void {
    this.#context.counters.handshakesFailed.inc({ reason });
    this.#phase = 'closing';
    this.#socket.destroy();
  }

  #carryOut(step: HandshakeStep): void {
    if (step.kind === 'send') {
      this.#socket.write(step.bytes);
      return;
    }
    this.#endHandshake();
    if (step.kind === 'request') {
      this.#request(step.request, step.early);
    } else {
      this.#context.counters.handshakesFailed.inc({ reason: step.reason });
      this.#answerAndClose(step.bytes);
    }
  }

  #endHandshake(): void {
    this.#timer?.cancel();
    this.#socket.off('data', this.#onHandshakeData);
    this.#socket.off('end', this.#onHandshakeEnd);
    this.#socket.pause();
  }

  #request(asked: ClientRequest, early: Uint8Array): void {
    this.#openStartedMs = this.#context.clock.nowMs();
    const request = { ...asked, isolation: this.#tokenOf(asked) };
    if (request.kind === 'tcp') this.#connect(request, early);
    else this.#beginSide(request);
  }

  #tokenOf({ protocol, isolation: credentials }: ClientRequest): string {
    const { listener, tokens } = this.#context;
    return tokens.tokenOf({ listener, clientAddress: this.#socket.remoteAddress, protocol, credentials });
  }

  #connect(request: ClientRequest, early: Uint8Array): void {
    const verdict = checkDestination(request.host, this.#context.allowPrivate);
    if (!verdict.ok) this.#fail(verdict.code);
    else if (request.port === 0) this.#fail('REFUSED');
    else if (this.#mayLeak(verdict.destination, request.protocol)) this.#fail('UNSAFE');
    else this.#open(request, verdict.destination, early);
  }

  /**
   * Who sends the address of a public site may have asked a resolver for it; that Chromium sends addresses as names does
   * not make them safer. True when this listener refuses such requests, else they are only noted.
   */
  #mayLeak(destination: Destination, protocol: Protocol): boolean {
    return destination.kind === 'address' && this.#isLeak(destination.host, protocol);
  }

  #isLeak(address: string, protocol: Protocol): boolean {
    const { listener, leaks, counters } = this.#context;
    if (listener.safeSocks) return true;
    if (parseAddress(address)?.scope !== 'public') return false;
    counters.addresses.inc({ protocol });
    leaks.note(describeAddress(listener.address), protocol);
    return false;
  }

  #open({ isolation, port }: ClientRequest, { host }: Destination, early: Uint8Array): void {
    this.#phase = 'opening';
    const target = { kind: 'tcp', host, port, ...(isolation === undefined ? {} : { isolation }) } as const;
    try {
      this.#stream = this.#context.opener.open(target, this.#handlers());
    } catch (error) {
      this.#fail(asMixError(error).code);
      return;
    }
    if (this.#phase !== 'opening') return; // refused on the spot
    this.#relay.join(this.#socket, this.#stream, early);
    this.#arm(this.#context.limits.connectMs, () => {
      this.#stream?.reset('TIMEOUT', this.#context.clock.nowMs());
      this.#fail('TIMEOUT');
    });
    if (this.#context.listener.optimistic) this.#promise(UNKNOWN_BOUND);
  }

  /** The client has nothing to say but that it is still there. */
  #beginSide(request: ClientRequest): void {
    this.#phase = 'opening';
    this.#socket.on('data', () => {});
    this.#socket.on('end', () => this.#side?.clientEnded());
    this.#socket.resume();
    this.#arm(this.#context.limits.connectMs, () => {
      this.#side?.stop('TIMEOUT');
      this.#fail('TIMEOUT');
    });
    const events = this.#sideEvents();
    this.#side =
      request.kind === 'udp'
        ? new UdpAssociation(request, this.#socket, this.#udpContext(request.protocol), events)
        : new ResolveRequest(request, this.#context, events);
    this.#side.start();
  }

  #udpContext(protocol: Protocol): UdpContext {
    const { listener } = this.#context;
    let noted = false;
    const mayLeak = (host: string, port: number) => {
      if (port === DNS_PORT) return false; // name servers are known by address
      if (listener.safeSocks) return true;
      if (noted || parseAddress(host)?.scope !== 'public') return false;
      noted = true; // once for an association
      return this.#isLeak(host, protocol);
    };
    return { ...this.#context, mayLeak };
  }

  #sideEvents(): SideEvents {
    const { counters, clock } = this.#context;
    const opened = () => {
      this.#timer?.cancel();
      this.#phase = 'open';
      counters.opened(clock.nowMs() - this.#openStartedMs);
    };
    return {
      open: (bound) => {
        opened();
        this.#socket.write(this.#openedReply(bound));
      },
      finish: (bound) => {
        opened();
        counters.ended('finished');
        this.#answerAndClose(this.#openedReply(bound));
      },
      fail: (code) => this.#fail(code),
      close: () => this.#endSide(),
    };
  }

  /** Names come from RESOLVE_PTR only. */
  #openedReply(bound: Bound): Uint8Array {
    const isName = parseAddress(bound.host) === undefined;
    return isName ? socks5NameReply(bound.host) : (this.#handshake?.openedReply(bound) ?? new Uint8Array(0));
  }

  /** It has ended as such a thing does. */
  #endSide(): void {
    if (this.#phase === 'closing') return;
    this.#leaveSide('finished');
    this.#answerAndClose(new Uint8Array(0));
  }

  #leaveSide(outcome: RelayOutcome): void {
    if (this.#side === undefined || this.#phase === 'closing') return;
    this.#side.stop('RESET');
    if (this.#phase === 'open') this.#context.counters.ended(outcome);
    else this.#context.counters.abandoned();
    this.#phase = 'closing';
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
    const { counters, clock } = this.#context;
    counters.opened(clock.nowMs() - this.#openStartedMs);
    this.#promise(bound);
    this.#relay.startWriting();
  }

  #promise(bound: BoundAddress): void {
    if (!this.#promised) this.#socket.write(this.#handshake?.openedReply(bound) ?? new Uint8Array(0));
    this.#promised = true;
  }

  #onFailure(code: ErrorCode): void {
    if (this.#phase === 'opening') this.#fail(code);
  }

  #fail(code: ErrorCode): void {
    this.#timer?.cancel();
    this.#relay.release();
    this.#context.counters.failed(code);
    this.#context.log.debug({ code, meaning: ERRORS[code].meaning }, 'a stream could not be opened');
    if (!this.#promised) {
      this.#answerAndClose(this.#handshake?.failureReply(code) ?? new Uint8Array(0));
      return;
    }
    this.#phase = 'closing';
    breakOff(this.#socket);
  }

  /**
   * Sends the last answer and our FIN, and discards what still comes: closing over unread bytes would make the kernel
   * send a reset, and the answer might be lost with it.
   */
  #answerAndClose(bytes: Uint8Array): void {
    this.#phase = 'closing';
    this.#socket.end(bytes);
    this.#socket.on('data', () => {});
    this.#socket.resume();
    this.#arm(this.#context.limits.failureLingerMs, () => this.#socket.destroy());
  }

  #onRelayEnded(outcome: RelayOutcome): void {
    this.#timer?.cancel();
    if (this.#phase === 'open') this.#context.counters.ended(outcome);
    else if (this.#phase === 'opening') this.#context.counters.abandoned();
    this.#phase = 'closing';
  }

  #arm(delayMs: number, fire: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#context.clock.after(delayMs, fire);
  }
}
