/**
 * The proxy's end of a session: a pure machine that fills the plaintexts of packets to the requester and reads its
 * replies.
 * @module
 */
import type {
  CloseReason,
  ProxySessionOptions,
  SessionStats,
  SessionStream,
  StreamHandlers,
  StreamTarget,
  SurbSupplyStats,
} from './types.ts';

/** `opening`: HELLO unanswered; `draining`: takes no new streams, or says goodbye; `closed`: nothing left. */
export type ProxySessionState = 'opening' | 'open' | 'draining' | 'closed';

export declare class ProxySession {
  constructor(options: ProxySessionOptions, nowMs: number);
  readonly id: Uint8Array;
  get state(): ProxySessionState;
  /** Opens a stream. Throws MixError LIMIT when the table is full, SESSION_CLOSED when the session takes no more. */
  open(target: StreamTarget, handlers: StreamHandlers, nowMs: number): SessionStream;
  /** Whether `fill` would return a packet. */
  hasContent(nowMs: number): boolean;
  /** The plaintext of one packet, when there is something worth a slot. Every plaintext returned must be sent. */
  fill(nowMs: number): Uint8Array | undefined;
  /** Tells the sum of the mix delays drawn for the packet that `fill` returned last: its loss is then seen sooner. */
  routeDelayDrawn(delayMs: number): void;
  /** A plaintext that only fills a slot. May be made ahead, and need not be sent. */
  padding(nowMs: number): Uint8Array;
  /** Takes the plaintext of a reply. Never throws. */
  receive(plaintext: Uint8Array, nowMs: number): void;
  /** When `tick` must be called at the latest; Infinity: no need. */
  nextDeadlineMs(): number;
  tick(nowMs: number): void;
  setReplyRate(perSecond: number, nowMs: number): void;
  setMainRate(perSecond: number): void;
  /** Takes no new streams; closes when the last one has ended. */
  drain(nowMs: number): void;
  /** Ends the session now: streams are reset, the requester is told. `fill` goes on until `closed`. */
  close(nowMs: number): void;
  /** Forgets everything at once, without a word to the requester. */
  abandon(reason: CloseReason, nowMs: number): void;
  /** Called when there may be content where there was none. */
  onContent(callback: () => void): void;
  /** Called once. */
  onClosed(callback: (reason: CloseReason) => void): void;
  stats(): SessionStats;
  surbStats(): SurbSupplyStats;
}
