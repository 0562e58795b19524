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
  /** More has come over the link than its share of what the node accepts. */
  | 'over-share'
  /** It has waited too long to be unwrapped: more comes than the machine carries. */
  | 'overload'
  /** The pool is full. */
  | 'pool-full'
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
  /** More waits for a client than its clock delivers in half a second. */
  | 'delivery-full'
  | 'mailbox-full'
  | 'mailbox-expired'
  /** What waited for a client had to go for others: the memory of the process is in use. */
  | 'memory';

export const NODE_DROPS: readonly NodeDrop[] = [
  'over-share',
  'overload',
  'length',
  'point',
  'mac',
  'version',
  'routing',
  'replay',
  'replay-full',
  'journal',
  'no-key',
  'pool-full',
  'next-hop',
  'not-an-endpoint',
  'loop-altered',
  'link-down',
  'link-queue-full',
  'unknown-client',
  'rate-limit',
  'delivery-full',
  'mailbox-full',
  'mailbox-expired',
  'memory',
];
