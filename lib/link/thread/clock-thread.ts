/**
 * The clock thread: sleeps to each deadline that the link thread sets, and rings. It has no event loop to be late on;
 * `setTimeout` counts whole milliseconds.
 * @module
 */
import { workerData } from 'node:worker_threads';
import { ALARM_OFFSET, Alarm } from './memory.ts';
import type { ClockThreadData } from './messages.ts';
import { monotonicMs } from './monotonic.ts';

const { memory, linkPort } = workerData as ClockThreadData;
new Alarm(memory, ALARM_OFFSET).run(monotonicMs, () => linkPort.postMessage(0));
linkPort.close();
