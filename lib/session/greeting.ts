/**
 * What the proxy tells a requester about the session itself: HELLO, in every packet until one is known to have come,
 * and RATE, with HELLO and whenever the rate changes.
 * @module
 */
import { FRAME } from './frames.ts';
import { PROTOCOL_VERSION } from './limits.ts';
import type { FrameOwner, PacketBuilder, SentFrame } from './packet-builder.ts';

export interface GreetingOptions {
  readonly sessionWindowBytes: number;
  readonly streamWindowBytes: number;
  readonly accessToken: Uint8Array;
  /** Thousandths of replies per second; 0 is burst mode. */
  milliPerSecond: number;
}

export class Greeting implements FrameOwner {
  #acked = false;
  #helloOwed = true;
  #rateOwed = true;

  constructor(private readonly options: GreetingOptions) {}

  /** The requester knows the session. */
  get acked(): boolean {
    return this.#acked;
  }

  /** Whether it is worth a packet. */
  get owed(): boolean {
    return this.#helloOwed || this.#rateOwed;
  }

  setRate(milliPerSecond: number): void {
    this.options.milliPerSecond = milliPerSecond;
    this.#rateOwed = true;
  }

  write(builder: PacketBuilder): void {
    const { accessToken, sessionWindowBytes, streamWindowBytes, milliPerSecond } = this.options;
    if (!this.#acked) {
      builder.hello(this, PROTOCOL_VERSION, accessToken, sessionWindowBytes, streamWindowBytes);
      this.#helloOwed = false;
    }
    if (this.#acked && !this.#rateOwed) return;
    builder.rate(this, milliPerSecond);
    this.#rateOwed = false;
  }

  frameAcked(frame: SentFrame): void {
    if (frame.type !== FRAME.HELLO) return;
    this.#acked = true;
    this.#helloOwed = false;
  }

  frameLost(frame: SentFrame): void {
    if (frame.type === FRAME.HELLO && !this.#acked) this.#helloOwed = true;
    if (frame.type === FRAME.RATE) this.#rateOwed = true;
  }
}
