/**
 * The drain of a requester that is about to stop: streams that are open go on to their ends, and new ones are refused with
 * SESSION_CLOSED, so that their proxies open them at another requester (docs/PROTOCOL.md section 6.11). Sessions stay until the stop:
 * one that closed with its last stream would show on the link when that was.
 * @module
 */
import { type Clock, sleep } from '../../core/clock.ts';
import type { AcceptedHandlers, AcceptHandler } from '../../transport/types.ts';
import type { RequesterSession } from './requester-session.ts';

const LOOK_MS = 50;
const IGNORE: AcceptedHandlers = { onData() {}, onFin() {}, onReset() {}, onDrain() {} };

/** Accepts as `accept` does, but refuses while the requester drains. */
export function acceptUnless(isDraining: () => boolean, accept: AcceptHandler, clock: Clock): AcceptHandler {
  return (stream, ...rest) => {
    if (!isDraining()) return accept(stream, ...rest);
    stream.refuse('SESSION_CLOSED', clock.nowMs());
    return IGNORE;
  };
}

/** Resolves when no session has a stream, `maxMs` at the latest. */
export async function streamsEnded(
  sessions: () => Iterable<RequesterSession>,
  clock: Clock,
  maxMs: number,
): Promise<void> {
  const endMs = clock.nowMs() + maxMs;
  const hasStreams = () => [...sessions()].some((session) => session.stats().streamsOpen > 0);
  while (clock.nowMs() < endMs && hasStreams()) await sleep(clock, LOOK_MS);
}
