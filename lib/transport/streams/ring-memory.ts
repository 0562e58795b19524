/**
 * Memory for byte rings, used again as soon as it is given back: what the collector of garbage has not found yet would else come
 * on top of the memory budget, as much again as is in use.
 * @module
 */

/** Given back, by size; sizes are powers of two. */
const free = new Map<number, Uint8Array[]>();
/** Kept for use again at most, in all. */
export const MAX_FREE_BYTES = 16 * 1024 * 1024;
let freeBytes = 0;

/** A piece of `bytes`, a power of two; its content means nothing. */
export function takeRing(bytes: number): Uint8Array {
  const piece = free.get(bytes)?.pop();
  if (piece === undefined) return new Uint8Array(bytes);
  freeBytes -= bytes;
  return piece;
}

/** Gives a piece back, to which nobody refers any more. Its bytes are erased: they are somebody's. */
export function giveRing(piece: Uint8Array): void {
  const bytes = piece.byteLength;
  if (bytes === 0 || freeBytes + bytes > MAX_FREE_BYTES) return;
  piece.fill(0);
  freeBytes += bytes;
  const pieces = free.get(bytes);
  if (pieces === undefined) free.set(bytes, [piece]);
  else pieces.push(piece);
}
