/**
 * A clock whose short timers fire within about 0.2 ms of their time, where `setTimeout` counts whole milliseconds: for
 * mixes, whose delays are the point of them. What is due within one grain of `setTimeout` would leave together, and
 * show an observer which packets were mixed together (docs/ANONYMITY.md).
 * @module
 */
import { MessageChannel, Worker } from 'node:worker_threads';
import { Alarm, type AlarmThreadData } from './alarm.ts';
import { type Clock, systemClock, type Timer } from './clock.ts';
import { MixError } from './errors.ts';
import { monotonicMs } from './monotonic.ts';

/** Longer timers can do with the grain of the system's. */
const LONGEST_MS = 500;
/** The thread that sleeps is woken for an earlier time at most this often: what is due meanwhile fires with it. */
const GRAIN_MS = 0.1;

interface Armed {
  readonly dueMs: number;
  readonly fire: () => void;
}

/** Needs compiled code: a thread loads no TypeScript. */
export class PreciseClock implements Clock {
  readonly grainMs = GRAIN_MS;
  readonly #alarm: Alarm;
  /** By time, the latest first. */
  readonly #armed: Armed[] = [];
  #rungMs = Number.NEGATIVE_INFINITY;
  #setForMs = Number.POSITIVE_INFINITY;

  constructor() {
    const memory = new SharedArrayBuffer(Alarm.BYTES);
    this.#alarm = new Alarm(memory, 0);
    const { port1, port2 } = new MessageChannel();
    const workerData: AlarmThreadData = { memory, byteOffset: 0, port: port2 };
    const options = { workerData, transferList: [port2], execArgv: [], name: 'mixsocks-clock' };
    const thread = new Worker(new URL('./alarm-thread.js', import.meta.url), options);
    thread.on('error', (error) => {
      // Nothing leaves a mix without its clock: end the process rather than live on silent.
      throw new MixError('INTERNAL', `the clock's thread failed: ${error.message}`, error);
    });
    port1.on('message', () => this.#ring());
    thread.unref();
    port1.unref();
  }

  nowMs(): number {
    return systemClock.nowMs();
  }

  wallMs(): number {
    return systemClock.wallMs();
  }

  after(delayMs: number, fire: () => void): Timer {
    if (delayMs > LONGEST_MS) return systemClock.after(delayMs, fire);
    const armed = { dueMs: this.nowMs() + Math.max(0, delayMs), fire };
    this.#insert(armed);
    this.#set();
    return { cancel: () => this.#cancel(armed) };
  }

  soon(fire: () => void): void {
    systemClock.soon(fire);
  }

  #insert(armed: Armed): void {
    let place = this.#armed.length;
    while (place > 0 && (this.#armed[place - 1] as Armed).dueMs <= armed.dueMs) place--;
    this.#armed.splice(place, 0, armed);
  }

  /** The alarm stays as it is: it then rings for nothing, once. */
  #cancel(armed: Armed): void {
    const place = this.#armed.indexOf(armed);
    if (place >= 0) this.#armed.splice(place, 1);
  }

  #set(): void {
    const next = this.#armed.at(-1);
    if (next === undefined || next.dueMs >= this.#setForMs) return;
    this.#setForMs = next.dueMs;
    const atMs = Math.max(next.dueMs, this.#rungMs + GRAIN_MS);
    this.#alarm.set(monotonicMs() + atMs - this.nowMs());
  }

  #ring(): void {
    const nowMs = this.nowMs();
    this.#rungMs = nowMs;
    this.#setForMs = Number.POSITIVE_INFINITY;
    for (let next = this.#armed.at(-1); next !== undefined && next.dueMs <= nowMs; next = this.#armed.at(-1)) {
      this.#armed.pop();
      next.fire();
    }
    this.#set();
  }
}
