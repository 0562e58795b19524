/**
 * JSON in one form only (RFC 8785): no spaces, keys in ascending order, numbers as ECMAScript writes them. Authorities that agree on the
 * contents of a document so agree on its bytes.
 * @module
 */

/** A value of JSON as its canonical text; members that are undefined are left out. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`;
}
