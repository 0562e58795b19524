/**
 * An exit that takes sessions, and no streams of theirs: it is full, or says so. Another of its sample may have room. One that refuses for
 * other reasons has looked at the stream.
 * @module
 */
import type { IdentityHex } from '../../core/bytes.ts';
import type { ErrorCode } from '../../core/errors.ts';
import type { MonotonicMs } from '../../core/units.ts';
import type { NodeEntry } from '../../directory/index.ts';
import type { Log } from '../../telemetry/log.ts';
import type { OpeningSession } from './hub-stream.ts';
import type { SessionPool } from './session-pool.ts';

/** An exit is left after so many refusals in a row, over so long, of sessions with few streams: others may be at their own bound. */
export const LEAST_REFUSALS = 8;
export const LEAST_MS = 10_000;
export const MOST_OPEN = 32;

export interface StreamRefusalsOptions {
  readonly log: Pick<Log, 'warn'>;
  readonly nowMs: () => MonotonicMs;
  readonly requesters: () => readonly NodeEntry[];
}

export class StreamRefusals {
  /** Since an exit last opened a stream. */
  readonly #refused = new Map<IdentityHex, { readonly sinceMs: MonotonicMs; count: number }>();

  constructor(
    private readonly pool: Pick<SessionPool, 'of' | 'onStopping'>,
    private readonly options: StreamRefusalsOptions,
  ) {}

  /** The exit of `session` has opened a stream, or refused it with `code`. */
  answered(session: OpeningSession | undefined, code?: ErrorCode): void {
    const pooled = this.pool.of(session);
    if (pooled === undefined) return;
    const { id } = pooled.requester;
    if (code !== 'LIMIT') this.#refused.delete(id);
    else if (pooled.use !== 'draining' && pooled.session.streamsOpen <= MOST_OPEN && this.#isFull(id)) {
      this.#refused.delete(id);
      this.options.log.warn({}, 'the requester is full: new streams go to another');
      this.pool.onStopping(session);
    }
  }

  /** Counts a refusal; where there is no other exit nothing comes of it. */
  #isFull(id: IdentityHex): boolean {
    const { nowMs, requesters } = this.options;
    if (requesters().length < 2) return false;
    const refused = this.#refused.get(id) ?? { sinceMs: nowMs(), count: 0 };
    this.#refused.set(id, refused);
    refused.count += 1;
    return refused.count >= LEAST_REFUSALS && nowMs() - refused.sinceMs >= LEAST_MS;
  }
}
