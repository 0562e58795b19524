/**
 * The Sphinx packet format of `sphinx-packet` (docs/PROTOCOL.md section 2): pure functions over bytes.
 * @module
 */

export { leastMs, type SphinxCostOptions, unwrapMs, unwrapTimer } from './cost.ts';
export { unpad } from './payload.ts';
export { unlessBadKey } from './route-keys.ts';
export { gammaKeyOf, Sphinx } from './sphinx.ts';
export { compactSurb, expandSurb, surbPrefix } from './surb.ts';
export type {
  DropReason,
  Final,
  Forward,
  GammaKey,
  OpenedHeader,
  Recovery,
  SphinxHop,
  SphinxVersion,
} from './types.ts';
