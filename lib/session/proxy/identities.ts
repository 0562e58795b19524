/**
 * Whose session is whose: one entry for each isolation token that has a session at an exit. The number of entries is
 * bounded; a new token takes the entry that was idle for longest.
 * @module
 */
import { pick, type Rng } from '../../core/rng.ts';
import type { MonotonicMs } from '../../core/units.ts';
import type { NodeEntry } from '../../directory/index.ts';
import type { Exit } from './exits.ts';
import type { ProxySession } from './proxy-session.ts';

export interface PooledSession {
  readonly session: ProxySession;
  /** Whose share of the clocks it uses: the exit of its requester, as long as that is in use. */
  exit: Exit;
  readonly requester: NodeEntry;
  readonly startedMs: number;
  /** `draining`: takes no new streams. */
  use: 'spare' | 'assigned' | 'draining';
  /** When a stream was last opened on it. */
  usedMs: number;
  /** Whether the requester has taken it. */
  wasOpen: boolean;
}

export interface Identity {
  exit: Exit;
  session: PooledSession | undefined;
  /** When a stream was last opened. */
  usedMs: number;
}

/** Between a token and the requester that it uses for some ports only. */
const KEY_SEPARATOR = '\0at\0';

export class IdentityTable {
  /** The one not used for longest first. */
  readonly #byKey = new Map<string, Identity>();

  constructor(private readonly max: number) {}

  has(token: string): boolean {
    return this.#byKey.has(token);
  }

  get isFull(): boolean {
    return this.#byKey.size >= this.max;
  }

  /** A copy: entries may come and go meanwhile. */
  entries(): [string, Identity][] {
    return [...this.#byKey];
  }

  /** The identity under `key`, which then counts as used. */
  use(key: string, nowMs: MonotonicMs): Identity | undefined {
    const identity = this.#byKey.get(key);
    if (identity === undefined) return undefined;
    identity.usedMs = nowMs;
    this.#byKey.delete(key);
    this.#byKey.set(key, identity);
    return identity;
  }

  add(key: string, exit: Exit, nowMs: MonotonicMs): Identity {
    const identity: Identity = { exit, session: undefined, usedMs: nowMs };
    this.#byKey.set(key, identity);
    return identity;
  }

  delete(key: string): void {
    this.#byKey.delete(key);
  }

  /** The one without streams that was not used for longest. */
  longestIdle(): [string, Identity] | undefined {
    for (const entry of this.#byKey) if (!hasStreams(entry[1])) return entry;
    return undefined;
  }

  /**
   * The key of `token` for one of `exits`, and that exit. A token keeps its exit; where that is not among `exits` it has a
   * further key, at another one. No key without an exit.
   */
  keyAmong(token: string, exits: readonly Exit[], rng: Rng): { key: string; exit: Exit } | undefined {
    const usual = this.#byKey.get(token)?.exit;
    if (usual !== undefined && exits.includes(usual)) return { key: token, exit: usual };
    const keyAt = (exit: Exit) => `${token}${KEY_SEPARATOR}${exit.requester.id}`;
    const exit = exits.find((one) => this.#byKey.has(keyAt(one))) ?? pick(rng, exits);
    if (exit === undefined) return undefined;
    return { key: usual === undefined ? token : keyAt(exit), exit };
  }

  /** Exits that are no longer in use: what had one of them gets the one that `draw` returns, and a new session. */
  leave(left: readonly Exit[], draw: () => Exit | undefined): void {
    for (const [key, identity] of this.entries()) {
      if (!left.includes(identity.exit)) continue;
      if (key.includes(KEY_SEPARATOR)) this.#byKey.delete(key);
      identity.exit = draw() ?? identity.exit;
      identity.session = undefined;
    }
  }

  /** The session is over. */
  sessionEnded(session: PooledSession): void {
    for (const identity of this.#byKey.values()) if (identity.session === session) identity.session = undefined;
  }
}

export function hasStreams({ session }: Identity): boolean {
  return session !== undefined && session.session.streamsOpen > 0;
}

/** Nobody has used it yet. */
export function isSpare({ use }: PooledSession): boolean {
  return use === 'spare';
}
