/**
 * What an authority shows the others of its voting for an epoch: the votes that it has accepted, what it would sign, and the signatures
 * it has. Not signed itself: all in it that decides anything is, since whoever is on the way between two authorities may write another one.
 * @module
 */
import { z } from 'zod';
import { identityHex } from '../../lib/config/fields.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { epochNumber } from '../../lib/core/units.ts';
import { MAX_SIGNATURES, type Signature } from '../../lib/directory/envelope.ts';
import { checkVersion, DOCUMENT_VERSION, DocumentRefused } from '../../lib/directory/index.ts';
import { MAX_AUTHORITIES } from '../../lib/directory/network-file.ts';
import { firstProblem } from '../../lib/directory/refusal.ts';
import { MAX_ATTEMPT } from './vote.ts';
import { MAX_VOTES_PER_AUTHOR } from './vote-box.ts';

/** Votes in a sheet. */
const MAX_VOTES = MAX_VOTES_PER_AUTHOR * MAX_AUTHORITIES;
/** Of one vote or document with its signatures, as text. */
const ENTRY_BYTES = 2048;
const SIGNATURE_BYTES = 256;

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const signatureHex = z.string().regex(/^[0-9a-f]{128}$/);
const signature = z.strictObject({ signer: identityHex, signature: signatureHex });

const sheet = z.strictObject({
  version: z.literal(DOCUMENT_VERSION),
  network: hash,
  epoch: z.int().min(0).transform(epochNumber),
  attempt: z.int().min(0).max(MAX_ATTEMPT),
  votes: z.array(z.unknown()).max(MAX_VOTES),
  result: z.strictObject({ digest: hash, signature: signatureHex }).exactOptional(),
  documents: z
    .array(z.strictObject({ digest: hash, signatures: z.array(signature).max(MAX_SIGNATURES) }))
    .max(MAX_AUTHORITIES),
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
  const value = jsonOf(text);
  checkVersion('sheet', value);
  const parsed = sheet.safeParse(value);
  if (!parsed.success) throw new DocumentRefused('malformed', `sheet: ${firstProblem(parsed.error)}`);
  return { ...parsed.data, votes: parsed.data.votes.map((vote) => JSON.stringify(vote)) };
}

/** Who has signed, by what the sheet claims. */
export function claimedSigners(signatures: readonly Signature[]): IdentityHex[] {
  return signatures.map(({ signer }) => signer);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
