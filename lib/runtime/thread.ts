/**
 * A worker thread that its owner can rely on: whatever ends it before it was asked to (an error in it, an exit, a message that cannot
 * be read) is reported to the owner once. An exception thrown in the worker's event would end the whole program instead.
 * @module
 */
import { Worker } from 'node:worker_threads';
import { systemClock } from '../core/clock.ts';
import { MixError } from '../core/errors.ts';

/** Memory in which it makes new objects; V8 would let that grow to 48 MB. */
const YOUNG_MB = 6;

export interface ThreadOptions {
  /** The compiled module that it runs: a thread loads no TypeScript. */
  readonly module: URL;
  /** Names it for the operating system, and in the error. */
  readonly name: string;
  readonly data: object;
  readonly onMessage?: (message: unknown) => void;
  /** Called once at most, with MixError INTERNAL; the thread has ended or is being ended. */
  readonly onFailed: (error: MixError) => void;
}

export class Thread {
  readonly #ended: Promise<void>;
  #stopping = false;

  private constructor(
    private readonly options: ThreadOptions,
    private readonly worker: Worker,
  ) {
    this.#ended = new Promise((resolve) => worker.once('exit', () => resolve()));
  }

  static start(options: ThreadOptions): Thread {
    const { module, name, data, onMessage } = options;
    // No flags of the process: the threads need none, and a loader of TypeScript would only slow them down.
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MB };
    const worker = new Worker(module, { workerData: data, execArgv: [], name, resourceLimits });
    const thread = new Thread(options, worker);
    worker.on('error', (error: unknown) => thread.#fail(error instanceof Error ? error.message : String(error), error));
    worker.on('messageerror', (error) => thread.#fail('it sent a message that cannot be read', error));
    worker.on('exit', (code) => thread.#fail(`it ended with exit code ${code}`));
    if (onMessage !== undefined) worker.on('message', onMessage);
    return thread;
  }

  post(message: object): void {
    this.worker.postMessage(message);
  }

  /** From now on it does not keep the process alive. */
  unref(): void {
    this.worker.unref();
  }

  /** From now on its end is no failure. Resolves when it has ended: by itself within `timeoutMs`, or else by force. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    const late = systemClock.after(timeoutMs, () => void this.worker.terminate());
    await this.#ended;
    late.cancel();
  }

  #fail(reason: string, cause?: unknown): void {
    if (this.#stopping) return;
    this.#stopping = true;
    void this.worker.terminate();
    this.options.onFailed(new MixError('INTERNAL', `thread ${this.options.name} failed: ${reason}`, cause));
  }
}
