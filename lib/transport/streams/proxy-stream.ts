/**
 * The proxy's end of a stream: it sends OPEN, and its application learns whether the requester has connected.
 * @module
 */

import type { ErrorCode } from '../../core/errors.ts';
import type { MonotonicMs } from '../../core/units.ts';
import type { BoundAddress, StreamHandlers, StreamTarget } from '../types.ts';
import { Stream } from './stream.ts';
import type { StreamHost, StreamOptions } from './stream-host.ts';

export class ProxyStream extends Stream {
  readonly #opener: StreamHandlers;

  constructor(
    host: StreamHost<Stream>,
    options: StreamOptions,
    target: StreamTarget,
    handlers: StreamHandlers,
    nowMs: MonotonicMs,
  ) {
    super(host, options, nowMs, target);
    this.#opener = handlers;
    this.handlers = handlers;
    // Other kinds of streams bring no bytes.
    if (this.receive.accept(target.kind === 'tcp' ? options.limits.streamWindowBytes : 0)) this.control.credit();
    this.queueControl();
  }

  protected get ready(): boolean {
    return this.answer === 'opened';
  }

  /** Bytes may follow OPEN at once. */
  protected get maySend(): boolean {
    return true;
  }

  /** The requester has connected. */
  onOpened(bound: BoundAddress): void {
    this.control.openReceived();
    if (this.answer !== 'none') return;
    this.answer = 'opened';
    if (this.silenced) return;
    this.#opener.onOpened(bound);
    this.deliver();
    this.endIfDone();
  }

  /** The requester has not connected. Our part ends with a RESET, which says how much we had sent. */
  onRefused(code: ErrorCode): void {
    this.control.openReceived();
    if (this.answer !== 'none') return;
    this.receive.end();
    this.breakOff(code);
    this.endIfDone();
  }

  protected override breakOff(code: ErrorCode): void {
    if (this.answer !== 'none') {
      super.breakOff(code);
      return;
    }
    this.answer = 'refused';
    this.resetSending(code, 'nothing');
    if (this.silenced) return;
    this.silenced = true;
    this.#opener.onRefused(code);
  }
}
