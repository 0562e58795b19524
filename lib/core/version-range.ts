/**
 * The versions of a protocol that one end speaks, and which of them two ends use: the highest that both do. So neighbours of this version
 * and the next one talk while a network is updated, node by node.
 * @module
 */

/** All versions from `lowest` to `highest`. */
export interface VersionRange {
  readonly lowest: number;
  readonly highest: number;
}

/** The highest version in both ranges; undefined when there is none. */
export function commonVersion(ours: VersionRange, theirs: VersionRange): number | undefined {
  const version = Math.min(ours.highest, theirs.highest);
  return version >= Math.max(ours.lowest, theirs.lowest) ? version : undefined;
}

/** Whether `version` is one of them. */
export function speaks({ lowest, highest }: VersionRange, version: number): boolean {
  return version >= lowest && version <= highest;
}

/** As people write it: `2`, or `2 to 3`. */
export function versionsText({ lowest, highest }: VersionRange): string {
  return lowest === highest ? `${highest}` : `${lowest} to ${highest}`;
}
