/**
 * Two ends that cannot have a link: the line that says why. Of other versions both ends know, since the acceptor answers such a
 * hello with its own (docs/PROTOCOL.md section 3.4); of groups each knows its own.
 * @module
 */
import type { Clock } from '../core/clock.ts';
import type { MonotonicMs } from '../core/units.ts';
import { type VersionRange, versionsText } from '../core/version-range.ts';
import type { Log } from '../telemetry/log.ts';
import { LINK_VERSIONS } from './hello.ts';
import { CLASSICAL_GROUP, HYBRID_GROUP, hasHybrid, type KeyExchange, RUNTIME } from './key-exchange.ts';

/** At most one line of a kind in this time: anybody can send a hello, and peers dial again and again. */
const LINE_PERIOD_MS = 60_000;

export class LinkRefusalLog {
  readonly #lastMs = new Map<string, MonotonicMs>();

  constructor(
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly keyExchange: KeyExchange,
  ) {}

  /** The other end speaks none of our versions. */
  otherVersion(theirs: VersionRange, ours: VersionRange = LINK_VERSIONS): void {
    if (!this.#isDue('version')) return;
    const [here, there] = [versionsText(ours), versionsText(theirs)];
    this.log.warn(
      { ours: here, theirs: there },
      `link refused: this end speaks version ${here} of the link protocol, the other end version ${there}; update the older one`,
    );
  }

  /** The other end takes none of our groups. `facts`: who it is, where that may be said. */
  noCommonGroup(facts: Readonly<Record<string, string>> = {}): void {
    if (this.#isDue('group')) this.log.warn(facts, groupFault(this.keyExchange));
  }

  #isDue(kind: string): boolean {
    const nowMs = this.clock.nowMs();
    const lastMs = this.#lastMs.get(kind);
    if (lastMs !== undefined && nowMs - lastMs < LINE_PERIOD_MS) return false;
    this.#lastMs.set(kind, nowMs);
    return true;
  }
}

/** Our side of it, and what to do. */
function groupFault(choice: KeyExchange): string {
  if (choice === 'hybrid') {
    return (
      `link refused: this end takes ${HYBRID_GROUP} alone (linkKeyExchange hybrid), the other end does not have it; ` +
      'run that on Node.js 24 or later, or set linkKeyExchange any here'
    );
  }
  const [why, remedy] = hasHybrid()
    ? [`linkKeyExchange ${choice}`, 'set linkKeyExchange any here']
    : [RUNTIME, 'run this end on Node.js 24 or later'];
  return `link refused: this end takes ${CLASSICAL_GROUP} alone (${why}), the other end does not take that: perhaps ${HYBRID_GROUP} alone; ${remedy}`;
}
