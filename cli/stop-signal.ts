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
