/**
 * Links: TLS 1.3 between pinned identities, one frame per record.
 * @module
 */
export { ClientLink, type ClientLinkOptions } from './client-link.ts';
export {
  createIdentity,
  hasIdentity,
  IDENTITY_FILE,
  loadIdentity,
  type NodeIdentity,
  saveIdentity,
} from './identity.ts';
export { DEFAULT_LINK_LIMITS } from './limits.ts';
export { type LinkListener, type ListenOptions, listenLinks } from './listen.ts';
export { LinkMetrics } from './metrics.ts';
export { PeerLinks, type PeerLinksOptions } from './peer-links.ts';
export type {
  ClientInboundLink,
  ClientLinkStats,
  InboundLink,
  Lane,
  LaneOptions,
  LaneStats,
  LatenessSnapshot,
  LinkKind,
  LinkLimits,
  LinkState,
  LinkTarget,
  NodeInboundLink,
  PeerStatus,
  PeerTarget,
  SendOutcome,
} from './types.ts';
