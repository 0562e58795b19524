/**
 * Why a packet was dropped, as metrics label it. None of these ever depends on what a packet carries.
 * @module
 */
import type { DropReason as SphinxDropReason } from '../sphinx/index.ts';
import type { ReplayOutcome } from './replay-guard.ts';

/** What the pipeline refuses: bad bytes (from Sphinx), replays, no key for the time, a packet that ends where none may. */
export type PipelineDrop = SphinxDropReason | Exclude<ReplayOutcome, 'fresh'> | 'no-key';

export type NodeDrop =
  | PipelineDrop
  /** The pool is full. */
  | 'queue-full'
  /** The header names a next hop that this node may not send to. */
  | 'next-hop'
  /** A packet that ends at a node where none may end. */
  | 'not-an-endpoint'
  /** An own loop that came back altered. */
  | 'loop-altered'
  | 'link-down'
  | 'link-queue-full'
  /** A gateway's next hop is no client that is or was lately connected. */
  | 'unknown-client'
  | 'rate-limit'
  | 'mailbox-full'
  | 'mailbox-expired';

export const NODE_DROPS: readonly NodeDrop[] = [
  'length',
  'point',
  'mac',
  'version',
  'routing',
  'replay',
  'replay-full',
  'journal',
  'no-key',
  'queue-full',
  'next-hop',
  'not-an-endpoint',
  'loop-altered',
  'link-down',
  'link-queue-full',
  'unknown-client',
  'rate-limit',
  'mailbox-full',
  'mailbox-expired',
];
