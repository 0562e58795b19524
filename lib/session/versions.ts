/**
 * Two ends of different versions: what is refused, and the line that says so. The version in HELLO is that of all frames
 * (docs/PROTOCOL.md section 6.10); HELLO, SURBS and CLOSE can be read in every version.
 * @module
 */
import type { Clock } from '../core/clock.ts';
import { commonVersion } from '../core/version-range.ts';
import type { Log } from '../telemetry/log.ts';
import { SESSION_VERSIONS, UNLISTED_VERSIONS } from '../transport/limits.ts';
import { FRAME, type Frame } from '../transport/wire/frames.ts';

/** The version of requesters that refuse a version without naming their own: all later ones do. */
const UNNAMED_VERSION = 1;
/** At most one line in this time: anybody can send a HELLO, and a refused proxy tries again every second. */
export const MISMATCH_LINE_PERIOD_MS = 60_000;

/**
 * The version for sessions with a requester that lists `theirs` in the consensus: the highest that both speak. The authorities have signed for that list, so
 * that nobody on the way can make it older. Without a common one it is our highest, which that requester refuses by name.
 */
export function sessionVersion(theirs = UNLISTED_VERSIONS, ours = SESSION_VERSIONS): number {
  return commonVersion(ours, theirs) ?? ours.highest;
}

/** The version of the requester that refused us in a packet with these frames. */
export function refusingVersion(frames: readonly Frame[]): number {
  return frames.find((frame) => frame.type === FRAME.HELLO)?.version ?? UNNAMED_VERSION;
}

/** One sentence for both ends. */
export function mismatchLine(proxyVersion: number, requesterVersion: number): string {
  const versions = `the proxy speaks version ${proxyVersion} of the session protocol, the requester version ${requesterVersion}`;
  return `session refused: ${versions}; update the older one`;
}

/** Writes that line to a log, not too often. */
export class MismatchLog {
  #lastMs = Number.NEGATIVE_INFINITY;
  #line: { readonly text: string; readonly atMs: number } | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly versions = SESSION_VERSIONS,
  ) {}

  /** A proxy with `theirs` was refused here. */
  proxyRefused(theirs: number): void {
    this.#warn(theirs, this.versions.highest);
  }

  /** A requester with `theirs` has refused us. */
  refusedBy(theirs: number): void {
    this.#warn(this.versions.highest, theirs);
  }

  /** What was to say in the last minute; undefined when nothing was. */
  get recent(): string | undefined {
    const line = this.#line;
    return line !== undefined && this.clock.nowMs() - line.atMs < MISMATCH_LINE_PERIOD_MS ? line.text : undefined;
  }

  #warn(proxyVersion: number, requesterVersion: number): void {
    const nowMs = this.clock.nowMs();
    const text = mismatchLine(proxyVersion, requesterVersion);
    this.#line = { text, atMs: nowMs };
    if (nowMs - this.#lastMs < MISMATCH_LINE_PERIOD_MS) return;
    this.#lastMs = nowMs;
    this.log.warn({ proxyVersion, requesterVersion }, text);
  }
}
