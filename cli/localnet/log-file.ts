/**
 * The file that a node of a local network writes to, bounded: when it has grown too large, its content becomes the older
 * half of the log and it begins anew. The node itself notices nothing.
 * @module
 */
import { constants, copyFileSync, openSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

const LOG_FILE = 'log';
const OLDER_FILE = 'log.1';
/** From this size on the log begins anew: a week at the level `info`, minutes at `trace`. */
export const MAX_LOG_BYTES = 16 * 1024 * 1024;

/** The log of the node in `dir`. */
export class LogFile {
  readonly path: string;
  readonly #olderPath: string;

  constructor(dir: string) {
    this.path = join(dir, LOG_FILE);
    this.#olderPath = join(dir, OLDER_FILE);
  }

  /** Empties it; returns a descriptor for a process to write to. Each write goes to the end, wherever that is by then. */
  open(): number {
    const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND } = constants;
    return openSync(this.path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600);
  }

  /** Begins anew if it is too large. A line written in this very moment may be lost. */
  bound(maxBytes = MAX_LOG_BYTES): void {
    try {
      if (statSync(this.path).size < maxBytes) return;
      copyFileSync(this.path, this.#olderPath); // readable by whom the log is
    } catch {
      return; // a folder that is gone or a disk that is full: the next time
    }
    truncateSync(this.path);
  }
}
