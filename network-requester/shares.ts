/**
 * Max-min sharing of what an exit has few of, streams and look-ups, among the sessions that want them. Sessions are cheap: one client may
 * have hundreds. Packets are not, as gateways ration them: so a session weighs as much as it sends.
 * @module
 */

/** Packets per second that a session sends, by its key. */
export type PaidBy = (session: string) => number;

/** A session counts as one that sends so many: the first packets of a new one must do for its first stream. */
const LEAST_PACKETS_PER_SECOND = 1;

export function weightOf(session: string, paidBy: PaidBy): number {
  return Math.max(LEAST_PACKETS_PER_SECOND, paidBy(session));
}

/**
 * All places are taken and `claimant` wants one more: the session that has to give one up for it, which holds the most for its weight.
 * Undefined where `claimant` would then hold as much for its own: it has its share. `held`: places of each session.
 */
export function sessionToGive(
  held: Iterable<readonly [session: string, places: number]>,
  claimant: string,
  paidBy: PaidBy,
): string | undefined {
  const places = new Map(held);
  let most = ((places.get(claimant) ?? 0) + 1) / weightOf(claimant, paidBy);
  let gives: string | undefined;
  for (const [session, count] of places) {
    const share = count === 0 ? 0 : count / weightOf(session, paidBy);
    if (share > most) [gives, most] = [session, share];
  }
  return gives;
}
