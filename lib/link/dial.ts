/**
 * The dialling side of one link, from the TCP connection to the hello of the other end.
 * @module
 */
import { connect, type SecureContext, type TLSSocket } from 'node:tls';
import type { Clock, Timer } from '../clock.ts';
import { systemCode } from '../errors.ts';
import { FrameSocket, tuneSocket } from './frame-socket.ts';
import { frameShape } from './framing.ts';
import { decodeHello, encodeHello, frameBytesOf, type HelloTerms } from './hello.ts';
import { PEER_OPTIONS, verifyPeer } from './tls.ts';
import type { LinkKind, LinkTarget } from './types.ts';

export interface DialOptions {
  readonly context: SecureContext;
  readonly target: LinkTarget;
  readonly kind: LinkKind;
  readonly terms: HelloTerms;
  readonly clock: Clock;
  readonly queueFrames: number;
  readonly stallTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  /** The other end has proven its key and said hello. */
  readonly onUp: (link: FrameSocket) => void;
  readonly onFrame: (frame: Buffer) => void;
  /** The attempt failed or the link ended; called once. */
  readonly onDown: (reason: string) => void;
}

export class Dial {
  readonly #options: DialOptions;
  readonly #socket: TLSSocket;
  readonly #timer: Timer;
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>;
  #link: FrameSocket | undefined;
  #up = false;
  #ended = false;

  constructor(options: DialOptions) {
    this.#options = options;
    const { host, port } = options.target;
    // No server name: all handshakes look alike, and names of hosts are nobody's business.
    this.#socket = connect({ host, port, servername: '', secureContext: options.context, ...PEER_OPTIONS });
    tuneSocket(this.#socket);
    this.closed = new Promise((resolve) => this.#socket.once('close', () => resolve()));
    this.#timer = options.clock.after(options.handshakeTimeoutMs, () => this.#fail('handshake-timeout'));
    this.#socket.on('error', this.#onEarlyError);
    this.#socket.on('close', this.#onEarlyClose);
    this.#socket.once('secureConnect', () => this.#onSecure());
  }

  /** Gives the attempt or the link up; `onDown` is told `reason`. */
  close(reason: string): void {
    if (this.#up) this.#link?.close(reason);
    else this.#fail(reason);
  }

  #onSecure(): void {
    const { target, terms, kind, clock, queueFrames, stallTimeoutMs } = this.#options;
    const verdict = verifyPeer(this.#socket, target.id);
    if ('fault' in verdict) {
      this.#fail(verdict.fault);
      return;
    }
    this.#link = new FrameSocket({
      socket: this.#socket,
      shape: frameShape(frameBytesOf(kind, terms.packetBytes)),
      clock,
      queueFrames,
      stallTimeoutMs,
      onFrame: (frame) => (this.#up ? this.#options.onFrame(frame) : this.#onHello(frame)),
      onClose: (reason) => this.#fail(reason === 'peer-closed' && !this.#up ? 'refused' : reason),
    });
    this.#socket.off('error', this.#onEarlyError);
    this.#socket.off('close', this.#onEarlyClose);
    this.#link.send(encodeHello(kind, terms));
  }

  #onHello(frame: Buffer): void {
    const { terms, kind } = this.#options;
    const hello = decodeHello(frame, terms);
    if ('fault' in hello) {
      this.#fail(hello.fault);
      return;
    }
    if (hello.kind !== kind) {
      this.#fail('wrong-kind');
      return;
    }
    this.#timer.cancel();
    this.#up = true;
    if (this.#link !== undefined) this.#options.onUp(this.#link);
  }

  readonly #onEarlyError = (error: Error): void => this.#fail(systemCode(error) ?? 'error');
  readonly #onEarlyClose = (): void => this.#fail('refused');

  #fail(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer.cancel();
    if (!this.#up) this.#socket.destroy();
    this.#options.onDown(reason);
  }
}
