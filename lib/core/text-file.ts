/**
 * Text files that people and their editors write. Windows editors put a byte order mark before UTF-8, which is no part of
 * the text (RFC 8259 section 8.1 lets a reader skip it), and some write UTF-16.
 * @module
 */
import { readFileSync } from 'node:fs';
import { type ErrorCode, MixError } from './errors.ts';

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

/** Reads a text file. System errors pass as they are; throws MixError of kind `code` where it is not UTF-8 text. */
export function readTextFile(path: string, code: ErrorCode = 'CONFIG'): string {
  return decodeText(readFileSync(path), path, code);
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
