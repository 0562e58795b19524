/**
 * A client's own reply blocks (SURBs) that are outstanding: who gets the reply over each, which packet carried it, and what
 * its return or its loss says about the nodes on the way.
 * @module
 */
import { laterMs, type MonotonicMs } from '../core/units.ts';
import type { Recovery } from '../sphinx/index.ts';
import type { PathHealth } from './health/path-health.ts';
import { type BlockOwner, type ReplyBlock, ReplyLedgers } from './health/reply-ledger.ts';
import type { EndpointMetrics } from './metrics.ts';
import { ReturnTable } from './returns.ts';
import type { CreatedSurb, Sealed } from './sealer.ts';

/** Who gets the plaintext of a reply: one object per session, whose reply blocks are used in the order of their making. */
export interface ReplyReceiver extends BlockOwner {
  receive(plaintext: Uint8Array, nowMs: MonotonicMs): void;
}

interface Outstanding {
  readonly receiver: ReplyReceiver;
  readonly block: ReplyBlock;
}

export class ReplyBlocks {
  readonly #expected: ReturnTable<Outstanding>;
  readonly #ledgers: ReplyLedgers<ReplyReceiver>;
  /** Made for the packet that is being written. */
  #unsent: ReplyBlock[] = [];

  /** `onReply` is called for every reply that comes, an altered one too. */
  constructor(
    health: PathHealth,
    private readonly metrics: EndpointMetrics,
    private readonly onReply: () => void = () => {},
  ) {
    this.#ledgers = new ReplyLedgers(health);
    this.#expected = new ReturnTable(({ block }, nowMs) => {
      metrics.surbs.inc({ event: 'expired' });
      block.ledger.forget(block, nowMs);
    });
  }

  get size(): number {
    return this.#expected.size;
  }

  /** A block was made; it goes into the packet that is sealed next. Its reply is taken for `graceMs` after its life. */
  created(
    { nodes, delayMs, recovery }: CreatedSurb,
    receiver: ReplyReceiver,
    nowMs: MonotonicMs,
    lifeMs: number,
    graceMs: number,
  ): void {
    this.metrics.surbs.inc({ event: 'created' });
    const block = this.#ledgers.ledgerOf(receiver).created(nodes, nowMs, lifeMs, delayMs);
    this.#unsent.push(block);
    this.#expected.add(recovery, { receiver, block }, laterMs(nowMs, lifeMs + graceMs));
  }

  /** A packet was sealed: it carries the blocks made since the last one. */
  sent({ nodes, delayMs }: Sealed): void {
    const blocks = this.#unsent;
    if (blocks.length === 0) return;
    this.#unsent = [];
    blocks[0]?.ledger.sent(blocks, nodes, delayMs);
  }

  /** Whether `packet` is a reply; its receiver gets what `recover` makes of it. */
  receive(packet: Uint8Array, recover: (recovery: Recovery) => Uint8Array | undefined, nowMs: MonotonicMs): boolean {
    const expected = this.#expected.find(packet);
    if (expected === undefined) return false;
    this.metrics.received.inc({ kind: 'reply' });
    this.onReply();
    const plaintext = recover(expected.recovery);
    if (plaintext === undefined) {
      this.metrics.dropped.inc({ reason: 'payload' });
      return true;
    }
    this.#expected.remove(expected);
    const { receiver, block } = expected.context;
    block.ledger.returned(block, nowMs);
    receiver.receive(plaintext, nowMs);
    return true;
  }

  /** Forgets blocks whose life is over. */
  sweep(nowMs: MonotonicMs): void {
    this.#expected.sweep(nowMs);
  }

  /** Counts blocks as lost that later ones have overtaken for `lossDelayMs`. To be called a few times a second. */
  detectLoss(nowMs: MonotonicMs, lossDelayMs: number): void {
    this.#ledgers.sweep(nowMs, lossDelayMs);
  }

  /** The link broke: what is missing now is no evidence. Replies that still come are taken. */
  discardEvidence(nowMs: MonotonicMs): void {
    this.#ledgers.clear(nowMs);
  }

  /** None will come back: the client is at another gateway. */
  clear(nowMs: MonotonicMs): void {
    this.#expected.clear();
    this.#ledgers.clear(nowMs);
  }
}
