/**
 * What replies say about the nodes they cross, and about those that the packet crossed which took their blocks out. Own
 * loops are few; in steady mode replies come twenty times as often, idle or not, each over a route that this client chose
 * for its reply block. A block counts as lost when blocks made well after it have been used and it has still not come
 * back: the requester uses them in the order in which they arrive.
 *
 * This is evidence of a second kind. A block may be missing because the packet that carried it was lost, or because the
 * requester did not use it. But whoever decides that knows nothing of a block except its first hop; so it happens to
 * all nodes of layers 2 and 3 alike, and comparing these with each other cancels it. Of layer 1 replies are no
 * witnesses.
 *
 * Of layer 1 the packets tell that took the blocks out: one of which a block came back has arrived, one of which none did has
 * probably not. The requester, and its gateway, do not know over which mix of layer 1 (or 2) a packet came, so
 * that they cannot speak against any.
 * @module
 */
import type { NodeEntry } from '../directory/index.ts';
import type { PathNode } from './loop-evidence.ts';
import type { PathHealth } from './path-health.ts';

/** Packets overtake each other: so many later blocks come back before an earlier one is missed. */
export const OVERTAKING = 64;
/** Blocks of a session that are waited for; beyond, the oldest are forgotten without evidence. */
export const MAX_BLOCKS_WATCHED = 8192;
/** The blocks of a session that neither makes nor gets any for this long are forgotten. */
export const IDLE_LEDGER_MS = 120_000;

/** A packet that took reply blocks to a requester. */
interface Shipment {
  readonly route: readonly PathNode[];
  /** Blocks in it that are neither back nor given up. */
  blocksOut: number;
  arrived: boolean;
}

/** A reply block that was handed out. */
export interface ReplyBlock {
  readonly ledger: ReplyLedger;
  readonly route: readonly PathNode[];
  /** Place in the order of making. */
  readonly number: number;
  /** When it was first seen to be overtaken. */
  overtakenMs: number | undefined;
  /** The packet it left in. */
  shipment: Shipment | undefined;
}

/** The blocks of one session. */
export class ReplyLedger {
  /** Neither back nor given up, in the order of making. */
  readonly #out = new Map<number, ReplyBlock>();
  #made = 0;
  #latestBack = -1;
  #activeMs = 0;

  constructor(readonly health: PathHealth) {}

  made(nodes: readonly NodeEntry[], nowMs: number): ReplyBlock {
    const route = nodes.map((node) => this.health.nodeOf(node));
    const block: ReplyBlock = {
      ledger: this,
      route,
      number: this.#made++,
      overtakenMs: undefined,
      shipment: undefined,
    };
    this.#activeMs = nowMs;
    this.#out.set(block.number, block);
    if (this.#out.size > MAX_BLOCKS_WATCHED) this.#out.delete(this.#out.keys().next().value as number);
    return block;
  }

  /** These blocks leave in one packet, over `nodes`. */
  shipped(blocks: readonly ReplyBlock[], nodes: readonly NodeEntry[]): void {
    const route = nodes.map((node) => this.health.nodeOf(node));
    const shipment: Shipment = { route, blocksOut: blocks.length, arrived: false };
    for (const block of blocks) block.shipment = shipment;
  }

  /** Its reply came. */
  back(block: ReplyBlock, nowMs: number): void {
    this.#activeMs = nowMs;
    this.#latestBack = Math.max(this.#latestBack, block.number);
    if (!this.#out.delete(block.number)) return;
    this.health.replyDecided({ route: block.route, sentMs: nowMs, returned: true });
    const { shipment } = block;
    if (shipment === undefined || shipment.arrived) return;
    shipment.arrived = true;
    this.health.shipmentDecided({ route: shipment.route, sentMs: nowMs, returned: true });
  }

  /** Gives up what was overtaken `patienceMs` ago. To be called a few times a second. */
  sweep(nowMs: number, patienceMs: number): void {
    for (const block of this.#out.values()) {
      if (block.number >= this.#latestBack - OVERTAKING) return;
      block.overtakenMs ??= nowMs;
      if (nowMs - block.overtakenMs < patienceMs) continue;
      this.#out.delete(block.number);
      this.#giveUp(block, block.overtakenMs);
    }
  }

  #giveUp({ route, shipment }: ReplyBlock, sentMs: number): void {
    this.health.replyDecided({ route, sentMs, returned: false });
    if (shipment === undefined) return;
    shipment.blocksOut -= 1;
    if (shipment.blocksOut > 0 || shipment.arrived) return;
    this.health.shipmentDecided({ route: shipment.route, sentMs, returned: false });
  }

  isIdle(nowMs: number): boolean {
    return nowMs - this.#activeMs > IDLE_LEDGER_MS;
  }
}

/** The ledgers of all sessions. */
export class ReplyLedgers<Session extends object> {
  readonly #ledgers = new Map<Session, ReplyLedger>();

  constructor(readonly health: PathHealth) {}

  ledgerOf(session: Session): ReplyLedger {
    let ledger = this.#ledgers.get(session);
    if (ledger === undefined) {
      ledger = new ReplyLedger(this.health);
      this.#ledgers.set(session, ledger);
    }
    return ledger;
  }

  sweep(nowMs: number, patienceMs: number): void {
    for (const [session, ledger] of this.#ledgers) {
      ledger.sweep(nowMs, patienceMs);
      if (ledger.isIdle(nowMs)) this.#ledgers.delete(session);
    }
  }

  /** The link broke, or the gateway changed: what is out now will be missing, for which no mix is to blame. */
  abandon(): void {
    this.#ledgers.clear();
  }
}
