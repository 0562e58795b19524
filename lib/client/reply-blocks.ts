/**
 * A client's reply blocks that are out: who gets the reply over each, which packet took it out, and what its return or its
 * absence says about the nodes on the way.
 * @module
 */
import type { NodeEntry } from '../directory/index.ts';
import type { Recovery } from '../sphinx/index.ts';
import type { EndpointMetrics } from './metrics.ts';
import type { PathHealth } from './path-health.ts';
import { type ReplyBlock, ReplyLedgers } from './reply-ledger.ts';
import { ReturnTable } from './returns.ts';
import type { MintedSurb } from './sealer.ts';

/** Who gets the plaintext of a reply: one object per session, whose reply blocks are used in the order of their making. */
export interface ReplyReceiver {
  receive(plaintext: Uint8Array, nowMs: number): void;
}

interface Handed {
  readonly receiver: ReplyReceiver;
  readonly block: ReplyBlock;
}

export class ReplyBlocks {
  readonly #metrics: EndpointMetrics;
  readonly #expected: ReturnTable<Handed>;
  readonly #ledgers: ReplyLedgers<ReplyReceiver>;
  /** Made for the packet that is being written. */
  #aboard: ReplyBlock[] = [];

  constructor(health: PathHealth, metrics: EndpointMetrics) {
    this.#metrics = metrics;
    this.#ledgers = new ReplyLedgers(health);
    this.#expected = new ReturnTable(() => metrics.surbs.inc({ event: 'expired' }));
  }

  get size(): number {
    return this.#expected.size;
  }

  /** A block was made; it goes into the packet that is sealed next. */
  made({ nodes, recovery }: MintedSurb, receiver: ReplyReceiver, nowMs: number, expiresAtMs: number): void {
    this.#metrics.surbs.inc({ event: 'created' });
    const block = this.#ledgers.ledgerOf(receiver).made(nodes, nowMs);
    this.#aboard.push(block);
    this.#expected.add(recovery, { receiver, block }, expiresAtMs);
  }

  /** A packet was sealed over `nodes`: the blocks made for it leave in it. */
  shipped(nodes: readonly NodeEntry[]): void {
    const blocks = this.#aboard;
    if (blocks.length === 0) return;
    this.#aboard = [];
    blocks[0]?.ledger.shipped(blocks, nodes);
  }

  /** Whether `packet` is a reply; its receiver gets what `recover` makes of it. */
  take(packet: Uint8Array, recover: (recovery: Recovery) => Uint8Array | undefined, nowMs: number): boolean {
    const expected = this.#expected.find(packet);
    if (expected === undefined) return false;
    this.#metrics.received.inc({ kind: 'reply' });
    const plaintext = recover(expected.recovery);
    if (plaintext === undefined) {
      this.#metrics.dropped.inc({ reason: 'payload' });
      return true;
    }
    this.#expected.remove(expected);
    const { receiver, block } = expected.context;
    block.ledger.back(block, nowMs);
    receiver.receive(plaintext, nowMs);
    return true;
  }

  /** Forgets blocks whose life is over. */
  sweep(nowMs: number): void {
    this.#expected.sweep(nowMs);
  }

  /** Gives up those that are missing. To be called a few times a second. */
  judge(nowMs: number, patienceMs: number): void {
    this.#ledgers.sweep(nowMs, patienceMs);
  }

  /** The link broke: what is missing now is no evidence. */
  excuse(): void {
    this.#ledgers.abandon();
  }

  /** None will come back: the client has moved. */
  clear(): void {
    this.#expected.clear();
    this.#ledgers.abandon();
  }
}
