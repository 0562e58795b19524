/**
 * What the proxy makes of a requester's silence: it asks, it counts for how long an answer is overdue, and in the end it
 * gives the requester up. In steady mode replies come all the time, so every silence tells; in burst mode only one that
 * follows something which asks for an acknowledgement. Times are time awake: a machine that sleeps hears nobody.
 * @module
 */
import type { Downlink } from './types.ts';

/** What is known when silence is judged. */
export interface SilenceView {
  /** For how long nothing came. */
  readonly silentMs: number;
  /** The same, since something was sent that asks for an answer; 0 when nothing was. */
  readonly unansweredMs: number;
  /** A time in which an answer should have come. */
  readonly roundMs: number;
  readonly streamsOpen: boolean;
}

/** Silence is looked at this often. */
const WATCH_MS = 250;
/** With streams open it is questioned after this long, then ever more rarely. */
const FIRST_QUESTION_MS = 5_000;
const MAX_QUESTION_MS = 30_000;
/** Replies are random: one that is missing for this many rounds is overdue. */
const ROUNDS_BEFORE_OVERDUE = 2;

export class SilenceWatch {
  readonly #downlink: Downlink;
  readonly #deadPeerMs: number;
  #dueMs: number;
  #questionMs = FIRST_QUESTION_MS;

  constructor(options: { readonly downlink: Downlink; readonly deadPeerMs: number }, nowMs: number) {
    this.#downlink = options.downlink;
    this.#deadPeerMs = options.deadPeerMs;
    this.#dueMs = nowMs + WATCH_MS;
  }

  /** When `judge` is to be called next. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** The requester was heard, or is needed again: the next question comes as soon as the first. */
  reset(): void {
    this.#questionMs = FIRST_QUESTION_MS;
  }

  /** For how long something has been missing that should have come. */
  overdueMs(view: SilenceView): number {
    return Math.max(0, this.#telling(view) - ROUNDS_BEFORE_OVERDUE * view.roundMs);
  }

  /** What to do about the silence now. */
  judge(view: SilenceView, nowMs: number): 'wait' | 'ask' | 'give up' {
    this.#dueMs = nowMs + WATCH_MS;
    if (this.#telling(view) >= this.#deadPeerMs) return 'give up';
    const { silentMs, unansweredMs, streamsOpen } = view;
    if (silentMs < this.#questionMs || !(streamsOpen || unansweredMs > 0)) return 'wait';
    this.#questionMs = silentMs + Math.min(MAX_QUESTION_MS, silentMs);
    return 'ask';
  }

  /** The part of the silence that says something. */
  #telling({ silentMs, unansweredMs }: SilenceView): number {
    return this.#downlink === 'steady' ? silentMs : unansweredMs;
  }
}
