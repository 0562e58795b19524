/**
 * The requester's end of a stream: it exists from the first frame that names it, gets handlers when OPEN comes, and is
 * answered once, with OPENED or REFUSED.
 * @module
 */

import type { ErrorCode } from '../../core/errors.ts';
import type { MonotonicMs } from '../../core/units.ts';
import type { AcceptedHandlers, AcceptedStream, BoundAddress } from '../types.ts';
import { Stream } from './stream.ts';

export class RequesterStream extends Stream implements AcceptedStream {
  protected get ready(): boolean {
    return this.handlers !== undefined;
  }

  protected get maySend(): boolean {
    return this.answer === 'opened';
  }

  /** Whether OPEN would be welcome: not a second time, nor after a RESET that came first. */
  get acceptable(): boolean {
    return this.handlers === undefined && this.answer === 'none' && !this.receive.ended;
  }

  /** Gives the stream its handlers; held bytes are delivered. */
  attach(handlers: AcceptedHandlers): void {
    this.handlers = handlers;
    if (this.receive.accept(this.options.limits.streamWindowBytes)) this.sendCredit();
    this.deliver();
  }

  opened(bound: BoundAddress, nowMs: MonotonicMs): void {
    if (this.answer !== 'none' || this.gone) return;
    this.answer = 'opened';
    this.control.answer(bound);
    this.queueControl();
    this.host.wantData(this);
    this.host.wake(nowMs);
  }

  refuse(code: ErrorCode, nowMs: MonotonicMs): void {
    if (this.answer !== 'none' || this.gone) return;
    this.silenced = true;
    this.answer = 'refused';
    if (!this.send.resetting) this.send.end();
    this.control.answer(code);
    this.queueControl();
    this.receive.discard();
    this.host.wake(nowMs);
    this.endIfDone();
  }

  protected override get awaitsOpening(): boolean {
    return this.acceptable && this.receive.open && !this.receive.allDelivered;
  }

  protected override breakUp(code: ErrorCode, behind: 'queued' | 'sent', nowMs: MonotonicMs): void {
    if (this.answer === 'none') this.refuse(code, nowMs);
    else super.breakUp(code, behind, nowMs);
  }

  protected override endByReset(code: ErrorCode): void {
    super.endByReset(code);
    if (this.answer !== 'none') return;
    this.answer = 'refused';
    this.control.answerNeedless();
  }
}
