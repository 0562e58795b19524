/**
 * The addresses of a name by the system, within a bound of time. The look-up itself cannot be cancelled: it is not waited for.
 * @module
 */
import { lookup } from 'node:dns/promises';
import type { Clock } from '../core/clock.ts';

/** Name servers that have not answered by then are taken for gone. */
export const RESOLVE_TIMEOUT_MS = 5_000;

/** The addresses of a name; rejects with a system error. */
export type Resolve = (name: string) => Promise<readonly string[]>;

export const systemResolve: Resolve = async (name) => (await lookup(name, { all: true })).map(({ address }) => address);

/** `resolve` of `name`; rejects when there is no answer in time, or when `stop` aborts. */
export async function resolveName(
  name: string,
  clock: Pick<Clock, 'after'>,
  resolve: Resolve,
  stop: AbortSignal,
): Promise<readonly string[]> {
  stop.throwIfAborted();
  return new Promise((found, failed) => {
    const onStop = () => finish(() => failed(stop.reason));
    const timer = clock.after(RESOLVE_TIMEOUT_MS, () => finish(() => failed(new Error('no answer'))));
    const finish = (settle: () => void) => {
      timer.cancel();
      stop.removeEventListener('abort', onStop);
      settle();
    };
    stop.addEventListener('abort', onStop);
    resolve(name).then(
      (addresses) => finish(() => found(addresses)),
      (error: unknown) => finish(() => failed(error)),
    );
  });
}
