/**
 * When this process shall stop.
 * @module
 */

/**
 * Resolves on SIGINT, SIGTERM, or when the IPC channel to the parent closes: a child of `localnet` has such a channel,
 * and must not outlive it even when it was killed without a word. A child started by hand has none. A second signal
 * ends the process at once.
 */
export function stopRequested(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = () => {
      if (asked) process.exit(1);
      asked = true;
      resolve();
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
    process.once('disconnect', () => resolve());
    if (process.connected === false && process.send !== undefined) resolve(); // gone before we looked
  });
}
