/**
 * What an authority would sign, as it shows it to the others before it signs: the digest of the document that its counted votes came to,
 * with a signature under a prefix of its own. So nobody on the way between two authorities can make one of them believe that the others
 * agree, and use up its epoch. Good for one voting only. Pure.
 * @module
 */
import type { IdentityHex } from '../../lib/core/bytes.ts';
import type { Crypto } from '../../lib/crypto/index.ts';
import { sign, validSigners } from '../../lib/directory/envelope.ts';
import { DOCUMENT_VERSION } from '../../lib/directory/index.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Slot } from './schedule.ts';

/** The digest of a document (hex), and the signature of whoever shows it (hex). */
export interface ShownResult {
  readonly digest: string;
  readonly signature: string;
}

/** The voting that a result is of. */
export type ResultOf = Pick<Slot, 'epoch' | 'attempt'> & { readonly network: string };

/** The result `digest` with the signature of `seed`. */
export function signResult(of: ResultOf, digest: string, seed: Uint8Array, crypto: Crypto): ShownResult {
  return { digest, signature: sign('result', payloadOf(of, digest), seed, crypto).signature };
}

/** Whether the authority `from` has signed this result of this voting. */
export function isResultOf(
  of: ResultOf,
  from: IdentityHex,
  { digest, signature }: ShownResult,
  crypto: Crypto,
): boolean {
  const envelope = { payload: payloadOf(of, digest), signatures: [{ signer: from, signature }] };
  return validSigners('result', envelope, new Set([from]), crypto).has(from);
}

function payloadOf({ network, epoch, attempt }: ResultOf, digest: string): string {
  return canonicalJson({ version: DOCUMENT_VERSION, network, epoch, attempt, digest });
}
