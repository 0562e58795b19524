/**
 * The last two minutes of the figures that the page draws, kept here and not in the browser: a page opened now has a
 * past, also without scripts.
 * @module
 */

import type { Status } from '../../../lib/access/status/status.ts';
import { type Clock, every, type Timer } from '../../../lib/core/clock.ts';

/** Packets per second of each clock; bytes of streams per second, cover not counted. */
const SERIES = ['main', 'loop', 'drop', 'reply', 'sentBytes', 'deliveredBytes'] as const;
type Series = (typeof SERIES)[number];
type Sample = Readonly<Record<Series, number>>;

/** Samples by name, oldest first, all of one length. */
export interface History extends Readonly<Record<Series, readonly number[]>> {
  readonly periodSeconds: number;
  /** Samples kept at most. */
  readonly room: number;
}

const PERIOD_MS = 1_000;
/** Samples kept. */
export const HISTORY_SAMPLES = 120;

export class StatusHistory {
  #timer: Timer | undefined;
  #samples: Sample[] = [];
  #sent = 0;
  #delivered = 0;

  constructor(
    private readonly clock: Clock,
    private readonly status: () => Status,
  ) {}

  start(): void {
    this.#timer = every(this.clock, PERIOD_MS, () => this.#sample());
  }

  series(): History {
    const of = (name: Series) => this.#samples.map((sample) => Math.round(sample[name] * 10) / 10);
    const series = Object.fromEntries(SERIES.map((name) => [name, of(name)])) as Record<Series, number[]>;
    return { periodSeconds: PERIOD_MS / 1000, room: HISTORY_SAMPLES, ...series };
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #sample(): void {
    const { rates, sessions } = this.status();
    const sent = sessions.reduce((sum, session) => sum + session.bytesSent, 0);
    const delivered = sessions.reduce((sum, session) => sum + session.bytesDelivered, 0);
    this.#samples.push({
      main: rates.main.measured,
      loop: rates.loop.measured,
      drop: rates.drop.measured,
      reply: rates.reply.measured,
      // A session that ended takes its count with it; that is not a step back.
      sentBytes: Math.max(0, sent - this.#sent),
      deliveredBytes: Math.max(0, delivered - this.#delivered),
    });
    this.#sent = sent;
    this.#delivered = delivered;
    if (this.#samples.length > HISTORY_SAMPLES) this.#samples.shift();
  }
}
