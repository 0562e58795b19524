/**
 * What the streams of a session have in common.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';
import type { SessionLimits } from '../types.ts';
import type { SessionFlow } from './session-flow.ts';

/** What a stream needs of its session. */
export interface StreamHost<Stream> {
  readonly flow: SessionFlow;
  /** It has control frames to send. */
  wantControl(stream: Stream): void;
  /** It may have bytes to send. */
  wantData(stream: Stream): void;
  /** It has datagrams to send; `dropped` of them made room for later ones. */
  wantDatagrams(stream: Stream, dropped: number): void;
  /** Wants `drained` to be called soon, but not from inside the making of a packet. */
  deferDrain(stream: Stream): void;
  ended(stream: Stream): void;
  /** The application did something: there may be content now. */
  wake(nowMs: MonotonicMs): void;
}

export interface StreamOptions {
  readonly id: number;
  readonly limits: SessionLimits;
  readonly payloadBytes: number;
  /** Credit of the peer before its first MAX_STREAM_DATA. */
  readonly peerWindowBytes: number;
}
