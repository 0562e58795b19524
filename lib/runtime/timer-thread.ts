/**
 * The thread that sleeps to each deadline of a `ThreadTimer`, and fires.
 * @module
 */
import { workerData } from 'node:worker_threads';
import { monotonicMs } from '../core/monotonic.ts';
import { ThreadTimer, type TimerThreadData } from './thread-timer.ts';

const { memory, byteOffset, port } = workerData as TimerThreadData;
new ThreadTimer(memory, byteOffset).run(monotonicMs, () => port.postMessage(0));
port.close();
