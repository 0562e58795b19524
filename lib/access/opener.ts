/**
 * What opens streams through the mixnet, as its users see it: nothing of sessions, requesters or mixes.
 * @module
 */
import type { SessionParams } from '../core/session-params.ts';
import type { SessionStream, StreamHandlers, StreamTarget } from '../session/index.ts';

export interface OpenTarget extends StreamTarget {
  /** Streams with different tokens must not share a session. Compare only; never log. */
  readonly isolation?: string;
  /** Where `port` says nothing: a requester is chosen that lets this one through. */
  readonly forPort?: number;
}

/** How long streams are given: the network's choice, since exits see when a stream is given up. */
export type StreamTimes = Pick<SessionParams, 'openTimeoutMs' | 'streamIdleMs' | 'halfClosedIdleMs'>;

export interface StreamOpener {
  readonly times: StreamTimes;
  /**
   * Starts to open a stream; what becomes of it comes to the handlers. What is written before `onOpened` travels with
   * the request. Throws a MixError when it is clear at once that it cannot be done.
   */
  open(target: OpenTarget, handlers: StreamHandlers): SessionStream;
  /** False when the requester of `stream` does not let `port` through, and another one would. */
  suits(stream: SessionStream, port: number): boolean;
}
