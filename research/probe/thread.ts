/**
 * Starts a module of this folder as a thread. The loader that runs TypeScript here is not inherited by threads.
 * @module
 */
import { Worker } from 'node:worker_threads';

const BOOT = `const { workerData } = require('node:worker_threads');
import('tsx/esm/api').then(({ register }) => { register(); return import(workerData.module); });`;

/** A thread that runs `module`, which finds `data` under `workerData.data`. */
export function startThread(module: URL, data: object): Worker {
  return new Worker(BOOT, { eval: true, workerData: { module: module.href, data } });
}
