/**
 * The end of a proxy that stops: its exits get CLOSE, so that streams do not wait there for their time-outs. CLOSE takes slots of the main
 * clock, as data does: nobody sees on the link whether there were sessions with streams.
 * @module
 */
import { type Clock, sleep } from '../../core/clock.ts';
import type { Lane } from '../../link/index.ts';
import type { ProxySession } from './proxy-session.ts';

/** For so long at most; an exit that gets none finds out by the silence. */
export const LAST_CLOSES_MS = 1_500;
const LOOK_MS = 5;

export interface LastCloses {
  readonly sessions: readonly ProxySession[];
  readonly lane: Pick<Lane, 'contentRoom'>;
  /** Of the lane when it holds nothing. */
  readonly contentSlots: number;
  readonly linkIsUp: () => boolean;
  readonly clock: Clock;
}

/** Closes the sessions, those with streams first. Resolves when each CLOSE has left once, or cannot leave any more. */
export async function sendLastCloses({ sessions, lane, contentSlots, linkIsUp, clock }: LastCloses): Promise<void> {
  const endMs = clock.nowMs() + LAST_CLOSES_MS;
  const isUnderWay = () =>
    linkIsUp() &&
    clock.nowMs() < endMs &&
    (lane.contentRoom() < contentSlots || sessions.some((one) => one.hasContent(clock.nowMs())));
  const rest = sessions.filter(({ streamsOpen }) => streamsOpen === 0);
  for (const some of [sessions.filter((one) => !rest.includes(one)), rest]) {
    for (const session of some) session.close(clock.nowMs());
    while (isUnderWay()) await sleep(clock, LOOK_MS);
  }
}
