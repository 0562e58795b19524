/**
 * The accepting side's first moments with a peer that has proven its key: wait for its hello, check it, answer with
 * ours.
 * @module
 */
import type { TLSSocket } from 'node:tls';
import type { Clock, Timer } from '../clock.ts';
import { systemCode } from '../errors.ts';
import { FrameSocket } from './frame-socket.ts';
import { frameShape } from './framing.ts';
import { decodeHello, encodeHello, frameBytesOf, HELLO_BYTES, type HelloTerms } from './hello.ts';
import type { LinkKind, LinkLimits } from './types.ts';

export interface GreetingOptions {
  readonly socket: TLSSocket;
  readonly terms: HelloTerms;
  readonly clock: Clock;
  readonly limits: LinkLimits;
  readonly admit: (kind: LinkKind) => boolean;
  /** Both hellos are exchanged. */
  readonly onUp: (link: FrameSocket, kind: LinkKind) => void;
  readonly onFrame: (frame: Buffer) => void;
  /** The greeting failed or the link ended; called once. */
  readonly onDown: (reason: string) => void;
}

export class Greeting {
  readonly #options: GreetingOptions;
  readonly #timer: Timer;
  /** Bytes that came before the kind, and with it the frame size, was known. */
  #head: Buffer = Buffer.alloc(0);
  #link: FrameSocket | undefined;
  #up = false;
  #ended = false;

  constructor(options: GreetingOptions) {
    this.#options = options;
    const { socket, clock, limits } = options;
    this.#timer = clock.after(limits.handshakeTimeoutMs, () => this.#fail('hello-timeout'));
    socket.on('data', this.#onHead);
    socket.on('error', this.#onEarlyError);
    socket.on('close', this.#onEarlyClose);
  }

  /** Closes the link, or gives the greeting up. */
  close(reason: string): void {
    if (this.#up) this.#link?.close(reason);
    else this.#fail(reason);
  }

  readonly #onHead = (chunk: Buffer): void => {
    this.#head = this.#head.byteLength === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    if (this.#head.byteLength < HELLO_BYTES) return;
    const { socket, terms, admit } = this.#options;
    socket.off('data', this.#onHead);
    const hello = decodeHello(this.#head.subarray(0, HELLO_BYTES), terms);
    if ('fault' in hello) {
      this.#fail(hello.fault);
      return;
    }
    if (!admit(hello.kind)) {
      this.#fail('not-admitted');
      return;
    }
    this.#takeOver(hello.kind);
  };

  #takeOver(kind: LinkKind): void {
    const { socket, terms, clock, limits } = this.#options;
    this.#link = new FrameSocket({
      socket,
      shape: frameShape(frameBytesOf(kind, terms.packetBytes)),
      clock,
      queueFrames: limits.queueFrames,
      stallTimeoutMs: limits.stallTimeoutMs,
      onFrame: (frame) => (this.#up ? this.#options.onFrame(frame) : this.#onHelloFrame(kind)),
      onClose: (reason) => this.#fail(reason),
    });
    socket.off('error', this.#onEarlyError);
    socket.off('close', this.#onEarlyClose);
    this.#link.feed(this.#head);
  }

  /** The whole hello frame is here; its meaning was checked when its head was. */
  #onHelloFrame(kind: LinkKind): void {
    const { terms, onUp } = this.#options;
    if (this.#ended || this.#link === undefined) return;
    this.#timer.cancel();
    this.#up = true;
    this.#link.send(encodeHello(kind, terms));
    onUp(this.#link, kind);
  }

  readonly #onEarlyError = (error: Error): void => this.#fail(systemCode(error) ?? 'error');
  readonly #onEarlyClose = (): void => this.#fail(this.#head.byteLength === 0 ? 'no-hello' : 'truncated-frame');

  #fail(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer.cancel();
    if (!this.#up) this.#options.socket.destroy();
    this.#options.onDown(reason);
  }
}
