/**
 * One connection of an application: which protocol it speaks, the SOCKS handshake, then what it asks for: a tunnel, a
 * look-up or a UDP association. HTTP goes to the front's HTTP server (http/).
 * @module
 */
import type { Socket } from 'node:net';
import type { RequestRecord } from '../../lib/access/request-record.ts';
import { afterSilence, type Timer } from '../../lib/core/clock.ts';
import { ERRORS, type ErrorCode } from '../../lib/core/errors.ts';
import { parseAddress } from '../../lib/net/address-policy.ts';
import type { RelayOutcome } from '../../lib/relay/stream-relay.ts';
import { UdpAssociation, type UdpContext } from '../udp/udp-association.ts';
import { type ConnectionContext, isLeak, isolationOf } from './context.ts';
import { handshakeFor, startsHttp } from './handshake/handshake.ts';
import { type Bound, socks5NameReply } from './handshake/replies.ts';
import type { ClientRequest, Handshake, HandshakeStep, Protocol } from './handshake/steps.ts';
import type { HttpConnection } from './http/connection.ts';
import type { HttpFront } from './http/server.ts';
import { answerAndClose } from './last-answer.ts';
import { ResolveRequest } from './resolve.ts';
import type { SideEvents, SideRequest } from './side-request.ts';
import { Tunnel } from './tunnel.ts';

const DNS_PORT = 53;

type Phase = 'handshake' | 'http' | 'tunnel' | 'opening' | 'open' | 'closing';

export class FrontConnection {
  #phase: Phase = 'handshake';
  #handshake: Handshake | undefined;
  /** Whatever the connection has become. */
  #part: Tunnel | HttpConnection | undefined;
  /** Instead of a tunnel, when the client asked for something else than a connection. */
  #side: SideRequest | undefined;
  #timer: Timer | undefined;
  /** Of a side request. */
  #record: RequestRecord | undefined;

  constructor(
    private readonly socket: Socket,
    private readonly context: ConnectionContext,
    private readonly http: HttpFront,
  ) {}

  /** Starts to read. The socket must be paused. */
  start(): void {
    const socket = this.socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, this.context.limits.keepAliveMs);
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => {
      this.#timer?.cancel();
      this.#leaveSide('socket-reset');
    });
    socket.on('data', this.#onFirstData);
    socket.on('end', this.#onHandshakeEnd);
    this.#awaitMessage();
    socket.resume();
  }

  /** Breaks the connection off. */
  stop(): void {
    this.#leaveSide('stopped'); // first: the end of the relay closes the connection's books
    this.#part?.stop();
    this.#phase = 'closing';
    this.socket.destroy();
  }

  readonly #onFirstData = (bytes: Buffer): void => {
    const first = bytes[0] ?? 0;
    this.socket.off('data', this.#onFirstData);
    if (startsHttp(first)) {
      this.#endHandshake();
      this.#phase = 'http';
      this.#part = this.http.serve(this.socket, bytes, this.context);
    } else {
      this.#handshake = handshakeFor(first, this.context.listener);
      this.socket.on('data', this.#onHandshakeData);
      this.#onHandshakeData(bytes);
    }
  };

  readonly #onHandshakeData = (bytes: Buffer): void => {
    for (const step of this.#handshake?.push(bytes) ?? []) this.#carryOut(step);
  };

  /** Nothing can be asked for any more; a client that only probes the port ends like this. */
  readonly #onHandshakeEnd = (): void => this.#giveUpHandshake('MALFORMED');

  #giveUpHandshake(reason: 'TIMEOUT' | 'MALFORMED'): void {
    const { counters } = this.context;
    counters.handshakesFailed.inc({ reason });
    // Who has sent nothing only looked whether the port is open.
    if (this.#handshake !== undefined)
      counters.troubles.note(this.#handshake.awaitsLogin ? 'login-missing' : 'not-a-request', 'refused', 'connection');
    this.#phase = 'closing';
    this.socket.destroy();
  }

  #carryOut(step: HandshakeStep): void {
    if (step.kind === 'send') {
      this.socket.write(step.bytes);
      this.#awaitMessage();
      return;
    }
    this.#endHandshake();
    if (step.kind === 'request') {
      this.#request(step.request, step.early);
    } else {
      this.context.counters.handshakeRefused(step.reason);
      this.#answerAndClose(step.bytes);
    }
  }

  /** Of the handshake: a greeting, a login, a request. */
  #awaitMessage(): void {
    this.#arm(this.context.limits.handshakeMs, () => this.#giveUpHandshake('TIMEOUT'));
  }

  #endHandshake(): void {
    this.#timer?.cancel();
    this.socket.off('data', this.#onHandshakeData);
    this.socket.off('end', this.#onHandshakeEnd);
    this.socket.pause();
  }

  #request(request: ClientRequest, early: Uint8Array): void {
    this.context.bounds?.settle(this.socket);
    if (request.kind !== 'tcp' || this.#handshake === undefined) {
      this.#beginSide({ ...request, isolation: isolationOf(request, this.socket, this.context) });
      return;
    }
    this.#phase = 'tunnel';
    const tunnel = new Tunnel(this.socket, this.context, this.#handshake);
    this.#part = tunnel;
    tunnel.open(request, early);
  }

  /** The client has nothing to say but that it is still there. */
  #beginSide(request: ClientRequest): void {
    this.#phase = 'opening';
    const kind = request.kind === 'udp' ? 'association' : 'look-up';
    this.#record = this.context.counters.begin(kind);
    this.socket.on('data', () => {});
    this.socket.on('end', () => this.#side?.clientEnded());
    this.socket.resume();
    this.#arm(this.context.opener.times.openTimeoutMs, () => {
      this.#side?.stop('TIMEOUT');
      this.#fail('TIMEOUT', true);
    });
    const events = this.#sideEvents();
    this.#side =
      request.kind === 'udp'
        ? new UdpAssociation(request, this.socket, this.#udpContext(request.protocol), events)
        : new ResolveRequest(request, this.context, events);
    this.#side.start();
  }

  #udpContext(protocol: Protocol): UdpContext {
    const { listener } = this.context;
    let noted = false;
    const mayLeak = (host: string, port: number) => {
      if (port === DNS_PORT) return false; // name servers are known by address
      if (listener.safeSocks) return true;
      if (noted || parseAddress(host)?.scope !== 'public') return false;
      noted = true; // once for an association
      return isLeak(host, protocol, this.context);
    };
    return { ...this.context, mayLeak };
  }

  #sideEvents(): SideEvents {
    const opened = () => {
      this.#timer?.cancel();
      this.#phase = 'open';
      this.#record?.opened(this.#side?.stream);
    };
    return {
      open: (bound) => {
        opened();
        this.socket.write(this.#openedReply(bound));
      },
      finish: (bound) => {
        opened();
        this.#record?.ended('finished');
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
    if (this.#phase === 'open') this.#record?.ended(outcome);
    else this.#record?.abandoned(this.#side.stream);
    this.#phase = 'closing';
  }

  #fail(code: ErrorCode, timedOut = false): void {
    this.#record?.failed(code, this.#side?.stream, timedOut);
    this.context.log.debug({ code, meaning: ERRORS[code].meaning }, 'a stream could not be opened');
    this.#answerAndClose(this.#handshake?.failureReply(code) ?? new Uint8Array(0));
  }

  #answerAndClose(bytes: Uint8Array): void {
    this.#phase = 'closing';
    this.#timer?.cancel();
    const { clock, limits } = this.context;
    this.#timer = answerAndClose(this.socket, bytes, clock, limits.failureLingerMs);
  }

  #arm(delayMs: number, fire: () => void): void {
    this.#timer?.cancel();
    this.#timer = afterSilence(this.context.clock, delayMs, fire);
  }
}
