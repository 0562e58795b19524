/**
 * The application of a stream, as the stream sees it: it is told what happens until it is told the end, or has said it.
 * @module
 */
import type { ErrorCode } from '../errors.ts';
import type { AcceptedHandlers, BoundAddress, StreamHandlers } from './types.ts';

export class StreamListener {
  #handlers: AcceptedHandlers | undefined;
  /** The same at the proxy's end, which hears of the opening too. */
  readonly #opener: StreamHandlers | undefined;
  #silenced = false;

  constructor(opener: StreamHandlers | undefined) {
    this.#opener = opener;
    this.#handlers = opener;
  }

  /** Whether there is anybody to tell. */
  get attached(): boolean {
    return this.#handlers !== undefined;
  }

  /** Whether it waits for the stream to open. */
  get isOpener(): boolean {
    return this.#opener !== undefined;
  }

  /** Whether it hears nothing any more. */
  get silenced(): boolean {
    return this.#silenced;
  }

  attach(handlers: AcceptedHandlers): void {
    this.#handlers = handlers;
  }

  /** It has said the end itself. */
  silence(): void {
    this.#silenced = true;
  }

  onOpened(bound: BoundAddress): void {
    if (!this.#silenced) this.#opener?.onOpened(bound);
  }

  onData(bytes: Uint8Array): void {
    if (!this.#silenced) this.#handlers?.onData(bytes);
  }

  onDatagram(host: string, port: number, bytes: Uint8Array): void {
    if (!this.#silenced) this.#handlers?.onDatagram?.(host, port, bytes);
  }

  onFin(): void {
    if (!this.#silenced) this.#handlers?.onFin();
  }

  onDrain(): void {
    if (!this.#silenced) this.#handlers?.onDrain();
  }

  onRefused(code: ErrorCode): void {
    this.#tellEnd(() => this.#opener?.onRefused(code));
  }

  onReset(code: ErrorCode): void {
    this.#tellEnd(() => this.#handlers?.onReset(code));
  }

  #tellEnd(tell: () => void): void {
    if (this.#silenced) return;
    this.#silenced = true;
    tell();
  }
}
