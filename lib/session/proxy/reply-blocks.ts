/**
 * The proxy's writing of reply blocks into its packets: how many, before data and after it.
 *
 * Blocks go before data while their stock is under its floor. While uploading, every packet carries at least one: without
 * replies there are no acknowledgements. Data gets the blocks' turn in every second packet when both want all slots.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';
import { MAX_BLOCKS_PER_PACKET, SURB_BYTES } from '../../transport/limits.ts';
import type { SessionEnd } from '../../transport/session-end.ts';
import { type SettledBlock, SurbLedger } from '../../transport/surbs/surb-ledger.ts';
import {
  NOTHING_WANTED,
  type SupplyOptions,
  type SurbAccount,
  SurbSupply,
  type Wanted,
} from '../../transport/surbs/surb-supply.ts';
import type { SurbSupplyStats } from '../../transport/types.ts';
import type { FrameOwner, PacketBuilder, SentFrame } from '../../transport/wire/packet-builder.ts';
import { ReplyExcess } from './reply-excess.ts';

export interface ReplyBlocksOptions extends Omit<SupplyOptions, 'blocksPerPacket'> {
  /** Makes a compact reply block; undefined when there is no route now. */
  readonly mintSurb: (nowMs: MonotonicMs) => Uint8Array | undefined;
}

/** Blocks for one packet. */
export interface Portion {
  readonly beforeData: number;
  readonly afterData: number;
}

/** Without a route no reply block can be made; asked again after this long. */
const NO_ROUTE_PAUSE_MS = 100;

export class ReplyBlocks implements FrameOwner {
  readonly supply: SurbSupply;
  readonly #ledger: SurbLedger;
  readonly #excess: ReplyExcess;
  /** The last packet had space for blocks before data. */
  #wentFirst = false;
  #mintAgainMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly end: SessionEnd,
    private readonly options: ReplyBlocksOptions,
    nowMs: MonotonicMs,
  ) {
    const blocksPerPacket = Math.min(MAX_BLOCKS_PER_PACKET, Math.floor((options.payloadBytes - 64) / SURB_BYTES));
    this.supply = new SurbSupply({ ...options, blocksPerPacket }, nowMs);
    this.#ledger = new SurbLedger(blocksPerPacket);
    this.#excess = new ReplyExcess(options.replyRatePerSecond, nowMs);
  }

  /** Whether blocks alone are worth a packet. */
  worthPacket(nowMs: MonotonicMs): boolean {
    return this.#wanted(nowMs).worthPacket;
  }

  /** Decides for the next packet. */
  portion(nowMs: MonotonicMs): Portion {
    const { canSendData, silentMs, roundMs } = this.end;
    const wanted = this.#wanted(nowMs);
    // Between a download that could use every slot for blocks and an upload, slots are shared.
    const yielding = canSendData && this.#wentFirst && !wanted.critical;
    this.#wentFirst = wanted.first > 1 && !yielding;
    // A requester that does not know the session, or has run dry, can only answer through a block that comes along.
    const least = silentMs > roundMs ? 1 : 0;
    const beforeData = Math.max(yielding ? Math.min(1, wanted.first) : wanted.first, least);
    return { beforeData, afterData: wanted.after };
  }

  /** Writes up to `count` blocks, as there is space. */
  write(builder: PacketBuilder, count: number, nowMs: MonotonicMs): void {
    const blocks: Uint8Array[] = [];
    for (let left = Math.min(count, builder.surbRoom); left > 0; left--) {
      const block = this.options.mintSurb(nowMs);
      if (block === undefined) {
        this.#mintAgainMs = nowMs + NO_ROUTE_PAUSE_MS;
        break;
      }
      blocks.push(block);
    }
    if (!builder.replyBlocks(this, this.supply.generation, Math.floor(this.options.surbLifeMs), blocks)) return;
    this.supply.onCreated(blocks.length, nowMs);
    this.#ledger.made(blocks.length);
  }

  /** A reply with this account has come; why it ends the session, if it does. */
  faultIn(account: SurbAccount, nowMs: MonotonicMs): 'protocol' | 'flooding' | undefined {
    if (this.supply.lies(account)) return 'protocol';
    this.supply.onAccount(account, nowMs);
    const exceeds = this.options.downlink === 'steady' && this.#excess.onReply(account.used, nowMs);
    return exceeds ? 'flooding' : undefined;
  }

  setReplyRate(perSecond: number, nowMs: MonotonicMs): void {
    this.supply.setReplyRate(perSecond);
    this.#excess.setRate(perSecond, nowMs);
  }

  /** It is known what became of a block. True when the requester is found to keep blocks back. */
  settled(block: SettledBlock, nowMs: MonotonicMs): boolean {
    this.#ledger.settled(block, this.supply.target, nowMs);
    return block.fate === 'missing' && this.#ledger.accuses(this.options.ownPath(), nowMs);
  }

  /** No block made so far can work any more. */
  invalidate(): void {
    this.supply.invalidate();
    this.#ledger.reset();
  }

  stats(nowMs: MonotonicMs): SurbSupplyStats {
    const { loss, roundMs, streams } = this.end;
    return this.supply.stats(this.supply.position(1 - loss.lossRatio, roundMs, streams.size > 0, nowMs));
  }

  /** Blocks are not sent again: the supply makes new ones. */
  frameAcked(frame: SentFrame): void {
    this.supply.onSettled(frame.length);
  }

  frameLost(frame: SentFrame): void {
    this.supply.onSettled(frame.length);
  }

  #wanted(nowMs: MonotonicMs): Wanted {
    if (nowMs < this.#mintAgainMs) return NOTHING_WANTED;
    const { roundMs, loss, streams, canSendData } = this.end;
    const { outstanding } = this.#ledger;
    const streamsOpen = streams.size > 0;
    const view = { arriveShare: 1 - loss.lossRatio, roundMs, streamsOpen, uploading: canSendData, outstanding };
    return this.supply.wanted(view, nowMs);
  }
}
