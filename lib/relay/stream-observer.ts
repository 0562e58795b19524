/**
 * What a stream's owner learns of how it went.
 * @module
 */
import type { ErrorCode } from '../core/errors.ts';
import type { SessionStream } from '../session/index.ts';
import type { RelayOutcome } from './stream-relay.ts';

/** How a request for a stream went, for counters. `stream` is what was asked for, as far as there is one. */
export interface StreamObserver {
  opened(stream?: SessionStream): void;
  /** It did not open. `timedOut`: because our own time for it was up. */
  failed(code: ErrorCode, stream?: SessionStream, timedOut?: boolean): void;
  /** The program gave it up before it was open. */
  abandoned(stream?: SessionStream): void;
  /** It was open and is over; with `code` when the other end broke it off. */
  ended(outcome: RelayOutcome, code?: ErrorCode, stream?: SessionStream): void;
}
