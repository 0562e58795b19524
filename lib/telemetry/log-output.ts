/**
 * Where log lines go: a file descriptor that may refuse them. A full disk, a closed pipe or a reader that has stopped
 * costs lines, which are counted, and never the process.
 * @module
 */
import { writeSync } from 'node:fs';

/** Tries at a line while a pipe is full; a reader that has stopped must not hold up the process. */
const MAX_TRIES = 8;

/** The destination of a pino logger. */
export class LogOutput {
  /** Lines that could not be written since the last one that could. */
  #lost = 0;
  /** A line was cut off: the next one begins with a line break. */
  #torn = false;

  constructor(
    readonly descriptor: number,
    readonly writeBytes: (descriptor: number, bytes: Uint8Array) => number = (fd, bytes) => writeSync(fd, bytes),
    /** Makes the line that says how many are missing. */
    readonly lostLine: (lost: number) => string = (lost) => `${JSON.stringify({ level: 'warn', lost, msg: LOST })}\n`,
  ) {}

  /** Writes one line, or counts it as lost. */
  write(line: string): void {
    const text = this.#lost > 0 ? `${this.lostLine(this.#lost)}${line}` : line;
    if (this.#writeAll(Buffer.from(this.#torn ? `\n${text}` : text))) this.#lost = 0;
    else this.#lost += 1;
  }

  #writeAll(bytes: Uint8Array): boolean {
    let written = 0;
    for (let tries = 0; tries < MAX_TRIES && written < bytes.byteLength; tries++) {
      try {
        written += this.writeBytes(this.descriptor, bytes.subarray(written));
      } catch (error) {
        if (!isBusy(error)) break;
      }
    }
    const whole = written === bytes.byteLength;
    if (written > 0) this.#torn = !whole;
    return whole;
  }
}

const LOST = 'log lines before this one could not be written';

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EAGAIN' || error.code === 'EINTR');
}
