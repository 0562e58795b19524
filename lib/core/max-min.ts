/**
 * Max-min sharing (Bertsekas and Gallager, Data Networks, section 6.5.2).
 * @module
 */

/**
 * Divides `capacity`: nobody gets more than he wants, and who gets less gets as much as anybody, in proportion to `weights`
 * (above 0; all 1 by default). All of `capacity` is given while somebody wants it.
 */
export function maxMin(wanted: readonly number[], capacity: number, weights?: readonly number[]): number[] {
  const weightOf = (i: number) => weights?.[i] ?? 1;
  const levels = wanted.map((want, i) => want / weightOf(i));
  const ascending = [...wanted.keys()].sort((a, b) => (levels[a] as number) - (levels[b] as number));
  let left = capacity;
  let weight = ascending.reduce((sum, i) => sum + weightOf(i), 0);
  for (const i of ascending) {
    const level = left / weight;
    if ((levels[i] as number) > level) return wanted.map((want, i) => Math.min(want, level * weightOf(i)));
    left -= wanted[i] as number;
    weight -= weightOf(i);
  }
  return [...wanted];
}
