/**
 * What an observer of the proxy's link sees of an exit that stops: frames towards the proxy in each half second before, during
 * and after a SIGSTOP of the requester. Without the gateway's own clock replies would stop with it.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RecordedNetwork } from './recorder.ts';

const SLICE_MS = 500;
const AROUND_MS = 10_000;
const STOPPED_MS = 5_000;

export interface ExitStopPhase {
  readonly name: 'before' | 'stopped' | 'after';
  /** Frames in each half second. */
  readonly counts: readonly number[];
}

/** Stops the requester for a while; what reached the proxy meanwhile. */
export async function recordExitStop({ proxy, requesterPid }: RecordedNetwork): Promise<ExitStopPhase[]> {
  const phases: ExitStopPhase[] = [];
  const record = async (name: ExitStopPhase['name'], ms: number) => {
    const start = proxy.arrivals.length;
    await sleep(ms);
    phases.push({ name, counts: perSlice(proxy.arrivals.slice(start)) });
  };
  await record('before', AROUND_MS);
  process.kill(requesterPid, 'SIGSTOP');
  try {
    await record('stopped', STOPPED_MS);
  } finally {
    process.kill(requesterPid, 'SIGCONT');
  }
  await record('after', AROUND_MS);
  return phases;
}

/** One line for each phase. */
export function exitStopLines(phases: readonly ExitStopPhase[], deliveryRate: number): string[] {
  const expected = (deliveryRate * SLICE_MS) / 1000;
  const lines = phases.map(({ name, counts }) => {
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    return `${name.padEnd(8)} ${mean.toFixed(1).padStart(6)} ${`${Math.min(...counts)} to ${Math.max(...counts)}`.padStart(11)}   ${counts.join(' ')}`;
  });
  return [
    `exit      mean   min to max   frames to the proxy per ${SLICE_MS} ms (the clock makes ${expected})`,
    ...lines,
  ];
}

/** Frames in each whole slice since the first. */
function perSlice(timesMs: readonly number[]): number[] {
  const [startMs = 0] = timesMs;
  const slices = Math.floor(((timesMs.at(-1) ?? startMs) - startMs) / SLICE_MS);
  const counts = new Array<number>(Math.max(0, slices)).fill(0);
  for (const atMs of timesMs) {
    const slice = Math.floor((atMs - startMs) / SLICE_MS);
    if (slice < slices) counts[slice] = (counts[slice] ?? 0) + 1;
  }
  return counts;
}
