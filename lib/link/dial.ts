/**
 * The dialling side of one link, from the TCP connection to the hello of the other end.
 * @module
 */
import type { Socket } from 'node:net';
import { connect, type SecureContext, type TLSSocket } from 'node:tls';
import { afterSilence, type Clock, type Timer } from '../core/clock.ts';
import { systemCode } from '../core/errors.ts';
import type { MemoryBudget } from '../core/memory-budget.ts';
import type { VersionRange } from '../core/version-range.ts';
import { type AccessCredential, withAccess } from './access.ts';
import { addressesOf, FirstConnection } from './first-connection.ts';
import { FrameSocket, tuneSocket } from './frame-socket.ts';
import { frameShape } from './framing.ts';
import {
  decodeHello,
  encodeHello,
  frameBytesOf,
  HELLO_BYTES,
  type HelloTerms,
  isBetweenNodes,
  refusalIn,
  versionsIn,
} from './hello.ts';
import { groupOf, groupsOf, type KeyExchange, NO_COMMON_GROUP } from './key-exchange.ts';
import { PEER_OPTIONS, verifyPeer } from './tls.ts';
import type { ClientTerms, HelloKind, LinkTarget } from './types.ts';

export interface DialOptions {
  readonly context: SecureContext;
  /** That of `context`. */
  readonly keyExchange: KeyExchange;
  readonly target: LinkTarget;
  /** Of two addresses; by default IPv6 is tried first. */
  readonly ipv4First?: boolean;
  /** The address of this machine to dial from; the system chooses without it. */
  readonly localAddress?: string | undefined;
  readonly kind: HelloKind;
  readonly terms: HelloTerms;
  /** Of a client that dials its gateway. */
  readonly client?: ClientTerms;
  /** Shown to a gateway of a private network. */
  readonly access?: AccessCredential | undefined;
  readonly clock: Clock;
  readonly queueFrames: number;
  readonly stallTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly memory?: MemoryBudget;
  /**
   * The other end has proven its key and said hello; `extra` is what stands behind its terms, `group` that of the key
   * exchange, `version` that of the link.
   */
  readonly onUp: (link: FrameSocket, extra: Uint8Array, group: string, version: number) => void;
  readonly onFrame: (frame: Buffer) => void;
  /** The other end speaks none of our versions; the attempt fails. */
  readonly onOtherVersion?: (theirs: VersionRange) => void;
  /** The other end's hello, which is good; called before `onUp`. */
  readonly onHello?: (frame: Uint8Array) => void;
  /** The attempt failed or the link ended; called once. */
  readonly onDown: (reason: string) => void;
}

export class Dial {
  readonly #connection: FirstConnection;
  #socket: TLSSocket | undefined;
  readonly #timer: Timer;
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>;
  #onClosed: () => void = () => {};
  #link: FrameSocket | undefined;
  #up = false;
  #ended = false;

  private constructor(private readonly options: DialOptions) {
    const { target, localAddress, clock, handshakeTimeoutMs, ipv4First = false } = options;
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
    this.#timer = afterSilence(clock, handshakeTimeoutMs, () => this.#fail('handshake-timeout'));
    this.#connection = new FirstConnection({
      addresses: addressesOf(target, { localAddress, ipv4First }),
      localAddress,
      clock,
      onConnected: (socket) => this.#secure(socket),
      onFailed: (code) => this.#fail(code),
    });
  }

  /** Begins to connect. */
  static start(options: DialOptions): Dial {
    return new Dial(options);
  }

  /** Gives the attempt or the link up; `onDown` gets `reason`. */
  close(reason: string): void {
    if (this.#up) this.#link?.close(reason);
    else this.#fail(reason);
  }

  #secure(connection: Socket): void {
    tuneSocket(connection);
    const { context } = this.options;
    // No server name: all handshakes look alike, and names of hosts are nobody's business.
    const socket = connect({ socket: connection, servername: '', secureContext: context, ...PEER_OPTIONS });
    this.#socket = socket;
    socket.once('close', () => this.#onClosed());
    socket.on('error', this.#onEarlyError);
    socket.on('close', this.#onEarlyClose);
    socket.once('secureConnect', () => this.#onSecure(socket));
  }

  #onSecure(socket: TLSSocket): void {
    const { target, terms, kind, client, access, clock, queueFrames, stallTimeoutMs, memory } = this.options;
    const verdict = verifyPeer(socket, target.id);
    if ('fault' in verdict) {
      this.#fail(verdict.fault);
      return;
    }
    this.#link = new FrameSocket({
      socket,
      shape: frameShape(frameBytesOf(kind, terms.packetBytes)),
      clock,
      queueFrames,
      stallTimeoutMs,
      ...(memory === undefined ? {} : { memory }),
      onFrame: (frame) => (this.#up ? this.options.onFrame(frame) : this.#onHello(frame, socket)),
      onClose: (reason) => this.#fail(reason === 'peer-closed' && !this.#up ? 'refused' : reason),
    });
    socket.off('error', this.#onEarlyError);
    socket.off('close', this.#onEarlyClose);
    const hello = encodeHello(kind, terms, isBetweenNodes(kind) ? undefined : client);
    const channel = { socket, peer: target.id, networkId: terms.networkId };
    this.#link.send(access === undefined ? hello : withAccess(hello, access, channel));
  }

  #onHello(frame: Buffer, socket: TLSSocket): void {
    const { terms, kind, onOtherVersion } = this.options;
    const hello = decodeHello(frame, terms);
    if ('fault' in hello) {
      if (hello.fault === 'wrong-version') onOtherVersion?.(versionsIn(frame));
      this.#fail(hello.fault);
      return;
    }
    if (hello.kind !== kind) {
      this.#fail('wrong-kind');
      return;
    }
    const refusal = refusalIn(frame);
    if (refusal !== undefined) {
      this.#fail(refusal);
      return;
    }
    this.#timer.cancel();
    this.#up = true;
    this.options.onHello?.(frame);
    if (this.#link === undefined) return;
    this.options.onUp(this.#link, frame.subarray(HELLO_BYTES), groupOf(socket), hello.version);
  }

  readonly #onEarlyError = (error: Error): void => {
    const code = systemCode(error) ?? 'error';
    // Suite and signature scheme are the same at all ends, so that this alert (RFC 8446 section 6.2) is about the group.
    const oneGroup = groupsOf(this.options.keyExchange).length === 1;
    this.#fail(oneGroup && code.endsWith('ALERT_HANDSHAKE_FAILURE') ? NO_COMMON_GROUP : code);
  };
  readonly #onEarlyClose = (): void => this.#fail('refused');

  #fail(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer.cancel();
    this.#connection.cancel();
    if (this.#socket === undefined) this.#onClosed();
    else if (!this.#up) this.#socket.destroy();
    this.options.onDown(reason);
  }
}
