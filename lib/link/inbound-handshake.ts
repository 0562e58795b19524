/**
 * The accepting side's handshake behind TLS: wait for the hello of a peer that has proven its key, check it, answer with ours.
 * @module
 */
import type { TLSSocket } from 'node:tls';
import type { IdentityHex } from '../core/bytes.ts';
import { afterSilence, type Clock, type Timer } from '../core/clock.ts';
import { systemCode } from '../core/errors.ts';
import type { MemoryBudget } from '../core/memory-budget.ts';
import type { VersionRange } from '../core/version-range.ts';
import { ACCESS_END, accessIn } from './access.ts';
import { FrameSocket } from './frame-socket.ts';
import { frameShape } from './framing.ts';
import {
  decodeHello,
  encodeHello,
  encodeRefusal,
  frameBytesOf,
  HELLO_BYTES,
  type Hello,
  type HelloTerms,
  isBetweenNodes,
  type LinkHello,
  versionsIn,
} from './hello.ts';
import { withObservedAddress } from './observed-address.ts';
import type { AdmitVerdict, HelloKind, LinkKind, LinkLimits } from './types.ts';

/** How long a peer that is refused with an answer may take to read it. */
const REFUSAL_LINGER_MS = 500;

export interface InboundHandshakeOptions {
  readonly socket: TLSSocket;
  /** Has proven its key. */
  readonly peer: IdentityHex;
  readonly terms: HelloTerms;
  readonly clock: Clock;
  readonly limits: LinkLimits;
  readonly memory?: MemoryBudget;
  /** The peer waits for a verdict that is still to come, which never rejects. */
  readonly admit: (hello: Hello) => AdmitVerdict | Promise<AdmitVerdict>;
  /** What goes behind our hello to a peer that asks for it, and is no link. */
  readonly countersign: () => Uint8Array;
  /** Both hellos are exchanged. */
  readonly onUp: (link: FrameSocket, hello: LinkHello) => void;
  /** The peer speaks none of our versions; it is refused. */
  readonly onOtherVersion: (theirs: VersionRange) => void;
  readonly onFrame: (frame: Buffer) => void;
  /** The handshake failed or the link ended; called once. */
  readonly onDown: (reason: string) => void;
}

export class InboundHandshake {
  #timer: Timer | undefined;
  /** Bytes that came before the kind, and with it the frame size, was known. */
  #head: Buffer = Buffer.alloc(0);
  #link: FrameSocket | undefined;
  /** Whether the verdict is of this turn. */
  #isFresh = true;
  #up = false;
  #ended = false;

  private constructor(private readonly options: InboundHandshakeOptions) {}

  /** Waits for the hello of `options.socket`. */
  static start(options: InboundHandshakeOptions): void {
    const { socket, clock, limits } = options;
    const handshake = new InboundHandshake(options);
    handshake.#timer = afterSilence(clock, limits.handshakeTimeoutMs, () => handshake.#fail('hello-timeout'));
    socket.on('data', handshake.#onHead);
    socket.on('error', handshake.#onEarlyError);
    socket.on('close', handshake.#onEarlyClose);
  }

  readonly #onHead = (chunk: Buffer): void => {
    if (this.options.socket.destroyed) return; // it may have been read before: nothing can be asked of its TLS any more
    this.#head = this.#head.byteLength === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    if (this.#head.byteLength < HELLO_BYTES) return;
    const { socket, terms } = this.options;
    const hello = decodeHello(this.#head.subarray(0, HELLO_BYTES), terms);
    const mayShowAccess = !('fault' in hello) && hello.kind === 'client' && hello.client !== undefined;
    if (mayShowAccess && this.#head.byteLength < ACCESS_END) return;
    socket.off('data', this.#onHead);
    if ('fault' in hello) {
      if (hello.fault === 'wrong-version') this.#refuseVersion();
      else this.#fail(hello.fault);
    } else if (!isBetweenNodes(hello.kind) && hello.client === undefined) this.#fail('no-class');
    else this.#judge(mayShowAccess ? this.#withAccess(hello) : hello);
  };

  #withAccess(hello: Hello): Hello {
    const { socket, peer, terms } = this.options;
    const access = accessIn(this.#head, { socket, peer, networkId: terms.networkId });
    return hello.client === undefined || access === undefined
      ? hello
      : { ...hello, client: { ...hello.client, access } };
  }

  #judge(hello: Hello): void {
    const { socket, admit } = this.options;
    const verdict = admit(hello);
    if (!(verdict instanceof Promise)) {
      this.#act(hello, verdict);
      return;
    }
    socket.pause();
    void verdict.then((late) => {
      if (this.#ended) return;
      this.#act(hello, late);
      socket.resume();
    });
  }

  #act(hello: Hello, verdict: AdmitVerdict): void {
    const { kind } = hello;
    if (verdict === true) this.#takeOver(hello);
    else if (verdict === false) this.#fail('not-admitted');
    else this.#refuse(verdict, kind, encodeRefusal(kind, this.options.terms, verdict));
  }

  /** Both ends can name both versions then. */
  #refuseVersion(): void {
    const { terms, onOtherVersion } = this.options;
    const kind: LinkKind = this.#head[5] === 0 ? 'node' : 'client';
    onOtherVersion(versionsIn(this.#head));
    this.#refuse('wrong-version', kind, encodeHello(kind, terms));
  }

  /** A refusal with an answer, a hello of ours. */
  #refuse(reason: string, kind: HelloKind, hello: Buffer): void {
    const { socket, terms, clock } = this.options;
    const answer = Buffer.alloc(frameShape(frameBytesOf(kind, terms.packetBytes)).wireBytes);
    hello.copy(answer);
    socket.end(answer);
    clock.after(REFUSAL_LINGER_MS, () => socket.destroy());
    this.#fail(reason, false);
  }

  #takeOver(hello: Hello): void {
    const { socket, terms, clock, limits, memory } = this.options;
    const { kind } = hello;
    this.#link = new FrameSocket({
      socket,
      shape: frameShape(frameBytesOf(kind, terms.packetBytes)),
      clock,
      queueFrames: limits.queueFrames,
      stallTimeoutMs: limits.stallTimeoutMs,
      ...(memory === undefined ? {} : { memory }),
      onFrame: (frame) => (this.#up ? this.options.onFrame(frame) : this.#onHelloFrame(hello)),
      onClose: (reason) => this.#fail(reason),
    });
    socket.off('error', this.#onEarlyError);
    socket.off('close', this.#onEarlyClose);
    this.#link.feed(this.#head);
    this.#isFresh = false;
  }

  /** The whole hello frame is here; its meaning was checked when its head was. Whom that lets in may have been revoked since. */
  #onHelloFrame(hello: Hello): void {
    const { socket, terms, onUp } = this.options;
    const { kind } = hello;
    if (this.#ended || this.#link === undefined) return;
    if (!this.#isFresh && !this.#isStillAdmitted(hello)) {
      this.#link.close('not-admitted');
      return;
    }
    this.#timer?.cancel();
    if (kind === 'countersign' || kind === 'probe') {
      this.#ended = true; // neither refused nor a link
      const extra = kind === 'probe' ? new Uint8Array(0) : this.options.countersign();
      this.#link.send(Buffer.concat([encodeHello(kind, terms), extra]));
      this.#link.close('answered');
      return;
    }
    this.#up = true;
    const answer = encodeHello(kind, terms);
    this.#link.send(kind === 'client' ? withObservedAddress(answer, socket.remoteAddress) : answer);
    onUp(this.#link, { ...hello, kind });
  }

  /** One that is still being written down is on its way in. */
  #isStillAdmitted(hello: Hello): boolean {
    const verdict = this.options.admit(hello);
    return verdict === true || verdict instanceof Promise;
  }

  readonly #onEarlyError = (error: Error): void => this.#fail(systemCode(error) ?? 'error');
  readonly #onEarlyClose = (): void => this.#fail(this.#head.byteLength === 0 ? 'no-hello' : 'truncated-frame');

  #fail(reason: string, destroy = true): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    if (!this.#up && destroy) this.options.socket.destroy();
    this.options.onDown(reason);
  }
}
