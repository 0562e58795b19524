/**
 * The gateways that a proxy may use (its guards): a small sample, drawn uniformly and kept for months, whatever exits, other
 * nodes or the local network do (Tor proposal 271). A pure state machine; the file is `lib/access/guard-file.ts`.
 *
 * Time is the start of the consensus in force: the authorities have signed it, so that nobody moves it by setting our clock. A
 * guard that is due to leave has to be found so for a day before it leaves, so that a clock which is set forward and back
 * changes nothing.
 * @module
 */
import type { IdentityHex } from '../../core/bytes.ts';
import { pick, type Rng } from '../../core/rng.ts';
import type { UnixMs } from '../../core/units.ts';
import type { NodeEntry, Topology } from '../../directory/index.ts';

const DAY_MS = 86_400_000;
/** Guards at a time, where the network has so many gateways. */
export const SAMPLE_SIZE = 3;
/** A guard stays for a time drawn uniformly between these. */
export const MIN_TERM_MS = 60 * DAY_MS;
export const MAX_TERM_MS = 90 * DAY_MS;
/** A guard that the consensus has not listed for this long is replaced. */
export const UNLISTED_MS = 7 * DAY_MS;
/** A guard leaves when it was found due throughout this long. The times above include it. */
export const CONFIRM_MS = DAY_MS;
/** Gateways drawn in `DRAW_WINDOW_MS`, whatever happens to them. Then former guards are all that may come back. */
export const MAX_DRAWS = 6;
export const DRAW_WINDOW_MS = 90 * DAY_MS;

export interface Guard {
  readonly id: IdentityHex;
  readonly addedMs: UnixMs;
  /** From `addedMs` until it is due to leave. */
  readonly termMs: number;
  /** Null while it is listed. */
  readonly unlistedSinceMs: UnixMs | null;
  /** What is to become of it, once it has been found so for a day; null: nothing. */
  readonly due: Due | null;
}

interface Due {
  /** It leaves; or its times are ahead of now, were written while clocks were wrong, and begin anew. */
  readonly what: 'leave' | 'restart';
  readonly forMs: number;
}

/** What has to survive a restart. */
export interface GuardState {
  /** The latest time that was seen. */
  readonly seenMs: UnixMs;
  /** In the order in which they are used. */
  readonly guards: readonly Guard[];
  /** The last draws, oldest first. */
  readonly draws: readonly { readonly id: IdentityHex; readonly atMs: UnixMs }[];
}

export class GuardSample {
  #state: GuardState;

  /** Goes on from `state`, or begins with an empty sample. */
  constructor(
    private readonly rng: Rng,
    state: GuardState = { seenMs: 0 as UnixMs, guards: [], draws: [] },
  ) {
    this.#state = state;
  }

  get state(): GuardState {
    return this.#state;
  }

  /** Takes over a consensus: guards that are due leave, and others are drawn for them. */
  follow(topology: Pick<Topology, 'gateways' | 'soundGateways' | 'validAfterMs'>): void {
    const nowMs = topology.validAfterMs;
    const { seenMs, guards, draws } = this.#state;
    const listed = new Set(topology.gateways.map(({ id }) => id));
    const stepMs = Math.min(Math.max(0, nowMs - seenMs), CONFIRM_MS);
    const seen = guards.map((guard) => observed(guard, listed.has(guard.id), nowMs, stepMs));
    const leaving = seen.filter(({ due }) => due?.what === 'leave' && due.forMs >= CONFIRM_MS);
    this.#state = { seenMs: nowMs, guards: seen.filter((guard) => !leaving.includes(guard)), draws };
    const left = new Set(leaving.map(({ id }) => id));
    const open = topology.soundGateways.filter(({ clients }) => clients !== 'invited');
    const fresh = open.filter(({ id }) => !left.has(id));
    for (const candidates of [fresh, open]) {
      while (this.#state.guards.length < SAMPLE_SIZE && this.#draw(candidates, nowMs));
    }
  }

  /** The guards that `topology` lists, in the order in which they are used. */
  listedIn(topology: Pick<Topology, 'byId'>): readonly NodeEntry[] {
    return this.#state.guards.flatMap(({ id }) => topology.byId(id) ?? []).filter(({ role }) => role === 'gateway');
  }

  /** Adds one of `gateways`, all equally likely. False when there is none that may be added. */
  #draw(gateways: readonly NodeEntry[], nowMs: UnixMs): boolean {
    const { guards, draws } = this.#state;
    const recent = new Set(draws.filter(({ atMs }) => Math.abs(nowMs - atMs) <= DRAW_WINDOW_MS).map(({ id }) => id));
    const others = gateways.filter(({ id }) => guards.every((guard) => guard.id !== id));
    const drawn = pick(this.rng, recent.size < MAX_DRAWS ? others : others.filter(({ id }) => recent.has(id)));
    if (drawn === undefined) return false;
    const { id } = drawn;
    const termMs = MIN_TERM_MS - CONFIRM_MS + this.rng.uniform() * (MAX_TERM_MS - MIN_TERM_MS);
    this.#state = {
      ...this.#state,
      guards: [...guards, { id, addedMs: nowMs, termMs, unlistedSinceMs: null, due: null }],
      draws: [...draws.filter((draw) => draw.id !== id), { id, atMs: nowMs }].slice(-MAX_DRAWS),
    };
    return true;
  }
}

/** The guard as it is now. */
function observed(guard: Guard, listed: boolean, nowMs: UnixMs, stepMs: number): Guard {
  const { addedMs } = guard;
  const unlistedSinceMs = listed ? null : (guard.unlistedSinceMs ?? nowMs);
  const isAhead = addedMs > nowMs || (unlistedSinceMs ?? 0) > nowMs;
  const isOver = nowMs - addedMs >= guard.termMs;
  const isGone = unlistedSinceMs !== null && nowMs - unlistedSinceMs >= UNLISTED_MS - CONFIRM_MS;
  const what = isAhead ? 'restart' : isOver || isGone ? 'leave' : undefined;
  // The step that makes it due proves nothing: the clock may have been set.
  const forMs = guard.due !== null && guard.due.what === what ? guard.due.forMs + stepMs : 0;
  if (what === 'restart' && forMs >= CONFIRM_MS)
    return { ...guard, addedMs: nowMs, unlistedSinceMs: listed ? null : nowMs, due: null };
  return { ...guard, unlistedSinceMs, due: what === undefined ? null : { what, forMs } };
}
