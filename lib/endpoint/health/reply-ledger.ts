/**
 * What reply blocks (SURBs) show about the nodes that their replies cross, and that the packets crossed which carried them.
 * Own loops are few; in steady mode replies come twenty times as often, idle or not, each over a route that this client
 * chose for its block. A block counts as lost when enough later ones have returned and the loss delay has passed beyond the delays that
 * were drawn for it and for the packet that carried it (RFC 9002 section 6.1, with a packet threshold and a time threshold): the
 * requester uses them in the order in which they arrive.
 *
 * This is evidence of a second kind. A block may be missing because the packet that carried it was lost, or because the
 * requester did not use it. But whoever decides that knows nothing of a block except its first hop; so it happens to
 * all nodes of layers 2 and 3 alike, and comparing these with each other cancels it. For layer 1 replies are no evidence.
 *
 * For layer 1 the carriers are: a packet of which a block returned has arrived, one of which none did has probably not. The
 * requester, and its gateway, do not know over which mix of layer 1 (or 2) a packet came, so that they cannot bring
 * evidence against any.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';
import type { NodeEntry } from '../../directory/index.ts';
import type { PathNode } from './loop-evidence.ts';
import type { PathHealth } from './path-health.ts';

/** What became of a block. `late`: it came back after it had counted as missing. `forgotten`: nothing can be said of it. */
export type BlockFate = 'returned' | 'missing' | 'late' | 'forgotten';

export interface SettledBlock {
  readonly fate: BlockFate;
  /** Names the first hop of its reply; undefined when its way led over a node that this client excludes. */
  readonly firstHop: string | undefined;
}

/** So many later blocks return before an earlier one may count as lost: packets are reordered. */
export const REORDERING_THRESHOLD = 64;
/** Outstanding blocks of a session, more than its supply lets be; beyond, the oldest are forgotten without evidence. */
export const MAX_BLOCKS_TRACKED = 32_768;
/** The blocks of a session that neither makes nor gets any for this long are forgotten. */
export const IDLE_LEDGER_MS = 120_000;

/** A packet that carried reply blocks to a requester. */
interface Carrier {
  readonly route: readonly PathNode[];
  /** Sum of the delays drawn for it. */
  readonly delayMs: number;
  /** Its blocks that have neither returned nor count as lost. */
  outstanding: number;
  arrived: boolean;
}

/** A reply block that was made. */
export interface ReplyBlock {
  readonly ledger: ReplyLedger;
  readonly route: readonly PathNode[];
  /** Sum of the delays drawn for the reply over it. */
  readonly delayMs: number;
  /** In the order of making. */
  readonly number: number;
  /** When enough later blocks had returned. */
  overtakenMs: MonotonicMs | undefined;
  /** The packet that it was sent in. */
  carrier: Carrier | undefined;
  /** When the requester may take its life for over. */
  readonly staleMs: number;
  /** Its way led over a node that was excluded when it was sent. */
  avoided: boolean;
  fate: 'open' | 'missing' | 'settled';
}

/** Whose blocks they are. */
export interface BlockOwner {
  /** What became of a block; of one that was missing it may be said again that it came late. */
  settled?(block: SettledBlock, nowMs: MonotonicMs): void;
}

/** A requester counts the life of a block from its arrival, and need not use one that is nearly over. */
const STALE_SHARE = 7 / 8;

/** The blocks of one session. */
export class ReplyLedger {
  /** Neither returned nor lost, in the order of making. */
  readonly #outstanding = new Map<number, ReplyBlock>();
  #created = 0;
  #largestReturned = -1;
  #activeMs = 0;

  constructor(
    readonly health: PathHealth,
    readonly owner: BlockOwner = {},
  ) {}

  /** A block was made that may be used for `lifeMs`, for a reply that the mixes are to delay by `delayMs` in all. */
  created(nodes: readonly NodeEntry[], nowMs: MonotonicMs, lifeMs = Number.POSITIVE_INFINITY, delayMs = 0): ReplyBlock {
    const route = nodes.map((node) => this.health.nodeOf(node));
    const block: ReplyBlock = {
      ledger: this,
      route,
      delayMs,
      number: this.#created++,
      overtakenMs: undefined,
      carrier: undefined,
      staleMs: nowMs + lifeMs * STALE_SHARE,
      avoided: this.#isAvoided(route),
      fate: 'open',
    };
    this.#activeMs = nowMs;
    this.#outstanding.set(block.number, block);
    if (this.#outstanding.size > MAX_BLOCKS_TRACKED) this.#forgetOldest(nowMs);
    return block;
  }

  /** These blocks leave in one packet, over `nodes`, which are to delay it by `delayMs` in all. */
  sent(blocks: readonly ReplyBlock[], nodes: readonly NodeEntry[], delayMs = 0): void {
    const route = nodes.map((node) => this.health.nodeOf(node));
    const carrier: Carrier = { route, delayMs, outstanding: blocks.length, arrived: false };
    const avoided = this.#isAvoided(route);
    for (const block of blocks) {
      block.carrier = carrier;
      block.avoided ||= avoided;
    }
  }

  /** Its reply came. */
  returned(block: ReplyBlock, nowMs: MonotonicMs): void {
    this.#activeMs = nowMs;
    this.#largestReturned = Math.max(this.#largestReturned, block.number);
    if (block.fate === 'missing') this.#settle(block, 'late', nowMs);
    if (!this.#outstanding.delete(block.number)) return;
    this.#settle(block, 'returned', nowMs);
    this.health.recordReply({ route: block.route, sentMs: nowMs, returned: true });
    const { carrier } = block;
    if (carrier === undefined || carrier.arrived) return;
    carrier.arrived = true;
    this.health.recordCarrier({ route: carrier.route, sentMs: nowMs, returned: true });
  }

  /**
   * Counts as lost what was overtaken `lossDelayMs` and its own delays ago: later blocks may have come by shorter ones. To be called a
   * few times a second.
   */
  sweep(nowMs: MonotonicMs, lossDelayMs: number): void {
    for (const block of this.#outstanding.values()) {
      if (block.number >= this.#largestReturned - REORDERING_THRESHOLD) return;
      block.overtakenMs ??= nowMs;
      if (nowMs - block.overtakenMs < lossDelayMs + block.delayMs + (block.carrier?.delayMs ?? 0)) continue;
      if (block.overtakenMs >= block.staleMs) {
        this.forget(block, nowMs);
        continue;
      }
      this.#outstanding.delete(block.number);
      this.#settle(block, 'missing', nowMs);
      this.#onLost(block, block.overtakenMs);
    }
  }

  /** Nothing can be said of it any more. */
  forget(block: ReplyBlock, nowMs: MonotonicMs): void {
    if (this.#outstanding.delete(block.number)) this.#settle(block, 'forgotten', nowMs);
  }

  forgetAll(nowMs: MonotonicMs): void {
    for (const block of [...this.#outstanding.values()]) this.forget(block, nowMs);
  }

  #forgetOldest(nowMs: MonotonicMs): void {
    const [oldest] = this.#outstanding.values();
    if (oldest !== undefined) this.forget(oldest, nowMs);
  }

  #settle(block: ReplyBlock, fate: BlockFate, nowMs: MonotonicMs): void {
    block.fate = fate === 'missing' ? 'missing' : 'settled';
    const avoided = block.avoided || this.#isAvoided(block.route) || this.#isAvoided(block.carrier?.route ?? []);
    this.owner.settled?.({ fate, firstHop: avoided ? undefined : (block.route[0]?.id ?? '') }, nowMs);
  }

  #isAvoided(route: readonly PathNode[]): boolean {
    return route.some((node) => this.health.excludes(node));
  }

  #onLost({ route, carrier }: ReplyBlock, sentMs: MonotonicMs): void {
    this.health.recordReply({ route, sentMs, returned: false });
    if (carrier === undefined) return;
    carrier.outstanding -= 1;
    if (carrier.outstanding > 0 || carrier.arrived) return;
    this.health.recordCarrier({ route: carrier.route, sentMs, returned: false });
  }

  isIdle(nowMs: MonotonicMs): boolean {
    return nowMs - this.#activeMs > IDLE_LEDGER_MS;
  }
}

/** The ledgers of all sessions. */
export class ReplyLedgers<Session extends BlockOwner> {
  readonly #ledgers = new Map<Session, ReplyLedger>();

  constructor(readonly health: PathHealth) {}

  ledgerOf(session: Session): ReplyLedger {
    let ledger = this.#ledgers.get(session);
    if (ledger === undefined) {
      ledger = new ReplyLedger(this.health, session);
      this.#ledgers.set(session, ledger);
    }
    return ledger;
  }

  sweep(nowMs: MonotonicMs, lossDelayMs: number): void {
    for (const [session, ledger] of this.#ledgers) {
      ledger.sweep(nowMs, lossDelayMs);
      if (!ledger.isIdle(nowMs)) continue;
      ledger.forgetAll(nowMs);
      this.#ledgers.delete(session);
    }
  }

  /** The link broke, or the gateway changed: what is outstanding will be missing, and no mix is the reason. */
  clear(nowMs: MonotonicMs): void {
    for (const ledger of this.#ledgers.values()) ledger.forgetAll(nowMs);
    this.#ledgers.clear();
  }
}
