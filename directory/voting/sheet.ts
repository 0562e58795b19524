/**
 * What an authority shows the others of its voting for an epoch: the votes that it has accepted, what it would sign, and the signatures
 * it has. Not signed itself: all in it that decides anything is, since whoever is on the way between two authorities may write another one.
 * @module
 */
import { z } from 'zod';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { parseDocument } from '../../lib/directory/document-versions.ts';
import { epochField, hex32 } from '../../lib/directory/documents.ts';
import { type Signature, signatureHex, signatures } from '../../lib/directory/envelope.ts';
import { DOCUMENT_VERSION } from '../../lib/directory/index.ts';
import { MAX_AUTHORITIES } from '../../lib/directory/network-file.ts';
import { MAX_ATTEMPT } from './vote.ts';
import { MAX_VOTES_PER_AUTHOR } from './vote-box.ts';

/** Votes in a sheet. */
const MAX_VOTES = MAX_VOTES_PER_AUTHOR * MAX_AUTHORITIES;
/** Of one vote or document with its signatures, as text. */
const ENTRY_BYTES = 2048;
const SIGNATURE_BYTES = 256;

const sheet = z.strictObject({
  version: z.literal(DOCUMENT_VERSION),
  network: hex32,
  epoch: epochField,
  attempt: z.int().min(0).max(MAX_ATTEMPT),
  votes: z.array(z.unknown()).max(MAX_VOTES),
  result: z.strictObject({ digest: hex32, signature: signatureHex }).exactOptional(),
  documents: z.array(z.strictObject({ digest: hex32, signatures })).max(MAX_AUTHORITIES),
});

export interface Sheet extends Omit<z.infer<typeof sheet>, 'votes' | 'documents'> {
  /** Envelopes. */
  readonly votes: readonly string[];
  readonly documents: readonly { readonly digest: string; readonly signatures: readonly Signature[] }[];
}

/** Bytes of a sheet in a network of so many authorities. */
export function maxSheetBytes(authorities: number): number {
  const entries = (MAX_VOTES_PER_AUTHOR + 1) * authorities;
  return ENTRY_BYTES + entries * (ENTRY_BYTES + authorities * SIGNATURE_BYTES);
}

export function sheetText({ votes, ...rest }: Sheet): string {
  const { documents, ...head } = rest;
  const open = JSON.stringify(head).slice(0, -1);
  return `${open},"documents":${JSON.stringify(documents)},"votes":[${votes.join(',')}]}`;
}

/** Reads a sheet; throws DocumentRefused. */
export function parseSheet(text: string): Sheet {
  const parsed = parseDocument('sheet', sheet, text, maxSheetBytes(MAX_AUTHORITIES));
  return { ...parsed, votes: parsed.votes.map((vote) => JSON.stringify(vote)) };
}

/** Who has signed, by what the sheet claims. */
export function claimedSigners(signatures: readonly Signature[]): IdentityHex[] {
  return signatures.map(({ signer }) => signer);
}
