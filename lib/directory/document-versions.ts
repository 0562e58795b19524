/**
 * What documents say of versions, and what programs of later versions may say in documents of this one.
 * @module
 */
import { z } from 'zod';
import { speaks, type VersionRange, versionsText } from '../core/version-range.ts';
import { DocumentRefused, parseJson } from './refusal.ts';

/** Version of the document format, in every document. */
export const DOCUMENT_VERSION = 2;
/** Characters of all extensions of a node in JSON: MAX_NODES of the longest records still fit into a consensus. */
export const MAX_EXTENSIONS_CHARS = 96;

const version = z.int('expected a whole number').min(1).max(65_535);
export const versionRange = z
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

/** Versions of documents that this program reads. */
export const DOCUMENT_VERSIONS: VersionRange = { lowest: DOCUMENT_VERSION, highest: DOCUMENT_VERSION };
/** Of a request for a consensus: the versions that the reader reads, `2` or `2-3`. So a later authority knows whom it can serve. */
export const DOCUMENT_VERSIONS_HEADER = 'mixsocks-documents';

export function versionsField({ lowest, highest }: VersionRange): string {
  return lowest === highest ? `${highest}` : `${lowest}-${highest}`;
}

/** What a reader says that it reads; undefined when that is nothing. */
export function versionsOfField(text: string | undefined): VersionRange | undefined {
  const [, lowest, highest = lowest] = /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(text ?? '') ?? [];
  const range = versionRange.safeParse({ lowest: Number(lowest), highest: Number(highest) });
  return range.success ? range.data : undefined;
}

/** The document in `text`, of a version in `reads` and as `schema` has it; throws DocumentRefused. */
export function parseDocument<T>(
  kind: string,
  schema: z.ZodType<T>,
  text: string,
  maxBytes: number,
  reads: VersionRange = DOCUMENT_VERSIONS,
): T {
  if (Buffer.byteLength(text) > maxBytes) throw new DocumentRefused('oversize', `${kind}: over ${maxBytes} bytes`);
  return parseJson(kind, schema, text, (value) => checkVersion(kind, value, reads));
}

/** Throws DocumentRefused when it has another version. What that changes is unknown; that a document has a version is not. */
export function checkVersion(kind: string, document: unknown, reads: VersionRange = DOCUMENT_VERSIONS): void {
  const version = (document as { version?: unknown } | null)?.version;
  if (!Number.isInteger(version) || speaks(reads, Number(version))) return;
  // Who is refused a descriptor is its node, which may be the newer one.
  const isOurs = Number(version) > reads.highest && kind !== 'descriptor';
  throw new DocumentRefused(
    'version',
    `${kind}: has version ${version}, and this program reads version ${versionsText(reads)}; ${isOurs ? 'update mixsocks' : 'update the older one'}`,
  );
}
