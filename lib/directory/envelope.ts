/**
 * The envelope of a signed document: the payload travels as a string, and the signatures are over exactly its bytes, so
 * that nobody has to agree on a canonical JSON. Each type of document is signed under its own prefix: a signature under
 * one can not be passed off as one under another.
 * @module
 */
import { z } from 'zod';
import { identityHex } from '../config/fields.ts';
import { concatBytes, fromHex, type IdentityHex, identityHexOf, toHex } from '../core/bytes.ts';
import type { Crypto } from '../crypto/index.ts';
import { DocumentRefused, parseJson } from './refusal.ts';

export type DocumentType = 'descriptor' | 'consensus' | 'vote' | 'result' | 'join' | 'client';

export interface Signature {
  readonly signer: IdentityHex;
  /** Ed25519 over `mixsocks/<type>/v1\0` and the payload, 128 hex digits. */
  readonly signature: string;
}

export interface Envelope {
  readonly payload: string;
  readonly signatures: readonly Signature[];
}

/** Signatures in one envelope. */
export const MAX_SIGNATURES = 64;
/** Of one signer, those that are verified: a false one costs as much time as a true one, a tenth of a second where the payload is long. */
export const MAX_TRIES_PER_SIGNER = 2;
/** What escaping and signatures may add to a payload in an envelope. */
const ENVELOPE_OVERHEAD_BYTES = 32 * 1024;

export const signatureHex = z.string().regex(/^[0-9a-f]{128}$/, 'expected 128 lower-case hex digits');
export const signatures = z
  .array(z.strictObject({ signer: identityHex, signature: signatureHex }))
  .max(MAX_SIGNATURES, `expected at most ${MAX_SIGNATURES} signatures`);
const envelope = z.strictObject({ payload: z.string(), signatures });

/** Bytes an envelope may take whose payload may take `payloadBytes`: JSON in JSON escapes its quotes. */
export function envelopeBytes(payloadBytes: number): number {
  return 2 * payloadBytes + ENVELOPE_OVERHEAD_BYTES;
}

/** The bytes that are signed. */
export function signedBytes(type: DocumentType, payload: string): Uint8Array {
  return concatBytes(Buffer.from(`mixsocks/${type}/v1\0`, 'latin1'), Buffer.from(payload, 'utf8'));
}

export function sign(
  type: DocumentType,
  payload: string,
  seed: Uint8Array,
  crypto: Pick<Crypto, 'ed25519PublicKey' | 'ed25519Sign'>,
): Signature {
  return {
    signer: identityHexOf(crypto.ed25519PublicKey(seed)),
    signature: toHex(crypto.ed25519Sign(seed, signedBytes(type, payload))),
  };
}

export function encodeEnvelope({ payload, signatures }: Envelope): string {
  return JSON.stringify({
    payload,
    signatures: signatures.map(({ signer, signature }) => ({ signer, signature })),
  });
}

/** Reads an envelope without checking a signature; throws DocumentRefused. */
export function parseEnvelope(kind: string, text: string, maxPayloadBytes: number): Envelope {
  const maxBytes = envelopeBytes(maxPayloadBytes);
  if (text.length > maxBytes) throw new DocumentRefused('oversize', `${kind}: over ${maxBytes} bytes`);
  const parsed = parseJson(kind, envelope, text);
  const { payload } = parsed;
  // An unpaired surrogate has no bytes of its own: what is signed would not be what is read.
  if (Buffer.from(payload, 'utf8').toString('utf8') !== payload) {
    throw new DocumentRefused('malformed', `${kind}: payload: is not well-formed text`);
  }
  return parsed;
}

/**
 * The distinct signers of `allowed` whose signature is valid. Signers not allowed, repeated ones and bad signatures do
 * not count; nor does one of them spoil the others, or anyone could void a document by adding a line to it.
 */
export function validSigners(
  type: DocumentType,
  { payload, signatures }: Envelope,
  allowed: ReadonlySet<IdentityHex>,
  crypto: Pick<Crypto, 'ed25519Verify'>,
): Set<IdentityHex> {
  const bytes = signedBytes(type, payload);
  const valid = new Set<IdentityHex>();
  const tries = new Map<IdentityHex, number>();
  for (const { signer, signature } of signatures) {
    const tried = tries.get(signer) ?? 0;
    if (!allowed.has(signer) || valid.has(signer) || tried >= MAX_TRIES_PER_SIGNER) continue;
    tries.set(signer, tried + 1);
    const key = fromHex(signer, 32);
    const raw = fromHex(signature, 64);
    if (key !== undefined && raw !== undefined && crypto.ed25519Verify(key, bytes, raw)) valid.add(signer);
  }
  return valid;
}

/** The valid signatures of `allowed`, of each signer the first one alone, without those of signers that are `known`. */
export function validSignatures(
  type: DocumentType,
  { payload, signatures }: Envelope,
  allowed: ReadonlySet<IdentityHex>,
  crypto: Pick<Crypto, 'ed25519Verify'>,
  known: ReadonlyMap<IdentityHex, Signature> = new Map(),
): Map<IdentityHex, Signature> {
  const found = new Map<IdentityHex, Signature>();
  const tried = new Set(known.keys());
  for (const signature of signatures) {
    const { signer } = signature;
    if (tried.has(signer)) continue;
    tried.add(signer);
    const valid = validSigners(type, { payload, signatures: [signature] }, allowed, crypto);
    if (valid.has(signer)) found.set(signer, signature);
  }
  return found;
}
