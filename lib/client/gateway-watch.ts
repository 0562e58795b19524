/**
 * Judges a client's link to its gateway: when to dial anew and when to leave for another gateway. A machine that is told
 * what happens, and the time.
 *
 * A link can end without a word: the gateway's host lost power, a laptop woke up elsewhere, an address translator
 * forgot the connection. What we send then vanishes into buffers. But our own loops come back several times a second,
 * so that silence speaks.
 * @module
 */
import type { LinkState } from '../link/index.ts';

/** What to do: the same gateway over a new connection, or another gateway. */
export type GatewayAdvice = 'redial' | 'move';

/** A gateway whose link cannot be had for this long is left for another, where there is a choice. */
export const GATEWAY_PATIENCE_MS = 8_000;
/** A link on which nothing came for this long, in spite of that many loops, is dialled anew; then the gateway is left. */
export const SILENCE_MS = 5_000;
const SILENCE_LOOPS = 10;
/** The patience with silence doubles up to this, until something is heard: it may not be the gateway's fault. */
const MAX_SILENCE_MS = 60_000;
/** A longer time between two calls was sleep: nothing could be heard in it. */
const MAX_STEP_MS = 2_000;

export class GatewayWatch {
  #state: LinkState = 'down';
  #stateSinceMs: number;
  #lastMs: number;
  /** Waking time without a link, or without a packet on it. */
  #lackMs = 0;
  #heard = false;
  #loopsSent = 0;
  #silenceMs = SILENCE_MS;

  constructor(nowMs: number) {
    this.#stateSinceMs = nowMs;
    this.#lastMs = nowMs;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** For how long the link has been down; 0 when it is up. */
  downMs(nowMs: number): number {
    return this.#state === 'up' ? 0 : nowMs - this.#stateSinceMs;
  }

  /** The link came up, went down, or an attempt failed. Whether that is a change. */
  onState(state: LinkState, nowMs: number): boolean {
    if (state === this.#state) return false;
    this.#state = state;
    this.#stateSinceMs = nowMs;
    this.#lackMs = 0;
    return true;
  }

  /** A packet came. */
  heard(): void {
    this.#heard = true;
  }

  /** Call a few times a second; `loopsSent` counts the loops that have left, ever. */
  advise(loopsSent: number, nowMs: number): GatewayAdvice | undefined {
    this.#lackMs += Math.min(nowMs - this.#lastMs, MAX_STEP_MS);
    this.#lastMs = nowMs;
    return this.#state === 'up' ? this.#onSilence(loopsSent) : this.#onAbsence();
  }

  #onAbsence(): GatewayAdvice | undefined {
    if (this.#lackMs < GATEWAY_PATIENCE_MS) return undefined;
    this.#lackMs = 0;
    return 'move';
  }

  #onSilence(loopsSent: number): GatewayAdvice | undefined {
    if (this.#heard) {
      this.#heard = false;
      this.#silenceMs = SILENCE_MS;
      this.#listenFrom(loopsSent);
      return undefined;
    }
    if (this.#lackMs < this.#silenceMs || loopsSent - this.#loopsSent < SILENCE_LOOPS) return undefined;
    const first = this.#silenceMs === SILENCE_MS;
    this.#silenceMs = Math.min(MAX_SILENCE_MS, 2 * this.#silenceMs);
    this.#listenFrom(loopsSent);
    return first ? 'redial' : 'move';
  }

  #listenFrom(loopsSent: number): void {
    this.#lackMs = 0;
    this.#loopsSent = loopsSent;
  }
}
