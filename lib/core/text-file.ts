/**
 * Reads text files: the one place where the files of a folder and those that options name are read. What stands there may be anything:
 * a named pipe would halt the process, a device or a huge file fill its memory. Windows editors put a byte order mark before UTF-8,
 * which is no part of the text (RFC 8259 section 8.1 lets a reader skip it), and some write UTF-16.
 * @module
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { type ErrorCode, MixError, systemCode, systemReason } from './errors.ts';
import { privacyFault } from './private-file.ts';

/** Longest text file that is read where nothing else is said, in bytes. */
export const MAX_TEXT_BYTES = 4 * 1024 * 1024;

/** Opening a named pipe must not wait for whoever writes to it. Windows has neither. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

export interface TextFileTerms {
  /** Of the errors about what the file is. */
  readonly code?: ErrorCode;
  readonly maxBytes?: number;
  /** Whether others than its owner must not be able to read it. */
  readonly isPrivate?: boolean;
}

/** The UTF-8 text of `bytes` without a byte order mark. `name` stands in the message. Throws MixError of kind `code`. */
export function decodeText(bytes: Uint8Array, name: string, code: ErrorCode = 'CONFIG'): string {
  const fault = encodingFault(bytes);
  if (fault !== undefined) throw new MixError(code, `${name} ${fault}; save it as UTF-8`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes); // skips a byte order mark
  } catch (error) {
    throw new MixError(code, `${name} is not UTF-8 text; save it as UTF-8`, error);
  }
}

/**
 * Reads a text file at once. System errors pass as they are; throws MixError of kind `code` where it is no regular file, too long, open
 * to others or not UTF-8 text.
 */
export function readTextFile(path: string, terms: TextFileTerms = {}): string {
  const file = openSync(path, FLAGS);
  try {
    requireReadable(path, fstatSync(file), terms);
    return decodeText(readFileSync(file), path, terms.code);
  } finally {
    closeSync(file);
  }
}

/** Reads a text file as `readTextFile` does, without halting the process meanwhile. */
export async function loadTextFile(path: string, terms: TextFileTerms = {}): Promise<string> {
  const file = await open(path, FLAGS);
  try {
    requireReadable(path, await file.stat(), terms);
    return decodeText(await file.readFile(), path, terms.code);
  } finally {
    await file.close();
  }
}

/** The same; undefined where there is no such file. What the system refuses is an error of kind `code` too, which names the file. */
export async function loadTextIfThere(path: string, terms: TextFileTerms = {}): Promise<string | undefined> {
  try {
    return await loadTextFile(path, terms);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    if (error instanceof MixError) throw error;
    throw new MixError(terms.code ?? 'CONFIG', `${path} cannot be read (${systemReason(error)})`, error);
  }
}

function requireReadable(path: string, stats: Stats, terms: TextFileTerms): void {
  const { code = 'CONFIG', maxBytes = MAX_TEXT_BYTES, isPrivate = false } = terms;
  const refuse = (fault: string) => {
    throw new MixError(code, fault);
  };
  if (!stats.isFile()) refuse(`${path} is ${kindOf(stats)}, not a file`);
  if (stats.size > maxBytes) refuse(`${path} has ${stats.size} bytes; it can have at most ${maxBytes}`);
  const fault = isPrivate ? privacyFault(path, stats) : undefined;
  if (fault !== undefined) refuse(fault);
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder';
  return stats.isFIFO() ? 'a pipe' : 'a device';
}

function encodingFault(bytes: Uint8Array): string | undefined {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) return 'is UTF-16';
  const nul = bytes.indexOf(0);
  if (nul < 0) return undefined;
  // Without a mark, text in UTF-16 shows by a NUL in every other byte.
  return nul <= 1 && bytes.byteLength % 2 === 0 && bytes.indexOf(0, nul + 2) === nul + 2
    ? 'looks like UTF-16'
    : `has a NUL byte at offset ${nul}`;
}
