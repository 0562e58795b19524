/**
 * The thread that sleeps to each deadline of an alarm, and rings.
 * @module
 */
import { workerData } from 'node:worker_threads';
import { Alarm, type AlarmThreadData } from './alarm.ts';
import { monotonicMs } from './monotonic.ts';

const { memory, byteOffset, port } = workerData as AlarmThreadData;
new Alarm(memory, byteOffset).run(monotonicMs, () => port.postMessage(0));
port.close();
