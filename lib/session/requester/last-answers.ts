/**
 * The last answers of a requester that stops: there may be more than the ring of its link holds.
 * @module
 */
import { type Clock, sleep } from '../../core/clock.ts';

/** For so long at most; whoever gets none finds out by the silence. */
export const LAST_ANSWERS_MS = 1_000;
const LOOK_MS = 5;

/** Calls `fill`, which says whether it can go on at once, until nothing is `left` that could be sent. */
export async function sendLastAnswers(fill: () => boolean, left: () => boolean, clock: Clock): Promise<void> {
  const endMs = clock.nowMs() + LAST_ANSWERS_MS;
  for (;;) {
    while (fill());
    if (!left() || clock.nowMs() >= endMs) return;
    await sleep(clock, LOOK_MS);
  }
}
