/**
 * What was refused, slow or broken off in the last minutes, by reason: counts and times only.
 * @module
 */
import type { Clock } from '../../core/clock.ts';
import type { MonotonicMs } from '../../core/units.ts';
import { type Place, REASONS, type Reason, type ReasonFacts } from './reasons.ts';

/** What a program asked for; a transfer is ten seconds of one that is under way, a link that to the gateway, a clock ten seconds of our own. */
export type RequestKind =
  | 'connection'
  | 'request'
  | 'association'
  | 'look-up'
  | 'datagram'
  | 'transfer'
  | 'list of nodes'
  | 'link'
  | 'clock';
export type Effect = 'refused' | 'slow' | 'broken off' | 'not given';

/** One reason, with all that it has caused lately. */
export interface TroubleStatus extends ReasonFacts {
  readonly reason: Reason;
  readonly count: number;
  /** The same by effect and kind, in words: `3 connections refused`. */
  readonly what: readonly string[];
  /** Since the last time. */
  readonly secondsAgo: number;
}

export interface TroublesStatus {
  /** How far back it reaches. */
  readonly minutes: number;
  /** The answer to "is it me?" in one sentence. */
  readonly verdict: string;
  /** The latest first. */
  readonly reasons: readonly TroubleStatus[];
}

export const TROUBLE_MINUTES = 10;
/** What is looked at every ten seconds, and was seen within so many, holds now. */
const HOLDS_S = 20;
/** What may last, and is said first while it does. */
const LASTING: Readonly<Partial<Record<Reason, string>>> = {
  'machine-slow': 'This machine is too slow for its rates.',
  'network-full': 'The network is over its capacity.',
};
const MINUTE_MS = 60_000;

type What = `${Effect}/${RequestKind}`;

interface Slice {
  readonly minute: number;
  readonly counts: Map<What, number>;
}

interface Row {
  lastMs: MonotonicMs;
  /** One for each minute that had some, oldest first. */
  slices: Slice[];
}

/** A row for each reason, with a slice for each minute: its size does not depend on how much goes wrong. */
export class RecentTroubles {
  readonly #rows = new Map<Reason, Row>();

  constructor(private readonly clock: Pick<Clock, 'nowMs'>) {}

  note(reason: Reason, effect: Effect, kind: RequestKind): void {
    const nowMs = this.clock.nowMs();
    const minute = Math.floor(nowMs / MINUTE_MS);
    const row = this.#rows.get(reason) ?? { lastMs: nowMs, slices: [] };
    this.#rows.set(reason, row);
    row.lastMs = nowMs;
    if (row.slices.at(-1)?.minute !== minute) row.slices.push({ minute, counts: new Map() });
    row.slices = row.slices.filter((slice) => minute - slice.minute < TROUBLE_MINUTES);
    const counts = row.slices.at(-1)?.counts;
    const what: What = `${effect}/${kind}`;
    counts?.set(what, (counts.get(what) ?? 0) + 1);
  }

  status(): TroublesStatus {
    const nowMs = this.clock.nowMs();
    const reasons = [...this.#rows]
      .map(([reason, row]) => troubleOf(reason, row, nowMs))
      .filter(({ count }) => count > 0)
      .sort((a, b) => a.secondsAgo - b.secondsAgo);
    const now = reasons.flatMap(({ reason, secondsAgo }) => (secondsAgo <= HOLDS_S ? (LASTING[reason] ?? []) : []));
    const verdict = [...now, verdictOf(reasons)].join(' ');
    return { minutes: TROUBLE_MINUTES, verdict, reasons };
  }
}

function troubleOf(reason: Reason, { lastMs, slices }: Row, nowMs: MonotonicMs): TroubleStatus {
  const minute = Math.floor(nowMs / MINUTE_MS);
  const counts = new Map<What, number>();
  for (const slice of slices) {
    if (minute - slice.minute >= TROUBLE_MINUTES) continue;
    for (const [what, count] of slice.counts) counts.set(what, (counts.get(what) ?? 0) + count);
  }
  const count = [...counts.values()].reduce((sum, one) => sum + one, 0);
  const what = [...counts].map(([key, times]) => whatText(key, times));
  return { reason, ...REASONS[reason], count, what, secondsAgo: Math.max(0, Math.round((nowMs - lastMs) / 1000)) };
}

/** `3 connections refused`, `20 s of transfers slow`. */
function whatText(what: What, count: number): string {
  const [effect, kind] = what.split('/') as [Effect, RequestKind];
  if (kind === 'transfer' || kind === 'clock') return `${10 * count} s of ${kind}s ${effect}`;
  if (kind === 'list of nodes') return `${count} list${count === 1 ? '' : 's'} of nodes ${effect}`;
  return `${count} ${kind}${count === 1 ? '' : 's'} ${effect}`;
}

/** No trouble to anyone: what only went as fast as it can, and a list of nodes that was had from elsewhere. */
const HARMLESS: ReadonlySet<Reason> = new Set(['class-rate', 'source-behind']);

/** Says where most of it lies. */
function verdictOf(reasons: readonly TroubleStatus[]): string {
  const byPlace = new Map<Place, number>();
  for (const { reason, where, count } of reasons)
    if (!HARMLESS.has(reason)) byPlace.set(where, (byPlace.get(where) ?? 0) + count);
  const all = [...byPlace.values()].reduce((sum, count) => sum + count, 0);
  if (all === 0) return `Nothing was refused, slow or broken off in the last ${TROUBLE_MINUTES} minutes.`;
  const [[place, most] = ['unknown', 0]] = [...byPlace].sort(([, a], [, b]) => b - a);
  const share = most === all ? 'all' : `${most} of ${all}`;
  const lies = place === 'unknown' ? 'for no reason that is seen from here' : `because of ${place}`;
  return `${all} refused, slow or broken off in the last ${TROUBLE_MINUTES} minutes, ${share} ${lies}.`;
}
