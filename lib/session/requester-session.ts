/**
 * The requester's end of a session: a pure machine that reads the proxy's packets and fills replies.
 * @module
 */
import type { CloseReason, Downlink, Reply, SessionStats, SurbStockStats } from './types.ts';

export declare class RequesterSession {
  private constructor();
  /** Session id as latin-1 text: a map key, and nothing to be logged. */
  readonly key: string;
  get downlink(): Downlink;
  /** Replies per second that the proxy asked for; 0 in burst mode. */
  get replyRatePerSecond(): number;
  get closed(): boolean;
  hasContent(nowMs: number): boolean;
  /** A reply that carries something, if there is any and a reply block for it. In burst mode paced: ask again at `nextDeadlineMs`. */
  nextReply(nowMs: number): Reply | undefined;
  /** A reply that only fills a slot of the steady clock (acknowledgements ride along); undefined when only the reserve is left. */
  dummyReply(nowMs: number): Reply | undefined;
  nextDeadlineMs(): number;
  tick(nowMs: number): void;
  /** Ends the session: streams are reset, the proxy is told as far as there are reply blocks. */
  close(reason: CloseReason, nowMs: number): void;
  onContent(callback: () => void): void;
  /** The proxy asked for another rate or downlink. */
  onRate(callback: () => void): void;
  onClosed(callback: (reason: CloseReason) => void): void;
  stats(): SessionStats;
  surbStats(): SurbStockStats;
}
