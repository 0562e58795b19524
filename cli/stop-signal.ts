/**
 * When this process shall stop.
 * @module
 */

/** A terminal, npm and `timeout` may each pass the same Ctrl-C on; only a later one means impatience. */
const SAME_SIGNAL_MS = 1000;

/**
 * Resolves on SIGINT, SIGTERM, or when the IPC channel to the parent closes: a child of `localnet` has such a channel,
 * and must not outlive it even when it was killed without a word. A child started by hand has none. A second signal
 * ends the process at once. `further` signals count as well.
 */
export function stopRequested(further: readonly NodeJS.Signals[] = []): Promise<void> {
  return new Promise((resolve) => {
    let askedMs: number | undefined;
    const onSignal = () => {
      if (askedMs !== undefined && performance.now() - askedMs > SAME_SIGNAL_MS) process.exit(1);
      askedMs ??= performance.now();
      resolve();
    };
    for (const signal of ['SIGINT', 'SIGTERM', ...further]) process.on(signal, onSignal);
    process.once('disconnect', () => resolve());
    if (process.connected === false && process.send !== undefined) resolve(); // gone before we looked
  });
}

/** Signals that end the browser of a command, and what belongs to it. */
export class StopSignals {
  #handle: (() => void) | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** Resolves with the first signal. */
  readonly first: Promise<undefined>;

  constructor() {
    this.first = new Promise((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
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
