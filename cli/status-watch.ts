/**
 * `mixsocks status --watch`: the status again and again. On a terminal it is drawn in place, on a screen of its own, until q or
 * Ctrl-C; otherwise each snapshot is appended.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { MixError } from '../lib/core/errors.ts';
import type { Status } from '../proxy/index.ts';
import { errorLine } from './report.ts';

/** The part of standard output that is used. */
export interface WatchOutput {
  readonly isTTY?: boolean;
  readonly rows?: number;
  readonly columns?: number;
  write(text: string): unknown;
  on(event: 'resize' | 'error', listener: () => void): unknown;
  off(event: 'resize' | 'error', listener: () => void): unknown;
}

/** The part of standard input that is used. */
export interface WatchInput {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
  on(event: 'data', listener: (bytes: Uint8Array) => void): unknown;
  off(event: 'data', listener: (bytes: Uint8Array) => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

export interface WatchOptions {
  readonly fetch: () => Promise<Status>;
  /** A status as it is printed, with its line break at the end. */
  readonly format: (status: Status) => string;
  /** Objects, one a line: nothing stands between them. */
  readonly asJson: boolean;
  readonly intervalMs: number;
  readonly output: WatchOutput;
  readonly input: WatchInput;
  /** Takes lines about a proxy that does not answer, where the output is not a terminal. */
  readonly complain: (line: string) => void;
  /** Ends it, as q does. */
  readonly stop: AbortController;
}

export const DEFAULT_INTERVAL_S = 2;
const MIN_INTERVAL_S = 0.1;
const MAX_INTERVAL_S = 3600;

/** The interval in milliseconds. Throws USAGE. */
export function intervalMsOf(seconds: string): number {
  const value = Number(seconds);
  if (/^\d+(\.\d+)?$/.test(seconds) && value >= MIN_INTERVAL_S && value <= MAX_INTERVAL_S) return value * 1000;
  throw new MixError(
    'USAGE',
    `--interval takes seconds, from ${MIN_INTERVAL_S} to ${MAX_INTERVAL_S}, not '${seconds}'`,
  );
}

/** Resolves when it is asked to stop. Rejects as `fetch` does when the first status cannot be had; later it tries again. */
export async function watchStatus(options: WatchOptions): Promise<void> {
  const { output, stop } = options;
  const first = await untilStopped(options.fetch(), stop.signal);
  if (first === undefined) return;
  const end = () => stop.abort();
  output.on('error', end); // nobody reads any more
  const view = output.isTTY === true ? new Screen(options) : new Appender(options);
  view.open();
  try {
    view.show(first);
    while (await untilStopped(pause(options), stop.signal)) {
      try {
        const status = await untilStopped(options.fetch(), stop.signal);
        if (status !== undefined) view.show(status);
      } catch (error) {
        view.complain(errorLine(error, 'mixsocks status'));
      }
    }
  } finally {
    view.close();
    output.off('error', end);
  }
}

async function pause({ intervalMs, stop }: WatchOptions): Promise<true> {
  await sleep(intervalMs, undefined, { signal: stop.signal }).catch(() => {});
  return true;
}

/** What `work` resolves with; undefined when the stop comes first. */
async function untilStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  work.catch(() => {}); // nobody may be left to see it
  if (signal.aborted) return undefined;
  let onStop = () => {};
  const stopped = new Promise<undefined>((resolve) => {
    onStop = () => resolve(undefined);
    signal.addEventListener('abort', onStop);
  });
  try {
    return await Promise.race([work, stopped]).then((value) => (signal.aborted ? undefined : value));
  } finally {
    signal.removeEventListener('abort', onStop);
  }
}

class Appender {
  #shown = false;

  constructor(private readonly options: WatchOptions) {}

  open(): void {}

  show(status: Status): void {
    const { format, asJson, output } = this.options;
    output.write(`${this.#shown && !asJson ? '\n' : ''}${format(status)}`);
    this.#shown = true;
  }

  complain(line: string): void {
    this.options.complain(line);
  }

  close(): void {}
}

/** The alternate screen and the cursor hidden; and back (ECMA-48, xterm). */
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
/** Of a terminal that does not say how large it is, or says 0. */
const USUAL_ROWS = 24;
const USUAL_COLUMNS = 80;

/** Control sequences, and single characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they begin with one
const KEYS = /\x1b\[[\d;]*[A-Za-z~]|./gs;
/** Also Ctrl-C and Ctrl-D, which are no signals while keys are read one by one. */
const ENDS: readonly string[] = ['q', 'Q', '\x03', '\x04'];
/** By how many lines a key moves; `page` is a screen of them. */
const MOVES: Readonly<Record<string, (page: number) => number>> = {
  '\x1b[A': () => -1,
  k: () => -1,
  '\x1b[B': () => 1,
  j: () => 1,
  '\x1b[5~': (page) => -page,
  '\x1b[6~': (page) => page,
  ' ': (page) => page,
};

class Screen {
  #lines: readonly string[] = [];
  #complaint = '';
  /** Lines that are scrolled out at the top. */
  #above = 0;

  constructor(private readonly options: WatchOptions) {}

  open(): void {
    const { output, input } = this.options;
    output.write(ENTER);
    process.once('exit', this.#leave); // also when a defect ends the process
    output.on('resize', this.#draw);
    if (input.isTTY !== true) return;
    input.setRawMode?.(true);
    input.on('data', this.#onKey);
    input.resume();
  }

  show(status: Status): void {
    this.#lines = this.options.format(status).trimEnd().split('\n');
    this.#complaint = '';
    this.#draw();
  }

  complain(line: string): void {
    this.#complaint = line;
    this.#draw();
  }

  close(): void {
    const { output, input } = this.options;
    output.off('resize', this.#draw);
    process.off('exit', this.#leave);
    this.#leave();
    if (input.isTTY !== true) return;
    input.off('data', this.#onKey);
    input.pause();
  }

  readonly #leave = (): void => {
    const { output, input } = this.options;
    if (input.isTTY === true) input.setRawMode?.(false);
    output.write(LEAVE);
  };

  /** Several keys may come at once. */
  readonly #onKey = (bytes: Uint8Array): void => {
    for (const [key] of Buffer.from(bytes).toString('latin1').matchAll(KEYS)) {
      if (ENDS.includes(key)) this.options.stop.abort();
      this.#above += MOVES[key]?.(this.#room) ?? 0;
    }
    this.#draw();
  };

  /** Lines of the status that fit above the last one. */
  get #room(): number {
    return Math.max(1, (this.options.output.rows || USUAL_ROWS) - 1);
  }

  readonly #draw = (): void => {
    const { output, intervalMs } = this.options;
    const last = Math.max(0, this.#lines.length - this.#room);
    this.#above = Math.min(last, Math.max(0, this.#above));
    const shown = this.#lines.slice(this.#above, this.#above + this.#room);
    const hidden = this.#lines.length - shown.length;
    const more = hidden > 0 ? `; ${hidden} more lines: arrow keys` : '';
    const foot = this.#complaint || `every ${intervalMs / 1000} s; q ends${more}`;
    const columns = output.columns || USUAL_COLUMNS;
    const text = [...shown, foot].map((line) => printable(line).slice(0, columns) + CLEAR_LINE);
    output.write(`${HOME}${text.join('\r\n')}${CLEAR_BELOW}`);
  };
}

/** What a terminal would take for an order is no part of a name. */
function printable(line: string): string {
  return line.replace(/\p{Cc}/gu, '?');
}
