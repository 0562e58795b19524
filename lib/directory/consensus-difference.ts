/**
 * A consensus as its difference from an earlier one (docs/PROTOCOL.md section 4.5). Pure. It carries no trust: what it makes is
 * verified like a consensus that came whole.
 *
 *     SHA-256 of the earlier payload 32 | SHA-256 of this payload 32 | its bytes 4 | signatures 1 | (signer 32 | signature 64)* | edits
 *     edit: varint 4n + kind, with n > 0
 *           kind 0: varint o: n bytes from o of the earlier payload with what has been made behind it
 *           kind 1: n bytes, as they are
 *           kind 2: n bytes, each as two hex digits
 * @module
 */
import { ByteReader, identityHexOf, toHex, varintBytes, writeVarint } from '../core/bytes.ts';
import type { Crypto } from '../crypto/index.ts';
import { MAX_CONSENSUS_BYTES } from './documents.ts';
import { type Envelope, encodeEnvelope, MAX_SIGNATURES, parseEnvelope } from './envelope.ts';
import { DocumentRefused } from './refusal.ts';
import { editsBetween, type TextEdit } from './text-edits.ts';
import type { VerifiedConsensus } from './verify.ts';

/** What a client names in `A-IM` to get differences, and an authority in `IM` (RFC 3229). */
export const DIFFERENCE_NAME = 'mixsocks-difference';
/** Bytes of a difference; nobody makes one that is longer than half of the whole. */
export const MAX_DIFFERENCE_BYTES = MAX_CONSENSUS_BYTES;

const COPY = 0;
const TEXT = 1;
const HEX = 2;
/** A run of hex digits that is shorter is left in the text around it. */
const MIN_HEX_DIGITS = 32;

/** A consensus that a difference can start from, or lead to. */
export type DifferenceEnd = Pick<VerifiedConsensus, 'text' | 'digest'>;

/** The difference that makes `target` of `base`. */
export function consensusDifference(base: DifferenceEnd, target: DifferenceEnd): Buffer {
  const earlier = payloadOf(base);
  const { payload, signatures } = envelopeOf(target);
  const bytes = Buffer.from(payload, 'utf8');
  const length = Buffer.alloc(5);
  length.writeUInt32BE(bytes.length);
  length[4] = signatures.length;
  const signed = signatures.map((one) => Buffer.from(one.signer + one.signature, 'hex'));
  const edits = editsBetween(earlier.toString('latin1'), bytes.toString('latin1')).flatMap(encoded);
  return Buffer.concat([Buffer.from(base.digest + target.digest, 'hex'), length, ...signed, ...edits]);
}

/** The envelope that `difference` makes of `base`; throws DocumentRefused. Whether its signatures hold is still to be seen. */
export function applyDifference(difference: Uint8Array, base: DifferenceEnd, crypto: Pick<Crypto, 'sha256'>): string {
  if (difference.byteLength > MAX_DIFFERENCE_BYTES) {
    throw new DocumentRefused('oversize', `difference: over ${MAX_DIFFERENCE_BYTES} bytes`);
  }
  const reader = new ByteReader(difference);
  if (toHex(reader.take(32)) !== base.digest) throw malformed('is not from the consensus that was named');
  const digest = toHex(reader.take(32));
  const length = reader.u16() * 0x1_0000 + reader.u16();
  if (length > MAX_CONSENSUS_BYTES)
    throw new DocumentRefused('oversize', `difference: makes over ${MAX_CONSENSUS_BYTES} bytes`);
  const signatures = readSignatures(reader);
  const bytes = edited(reader, payloadOf(base), length);
  if (toHex(crypto.sha256(bytes)) !== digest) throw malformed('makes something else than it says');
  return encodeEnvelope({ payload: Buffer.from(bytes).toString('utf8'), signatures });
}

function readSignatures(reader: ByteReader): Envelope['signatures'] {
  const count = reader.u8();
  if (count > MAX_SIGNATURES) throw malformed(`has over ${MAX_SIGNATURES} signatures`);
  const signatures = Array.from({ length: count }, () => ({
    signer: identityHexOf(reader.take(32)),
    signature: toHex(reader.take(64)),
  }));
  if (reader.failed) throw malformed('is too short');
  return signatures;
}

/** Makes `length` bytes. Every edit adds some, so that the work is bounded by them. */
function edited(reader: ByteReader, base: Buffer, length: number): Buffer {
  const all = Buffer.alloc(base.length + length);
  base.copy(all);
  let end = base.length;
  while (reader.left > 0) {
    const head = reader.varint();
    const count = Math.floor(head / 4);
    const kind = head % 4;
    const from = kind === COPY ? reader.varint() : 0;
    const given = kind === TEXT || kind === HEX ? reader.take(count) : undefined;
    const grows = kind === HEX ? 2 * count : count;
    if (reader.failed || kind > HEX || count === 0) throw malformed('has an edit that is none');
    if (end + grows > all.length) throw malformed('makes more than it says');
    if (given === undefined) {
      if (from + count > end) throw malformed('copies what is not there');
      all.copyWithin(end, from, from + count);
    } else all.set(kind === HEX ? Buffer.from(toHex(given), 'latin1') : given, end);
    end += grows;
  }
  if (end < all.length) throw malformed('makes less than it says');
  return all.subarray(base.length);
}

/** The bytes of an edit; of a text, runs of hex digits by themselves. */
function encoded(edit: TextEdit): Uint8Array[] {
  if (!('text' in edit)) return [varint(4 * edit.length + COPY), varint(edit.from)];
  return edit.text.split(HEX_RUNS).flatMap((part, i) => {
    if (part === '') return [];
    const isHex = i % 2 === 1;
    const bytes = Buffer.from(part, isHex ? 'hex' : 'latin1');
    return [varint(4 * bytes.length + (isHex ? HEX : TEXT)), bytes];
  });
}

const HEX_RUNS = new RegExp(`((?:[0-9a-f]{2}){${MIN_HEX_DIGITS / 2},})`);

function varint(value: number): Uint8Array {
  const bytes = new Uint8Array(varintBytes(value));
  writeVarint(bytes, 0, value);
  return bytes;
}

function envelopeOf({ text }: DifferenceEnd): Envelope {
  return parseEnvelope('consensus', text, MAX_CONSENSUS_BYTES);
}

function payloadOf(end: DifferenceEnd): Buffer {
  return Buffer.from(envelopeOf(end).payload, 'utf8');
}

function malformed(what: string): DocumentRefused {
  return new DocumentRefused('malformed', `difference: ${what}`);
}
