/**
 * The bounds of links (docs/LIMITS.md).
 * @module
 */
import type { LinkLimits } from './types.ts';

export const DEFAULT_LINK_LIMITS: LinkLimits = {
  maxConnections: 4096,
  maxPendingHandshakes: 256,
  maxConnectionsPerSource: 128,
  reservedConnections: 64,
  handshakeTimeoutMs: 10_000,
  queueFrames: 1024,
  stallTimeoutMs: 10_000,
};
