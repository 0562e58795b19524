/**
 * Whether the clock of this machine is wrong. Whoever lives in another epoch than the network finds no consensus, and would
 * blame the authorities. Their answers carry the time of day (`Date`, RFC 9110 section 6.6.1), and that of most of them is
 * compared with ours. It is a diagnosis for people and decides nothing: an authority that lies about it gains nothing.
 * @module
 */
import { keyGraceMs } from '../../core/params.ts';
import type { UnixMs } from '../../core/units.ts';

/** Smaller differences harm nobody and may be the time that the answer took. */
const TOLERATED_MS = 30_000;

export class ClockCheck {
  /** By authority: how far ahead of its clock ours was at its last answer. */
  readonly #aheadMs = new Map<string, number>();

  constructor(readonly epochMs: number) {}

  /** Notes the time in an answer of the authority at `url`; there is one entry an authority. */
  observe(url: string, dateMs: UnixMs | undefined, nowMs: UnixMs): void {
    if (dateMs !== undefined) this.#aheadMs.set(url, nowMs - dateMs);
  }

  /** Whether an authority has answered with its time. */
  get isDated(): boolean {
    return this.#aheadMs.size > 0;
  }

  /** How far ahead (or, negative, behind) this clock is by the median of the authorities; 0 while none has answered. */
  get aheadMs(): number {
    const sorted = [...this.#aheadMs.values()].sort((a, b) => a - b);
    return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  }

  /** One line for people when the clock is off by more than what is tolerated; else undefined. */
  get fault(): string | undefined {
    const { aheadMs } = this;
    if (Math.abs(aheadMs) <= Math.min(TOLERATED_MS, keyGraceMs(this.epochMs))) return undefined;
    const way = aheadMs > 0 ? 'ahead of' : 'behind';
    const remedy = 'set the date and time, or turn on their synchronisation (NTP)';
    return `the clock of this machine is probably wrong, ${spanText(Math.abs(aheadMs))} ${way} the directory's: ${remedy}`;
  }
}

const UNITS: readonly (readonly [number, string])[] = [
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
];

/** `2 days and 3 hours`: the largest unit that fits, and the next. */
export function spanText(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  const at = UNITS.findIndex(([size]) => seconds >= size);
  let rest = seconds;
  const parts = UNITS.slice(at, at + 2).flatMap(([size, name]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count === 0 ? [] : [`${count} ${name}${count === 1 ? '' : 's'}`];
  });
  return parts.join(' and ');
}
