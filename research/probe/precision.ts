/**
 * The recorder's own error: a Poisson stream whose times are known is sent through a relay like those that record.
 * @module
 */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { FrameTimes } from './frame-times.ts';
import type { PulseData } from './pulse-thread.ts';
import { startRelay } from './relay.ts';
import { compareSamples, gapsOf, quantile, shareBelow } from './statistics.ts';
import { startThread } from './thread.ts';

export interface Precision {
  readonly frames: number;
  /** From the handing over of a frame to its note: median and 99th percentile. */
  readonly lateMs: number;
  readonly late99Ms: number;
  /** What 99 % of the recorded gaps are off by at most: shorter gaps cannot be told apart. */
  readonly resolutionMs: number;
  /** Share of frames that were taken in one read with the one before. */
  readonly mergedShare: number;
  /** Between the gaps as sent and as recorded (two-sample Kolmogorov-Smirnov). */
  readonly distance: number;
}

/** Gaps below this are those of frames taken in one read. */
const MERGED_MS = 0.005;

/** Sends `frames` at `ratePerSecond` through a relay and compares. */
export async function measurePrecision(ratePerSecond: number, frames: number): Promise<Precision> {
  const sink = createServer((socket) => socket.resume().on('error', () => {})).listen(0, '127.0.0.1');
  await once(sink, 'listening');
  const relay = await startRelay((sink.address() as AddressInfo).port);
  try {
    const sent = new FrameTimes();
    const data: PulseData = { port: relay.port, ratePerSecond, frames, sent: sent.memory };
    const pulse = startThread(new URL('./pulse-thread.ts', import.meta.url), data);
    await once(pulse, 'exit');
    const [link] = relay.links;
    if (link === undefined) throw new Error('the synthetic stream did not reach its relay');
    while (link.up.length < frames) await new Promise((resolve) => setTimeout(resolve, 10));
    return compare(sent.slice(0), link.up.slice(0));
  } finally {
    await relay.close();
    sink.close();
  }
}

function compare(sent: readonly number[], recorded: readonly number[]): Precision {
  const late = recorded.map((timeMs, i) => timeMs - (sent[i] as number)).sort((a, b) => a - b);
  const [sentGaps, recordedGaps] = [gapsOf(sent), gapsOf(recorded)];
  const errors = recordedGaps.map((gap, i) => Math.abs(gap - (sentGaps[i] as number))).sort((a, b) => a - b);
  return {
    frames: recorded.length,
    lateMs: quantile(late, 0.5),
    late99Ms: quantile(late, 0.99),
    resolutionMs: quantile(errors, 0.99),
    mergedShare: shareBelow(recordedGaps, MERGED_MS),
    distance: compareSamples(sentGaps, recordedGaps).distance,
  };
}
