/**
 * Sends frames to a port by a Poisson clock, from a thread that does nothing else, and notes when it hands each to the
 * system: what a recorder is checked against.
 * @module
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setPriority } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { monotonicMs } from '../../lib/core/monotonic.ts';
import { exponential, systemRng } from '../../lib/core/rng.ts';
import { FRAME_RECORD_BYTES, FrameTimes } from './frame-times.ts';

/** Orders to the thread. */
export interface PulseData {
  readonly port: number;
  readonly ratePerSecond: number;
  readonly frames: number;
  readonly sent: SharedArrayBuffer;
}

const NICENESS = -15;
const { port, ratePerSecond, frames, sent } = (workerData as { data: PulseData }).data;
const times = new FrameTimes(sent);
const never = new Int32Array(new SharedArrayBuffer(4));
const record = Buffer.alloc(5 + FRAME_RECORD_BYTES);
record.writeUInt16BE(FRAME_RECORD_BYTES, 3);

try {
  setPriority(0, NICENESS);
} catch {
  // As in the relay.
}

const socket = connect(port, '127.0.0.1');
socket.setNoDelay(true);
await once(socket, 'connect');
let dueMs = monotonicMs() + 100;
for (let i = 0; i < frames; i++) {
  dueMs += exponential(systemRng, 1000 / ratePerSecond);
  // Lets the socket finish with the frame before; the wait itself has no event loop to be late on.
  await turn();
  const waitMs = dueMs - monotonicMs();
  if (waitMs > 0) Atomics.wait(never, 0, 0, waitMs);
  const nowMs = monotonicMs();
  socket.write(record);
  times.note(nowMs);
}
socket.end();
