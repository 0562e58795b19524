/**
 * What documents say of versions, and what programs of later versions may say in documents of this one.
 * @module
 */
import { z } from 'zod';
import type { VersionRange } from '../core/version-range.ts';
import { DocumentRefused } from './refusal.ts';

/** Version of the document format, in every document. */
export const DOCUMENT_VERSION = 2;
/** Characters of all extensions of a node in JSON: MAX_NODES of the longest records still fit into a consensus. */
export const MAX_EXTENSIONS_CHARS = 96;

const version = z.int('expected a whole number').min(1).max(65_535);
const versionRange = z
  .strictObject({ lowest: version, highest: version })
  .refine(({ lowest, highest }: VersionRange) => lowest <= highest, 'expected a highest version not below the lowest');

/** Of requesters: which versions of sessions they speak. */
export const offeredSessions = { sessionVersions: versionRange.exactOptional() };

/** Of all nodes. Who does not know a name passes it over; authorities list all as they are. */
export const withExtensions = {
  extensions: z
    .record(
      z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,31}$/, 'expected names of 1 to 32 letters and digits'),
      z.union([z.int(), z.boolean(), z.string().regex(/^[ !#-[\]-~]*$/, 'expected printable ASCII')]),
    )
    .refine((all) => Object.keys(all).length > 0, 'expected at least one')
    .refine(
      (all) => JSON.stringify(all).length <= MAX_EXTENSIONS_CHARS,
      `expected at most ${MAX_EXTENSIONS_CHARS} characters of JSON`,
    )
    .exactOptional(),
};

/** Throws DocumentRefused when it has another version. What that changes is unknown; that a document has a version is not. */
export function checkVersion(kind: string, document: unknown): void {
  const version = (document as { version?: unknown } | null)?.version;
  if (!Number.isInteger(version) || version === DOCUMENT_VERSION) return;
  throw new DocumentRefused(
    'version',
    `${kind}: has version ${version}, and this program reads version ${DOCUMENT_VERSION}; update the older one`,
  );
}
