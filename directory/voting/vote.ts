/**
 * The documents of a vote. A *vote* is short and signed: it names a *ballot* by its SHA-256. The ballot says which descriptors its
 * authority would list, and with which parameters. So signatures on a vote can be checked before its ballot has been fetched.
 * @module
 */
import { z } from 'zod';
import { identityHex } from '../../lib/config/fields.ts';
import { type IdentityHex, prefixOf } from '../../lib/core/bytes.ts';
import type { NetworkParams } from '../../lib/core/params.ts';
import { parseDocument } from '../../lib/directory/document-versions.ts';
import { epochField, hex32 } from '../../lib/directory/documents.ts';
import { encodeEnvelope, type Signature } from '../../lib/directory/envelope.ts';
import { DOCUMENT_VERSION, DocumentRefused, MAX_NODES, versionRange } from '../../lib/directory/index.ts';
import { networkParams } from '../../lib/directory/network-params.ts';

/** Bytes of a vote's payload. */
export const MAX_VOTE_BYTES = 1024;
/** Bytes of a ballot: MAX_NODES lines, and parameters. */
export const MAX_BALLOT_BYTES = 1024 * 1024;
/** Votings of one epoch. */
export const MAX_ATTEMPT = 1_000_000;

const version = z.literal(DOCUMENT_VERSION, `expected document version ${DOCUMENT_VERSION}`);

const vote = z.strictObject({
  version,
  network: hex32,
  epoch: epochField,
  attempt: z.int().min(0).max(MAX_ATTEMPT),
  authority: identityHex,
  ballot: hex32,
});

const ballot = z.strictObject({
  version,
  /** Those of the consensus that its authority can make; without it the version of the ballot alone. */
  consensusVersions: versionRange.exactOptional(),
  params: networkParams,
  previous: z.strictObject({ epoch: epochField, digest: hex32 }).exactOptional(),
  nodes: z
    .array(z.tuple([identityHex, hex32]))
    .max(MAX_NODES)
    .refine(
      (nodes) => nodes.every(([id], i) => i === 0 || prefixOf(id) > prefixOf(nodes[i - 1]?.[0] ?? id)),
      'expected nodes by identity, in ascending order, no two with the same first 8 bytes',
    ),
});

/** The payload of a vote. */
export type Vote = z.infer<typeof vote>;
/** A consensus that another one follows. */
export type Previous = NonNullable<z.infer<typeof ballot>['previous']>;
/** What a vote is for. */
export type Ballot = Omit<z.infer<typeof ballot>, 'params'> & { readonly params: NetworkParams };

/** The vote in `payload`; throws DocumentRefused. */
export function parseVote(payload: string): Vote {
  return parseDocument('vote', vote, payload, MAX_VOTE_BYTES);
}

/** The ballot in `text`; throws DocumentRefused. */
export function parseBallot(text: string): Ballot {
  return parseDocument('ballot', ballot, text, MAX_BALLOT_BYTES);
}

/** What `read` gives; undefined when it refuses the document. */
export function unlessRefused<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof DocumentRefused) return undefined;
    throw error;
  }
}

/** What was signed, and by whom. */
export interface Signed {
  readonly payload: string;
  readonly signatures: ReadonlyMap<IdentityHex, Signature>;
}

/** Two envelopes that one authority must not both have signed. */
export interface TwoSigned {
  readonly authority: IdentityHex;
  readonly envelopes: readonly [string, string];
}

export function envelopeOf({ payload, signatures }: Signed): string {
  return encodeEnvelope({ payload, signatures: [...signatures.values()] });
}
