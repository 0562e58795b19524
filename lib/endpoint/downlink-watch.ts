/**
 * Whether the gateway delivers as it should (docs/PROTOCOL.md section 5.8), by what it sends alone. A pure state machine.
 *
 * - Fewer frames than the clock of the class makes: the gateway is overloaded, or the way from it too narrow.
 * - No padding for two seconds, and packets of our own making at the rate of the clock: somebody sends us more than we have asked
 *   for. The queue at the gateway is full then, and what is lost there is no evidence against mixes or gateway. Packets of our
 *   own making are replies and loops: the gateway cannot feign that with packets of its own. Since it could hold replies back
 *   and deliver them in bursts, floods excuse losses for a bounded time only.
 * @module
 */
import type { MonotonicMs } from '../core/units.ts';

/** Totals since the start. */
export interface DownlinkCounts {
  readonly padding: number;
  readonly packets: number;
  /** Packets that were replies or own loops. */
  readonly recognised: number;
}

/** A gateway that sends less than this share of its rate is reported. */
export const LEAST_SHARE = 0.95;
/** The rate is taken over this time. */
const REPORT_MS = 30_000;
const MEASURED_MS = 10_000;
/** A longer time between two reviews was a standstill: frames that waited come in a burst, or were never sent. */
const STANDSTILL_MS = 1_000;
/** Without padding for this long the downlink is flooded. */
export const FLOOD_MS = 2_000;
/** Share of the clock's rate that recognised packets then have. */
const FLOOD_SHARE = 0.9;
/** Floods excuse losses for so long, and for so much of the time after. */
export const EXCUSED_MS = 60_000;
const EXCUSED_SHARE = 0.1;

interface Sample {
  readonly atMs: MonotonicMs;
  readonly frames: number;
}

export class DownlinkWatch {
  #samples: Sample[] = [];
  #reviewedMs: MonotonicMs | undefined;
  #padding = 0;
  /** When padding last came, and what had been recognised by then. */
  #lastPadding: { readonly atMs: MonotonicMs; readonly recognised: number } | undefined;
  #excusableMs = EXCUSED_MS;
  #isSlow = false;

  /** Frames per second over the last ten seconds. */
  get measured(): number {
    const last = this.#samples.at(-1);
    const first = last && this.#samples.find(({ atMs }) => last.atMs - atMs <= MEASURED_MS);
    if (last === undefined || first === undefined || last === first) return 0;
    return (1000 * (last.frames - first.frames)) / (last.atMs - first.atMs);
  }

  /** Whether less comes than should, as long as it has been known. */
  get isSlow(): boolean {
    return this.#isSlow;
  }

  /** Another link: what was before says nothing. */
  restart(): void {
    this.#samples = [];
    this.#lastPadding = undefined;
  }

  /**
   * To be called a few times a second while the link is up. `perSecond` is the rate of the clock. Returns since when losses are no
   * evidence, while the downlink is flooded.
   */
  review(counts: DownlinkCounts, perSecond: number, nowMs: MonotonicMs): MonotonicMs | undefined {
    const passedMs = nowMs - (this.#reviewedMs ?? nowMs);
    this.#reviewedMs = nowMs;
    if (passedMs > STANDSTILL_MS) this.restart();
    this.#excusableMs = Math.min(EXCUSED_MS, this.#excusableMs + EXCUSED_SHARE * passedMs);
    this.#measure(counts.padding + counts.packets, perSecond, nowMs);
    const sinceMs = this.#floodedSince(counts, perSecond, nowMs);
    if (sinceMs === undefined || this.#excusableMs < passedMs) return undefined;
    this.#excusableMs -= passedMs;
    return sinceMs;
  }

  #measure(frames: number, perSecond: number, nowMs: MonotonicMs): void {
    const samples = this.#samples;
    // The clock starts a moment after the link is up.
    if (samples.length === 1 && frames === samples[0]?.frames) samples.pop();
    samples.push({ atMs: nowMs, frames });
    const first = samples[0] as Sample;
    const ageMs = nowMs - first.atMs;
    if (ageMs < REPORT_MS) return;
    this.#isSlow = frames - first.frames < (LEAST_SHARE * perSecond * ageMs) / 1000;
    samples.splice(
      0,
      samples.findIndex(({ atMs }) => nowMs - atMs < REPORT_MS),
    );
  }

  #floodedSince({ padding, recognised }: DownlinkCounts, perSecond: number, nowMs: MonotonicMs) {
    if (padding !== this.#padding || this.#lastPadding === undefined) this.#lastPadding = { atMs: nowMs, recognised };
    this.#padding = padding;
    const { atMs, recognised: before } = this.#lastPadding;
    const lastsMs = nowMs - atMs;
    const flooded = lastsMs >= FLOOD_MS && recognised - before >= (FLOOD_SHARE * perSecond * lastsMs) / 1000;
    return flooded ? atMs : undefined;
  }
}
