/**
 * The journal of one replay filter: its fingerprints in a file, so that a node that was restarted neither accepts a
 * replay nor has to change its key. Tags gather in memory and are written by one synchronous write, at the latest when a
 * packet is to leave the node whose tag is among them; the packets' own delay hides it.
 *
 * A record cut short at the end belongs to a write that did not return, so no packet of that batch has left: it is
 * dropped, and those packets may come again. Anything else that is not as written makes the journal invalid, and its
 * key with it.
 * @module
 */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { constantTimeEqual } from '../core/bytes.ts';
import { MixError, systemCode } from '../core/errors.ts';
import { RECORD_BYTES } from './replay-filter.ts';

const MAGIC = Buffer.from('mixsocks-tags-1\n', 'latin1');
/** Names the key that the journal belongs to, so that files cannot be mixed up. */
export const JOURNAL_KEY_ID_BYTES = 16;
const HEADER_BYTES = MAGIC.byteLength + JOURNAL_KEY_ID_BYTES;
/** Tags that may wait for the disk. At the bound the node takes no packets in until a write succeeds. */
export const PENDING_TAGS = 8192;
const READ_CHUNK_BYTES = RECORD_BYTES * 2 ** 17;

export class TagJournal {
  readonly #pending = Buffer.allocUnsafe(PENDING_TAGS * RECORD_BYTES);
  #pendingBytes = 0;

  private constructor(
    readonly path: string,
    readonly fd: number,
    /** Where the next write goes: behind the last whole record. A failed write is overwritten by the next. */
    private endBytes: number,
  ) {}

  /**
   * A new journal. Fails if the file exists. Not forced to the device: after a crash of the system its key is given up
   * anyway, and a clean stop forces it then.
   */
  static create(path: string, keyId: Uint8Array): TagJournal {
    const fd = openSync(path, 'wx', 0o600);
    writeSync(fd, Buffer.concat([MAGIC, keyId]));
    return new TagJournal(path, fd, HEADER_BYTES);
  }

  /**
   * Opens a journal again and gives its records to `load` in pieces. Throws MixError IDENTITY when it is missing or is
   * of another key: then its key must not be used any more.
   */
  static reopen(path: string, keyId: Uint8Array, load: (records: Uint8Array) => void): TagJournal {
    const fd = openExisting(path);
    try {
      const endBytes = readAll(fd, keyId, load);
      ftruncateSync(fd, endBytes);
      return new TagJournal(path, fd, endBytes);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Whether another tag can be taken in. */
  get hasRoom(): boolean {
    return this.#pendingBytes < this.#pending.byteLength;
  }

  get pendingTags(): number {
    return this.#pendingBytes / RECORD_BYTES;
  }

  /** Takes a record in; the caller asked `hasRoom` before. */
  append(record: Uint8Array): void {
    this.#pending.set(record, this.#pendingBytes);
    this.#pendingBytes += RECORD_BYTES;
  }

  /** Writes what is pending; false when the disk refused, and then everything stays pending. */
  flush(): boolean {
    if (this.#pendingBytes === 0) return true;
    try {
      let written = 0;
      while (written < this.#pendingBytes) {
        written += writeSync(this.fd, this.#pending, written, this.#pendingBytes - written, this.endBytes + written);
      }
    } catch {
      return false;
    }
    this.endBytes += this.#pendingBytes;
    this.#pendingBytes = 0;
    return true;
  }

  /** Flushes to the device: after this the journal survives a crash of the system too. */
  sync(): boolean {
    if (!this.flush()) return false;
    try {
      fsyncSync(this.fd);
      return true;
    } catch {
      return false;
    }
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** Deletes the file if it is there. */
export function removeJournal(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}

function openExisting(path: string): number {
  try {
    return openSync(path, 'r+');
  } catch (error) {
    throw new MixError('IDENTITY', `replay journal ${path} cannot be opened`, error);
  }
}

/** Reads header and records; returns the offset behind the last whole record. */
function readAll(fd: number, keyId: Uint8Array, load: (records: Uint8Array) => void): number {
  const header = Buffer.alloc(HEADER_BYTES);
  const whole = readSync(fd, header, 0, HEADER_BYTES, 0) === HEADER_BYTES;
  const own = constantTimeEqual(header.subarray(0, MAGIC.byteLength), MAGIC);
  if (!whole || !own || !constantTimeEqual(header.subarray(MAGIC.byteLength), keyId)) {
    throw new MixError('IDENTITY', 'replay journal is damaged or of another key');
  }
  const records = Math.floor((fstatSync(fd).size - HEADER_BYTES) / RECORD_BYTES);
  const endBytes = HEADER_BYTES + records * RECORD_BYTES;
  const chunk = Buffer.allocUnsafe(READ_CHUNK_BYTES);
  for (let at = HEADER_BYTES; at < endBytes; ) {
    const wanted = Math.min(chunk.byteLength, endBytes - at);
    const read = readSync(fd, chunk, 0, wanted, at);
    if (read !== wanted) throw new MixError('IDENTITY', 'replay journal changed while it was read');
    load(chunk.subarray(0, read));
    at += read;
  }
  return endBytes;
}
