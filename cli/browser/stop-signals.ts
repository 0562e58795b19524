/**
 * Signals that end the browser and what belongs to it.
 * @module
 */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** A terminal, npm and `timeout` may each pass the same Ctrl-C on; only a later one means impatience. */
const SAME_SIGNAL_MS = 1000;

export class StopSignals {
  #handle: (() => void) | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** Resolves with the first signal. */
  readonly first: Promise<undefined>;

  constructor() {
    this.first = new Promise((resolve) => {
      for (const signal of SIGNALS) {
        process.on(signal, () => {
          resolve(undefined);
          const nowMs = performance.now();
          if (nowMs - this.#lastMs < SAME_SIGNAL_MS) return;
          this.#lastMs = nowMs;
          this.#handle?.();
        });
      }
    });
  }

  /** `handle` is called for every signal, and for one that came before. */
  onSignal(handle: () => void): void {
    this.#handle = handle;
    if (this.#lastMs !== Number.NEGATIVE_INFINITY) handle();
  }
}
