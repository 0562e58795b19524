/**
 * Links: TLS 1.3 between pinned identities, one frame per record.
 * @module
 */
export type { AccessCredential, AccessProof } from './access.ts';
export { tryLink } from './ask.ts';
export { answers, askCountersignature } from './client/answers.ts';
export { ClientLink, type ClientLinkOptions } from './client/client-link.ts';
export { linkKeyExchange } from './config.ts';
export { downlinkFrame } from './framing.ts';
export {
  createIdentity,
  hasIdentity,
  IDENTITY_FILE,
  loadIdentity,
  type NodeIdentity,
  saveIdentity,
} from './identity.ts';
export { type KeyExchange, NO_COMMON_GROUP, sayKeyExchange } from './key-exchange.ts';
export { DEFAULT_LINK_LIMITS } from './limits.ts';
export { type LinkListener, type ListenOptions, listenLinks } from './listen.ts';
export { DialMetrics, LinkMetrics } from './metrics.ts';
export { PeerLinks, type PeerLinksOptions } from './peer-links.ts';
export { MOVED } from './persistent-link.ts';
export { LinkRefusalLog } from './refusal-log.ts';
export { ACCESS_REFUSALS, type AccessRefusal, FULL, isAccessRefusal } from './refusals.ts';
export {
  type AdmitVerdict,
  type ClientInboundLink,
  type ClientLinkStats,
  type ClientTerms,
  type HelloKind,
  type InboundLink,
  isSamePlace,
  type Lane,
  type LaneOptions,
  type LaneStats,
  type LinkKind,
  type LinkState,
  type LinkTarget,
  linkTargetOf,
  type PeerStatus,
  type PeerTarget,
  type SendResult,
} from './types.ts';
