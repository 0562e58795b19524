/**
 * What the front needs of the rest of the proxy: something that opens streams. The front knows nothing of sessions,
 * requesters or mixes.
 * @module
 */
import type { SessionStream, StreamHandlers, StreamTarget } from '../lib/session/index.ts';

export interface FrontTarget extends StreamTarget {
  /** Streams with different tokens must not share a session. Compare only; never log. */
  readonly isolation?: string;
  /** Where `port` says nothing: a requester is chosen that lets this one through. */
  readonly forPort?: number;
}

export interface StreamOpener {
  /**
   * Starts to open a stream; what becomes of it comes to the handlers. What is written before `onOpened` travels with
   * the request. Throws a MixError when it is clear at once that it cannot be done.
   */
  open(target: FrontTarget, handlers: StreamHandlers): SessionStream;
  /** False when the requester of `stream` does not let `port` through, and another one would. */
  suits(stream: SessionStream, port: number): boolean;
}
