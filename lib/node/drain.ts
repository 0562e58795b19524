/**
 * The stop of a node: what it has taken in leaves first, in its time. To send it at once would show who sent it.
 * @module
 */
import { type Clock, sleep } from '../core/clock.ts';
import type { LinkListener } from '../link/index.ts';
import type { Log } from '../telemetry/log.ts';

/** How long a node that stops waits for its last packets: nearly all have left, up to a mean delay of 200 ms. */
export const DRAIN_MS = 1_500;
const LOOK_MS = 10;

export interface DrainParts {
  readonly listener: Pick<LinkListener, 'finish'>;
  /** Packets that have not left. */
  readonly waiting: () => number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Nodes are cut off first; clients stay until they have got what came for them. Resolves when the rest can be closed. */
export async function drain({ listener, waiting, clock, log }: DrainParts): Promise<void> {
  listener.finish('node');
  const startMs = clock.nowMs();
  while (waiting() > 0 && clock.nowMs() - startMs < DRAIN_MS) await sleep(clock, LOOK_MS);
  if (waiting() > 0) log.info({ packets: waiting() }, 'stopped before the last packets had left');
}
