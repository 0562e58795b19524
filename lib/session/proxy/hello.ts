/**
 * The frames of the proxy that concern the session itself: HELLO, in every packet until one is acknowledged; RATE, with
 * HELLO and whenever the rate changes; and the RESPONSE to a CHALLENGE, in every packet until one is acknowledged.
 * @module
 */

import { MixError } from '../../core/errors.ts';
import { MAX_TOKEN_BYTES, PROTOCOL_VERSION } from '../../transport/limits.ts';
import { FRAME } from '../../transport/wire/frames.ts';
import type { FrameOwner, PacketBuilder, SentFrame } from '../../transport/wire/packet-builder.ts';

export interface HelloOptions {
  readonly sessionWindowBytes: number;
  readonly minStreamWindowBytes: number;
  readonly accessToken?: Uint8Array;
  readonly version?: number;
  /** Thousandths of replies per second; 0 is burst mode. */
  milliPerSecond: number;
}

export class HelloSender implements FrameOwner {
  readonly #token: Uint8Array;
  #acked = false;
  #helloOwed = true;
  #rateOwed = true;
  /** What the requester wants to see again. */
  #challenge: Uint8Array | undefined;
  #responseOwed = false;
  #responseAcked = false;

  /** Throws MixError USAGE when the access token is too long. */
  constructor(private readonly options: HelloOptions) {
    this.#token = options.accessToken ?? new Uint8Array(0);
    if (this.#token.byteLength > MAX_TOKEN_BYTES) {
      throw new MixError('USAGE', `an access token has at most ${MAX_TOKEN_BYTES} bytes`);
    }
  }

  /** The requester knows the session. */
  get acked(): boolean {
    return this.#acked;
  }

  /** Whether it is worth a packet. */
  get owed(): boolean {
    return this.#helloOwed || this.#rateOwed || this.#responseOwed;
  }

  /** The requester asks for a proof that replies are received. */
  onChallenge(bytes: Uint8Array): void {
    if (this.#challenge !== undefined) return;
    this.#challenge = bytes.slice();
    this.#responseOwed = true;
  }

  setRate(milliPerSecond: number): void {
    this.options.milliPerSecond = milliPerSecond;
    this.#rateOwed = true;
  }

  write(builder: PacketBuilder): void {
    const { version = PROTOCOL_VERSION, sessionWindowBytes, minStreamWindowBytes, milliPerSecond } = this.options;
    if (!this.#acked) {
      builder.hello(this, version, this.#token, sessionWindowBytes, minStreamWindowBytes);
      this.#helloOwed = false;
    }
    if (!this.#acked || this.#rateOwed) builder.rate(this, milliPerSecond);
    this.#rateOwed = false;
    if (this.#challenge !== undefined && !this.#responseAcked) builder.response(this, this.#challenge);
    this.#responseOwed = false;
  }

  frameAcked(frame: SentFrame): void {
    if (frame.type === FRAME.RESPONSE) this.#responseAcked = true;
    if (frame.type !== FRAME.HELLO) return;
    this.#acked = true;
    this.#helloOwed = false;
  }

  frameLost(frame: SentFrame): void {
    if (frame.type === FRAME.HELLO && !this.#acked) this.#helloOwed = true;
    if (frame.type === FRAME.RATE) this.#rateOwed = true;
    if (frame.type === FRAME.RESPONSE && !this.#responseAcked) this.#responseOwed = true;
  }
}
