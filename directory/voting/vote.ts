/**
 * The documents of a vote. A *vote* is short and signed: it names a *ballot* by its SHA-256. The ballot says which descriptors its
 * authority would list, and with which parameters. So signatures on a vote can be checked before its ballot has been fetched.
 * @module
 */
import { z } from 'zod';
import { identityHex } from '../../lib/config/fields.ts';
import type { NetworkParams } from '../../lib/core/params.ts';
import { epochNumber } from '../../lib/core/units.ts';
import { checkVersion, DOCUMENT_VERSION, DocumentRefused, MAX_NODES, versionRange } from '../../lib/directory/index.ts';
import { networkParams } from '../../lib/directory/network-params.ts';
import { firstProblem } from '../../lib/directory/refusal.ts';

/** Bytes of a vote's payload. */
export const MAX_VOTE_BYTES = 1024;
/** Bytes of a ballot: MAX_NODES lines, and parameters. */
export const MAX_BALLOT_BYTES = 1024 * 1024;
/** Votings of one epoch. */
export const MAX_ATTEMPT = 1_000_000;

/** Hex digits of an identity that are unique in a network. */
const PREFIX_DIGITS = 16;

const hash = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits');
const epochField = z
  .int()
  .min(0)
  .max(2 ** 40)
  .transform(epochNumber);
const version = z.literal(DOCUMENT_VERSION, `expected document version ${DOCUMENT_VERSION}`);

const vote = z.strictObject({
  version,
  network: hash,
  epoch: epochField,
  attempt: z.int().min(0).max(MAX_ATTEMPT),
  authority: identityHex,
  ballot: hash,
});

const ballot = z.strictObject({
  version,
  /** Those of the consensus that its authority can make; without it the version of the ballot alone. */
  consensusVersions: versionRange.exactOptional(),
  params: networkParams,
  previous: z.strictObject({ epoch: epochField, digest: hash }).exactOptional(),
  nodes: z
    .array(z.tuple([identityHex, hash]))
    .max(MAX_NODES)
    .refine(
      (nodes) => nodes.every(([id], i) => i === 0 || prefixOf(id) > prefixOf(nodes[i - 1]?.[0] ?? '')),
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
  return parse('vote', vote, payload, MAX_VOTE_BYTES);
}

/** The ballot in `text`; throws DocumentRefused. */
export function parseBallot(text: string): Ballot {
  return parse('ballot', ballot, text, MAX_BALLOT_BYTES);
}

function parse<T>(kind: string, schema: z.ZodType<T>, text: string, maxBytes: number): T {
  if (Buffer.byteLength(text) > maxBytes) throw new DocumentRefused('oversize', `${kind}: over ${maxBytes} bytes`);
  const value = jsonOf(text);
  checkVersion(kind, value);
  const result = schema.safeParse(value);
  if (!result.success) throw new DocumentRefused('malformed', `${kind}: ${firstProblem(result.error)}`);
  return result.data;
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

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function prefixOf(identity: string): string {
  return identity.slice(0, PREFIX_DIGITS);
}
