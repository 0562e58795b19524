/**
 * Which gateway a client uses: the first choice, whether it still answers, when to dial it anew, when to leave it and for
 * which. A pure state machine; the link itself is the endpoint's.
 *
 * A link can end without a word: the gateway's host lost power, a laptop woke up elsewhere, an address translator
 * forgot the connection. What we send then vanishes into buffers. But own loops come back several times a second,
 * so that a link on which nothing arrives is dead.
 * @module
 */
import type { IdentityHex } from '../../core/bytes.ts';
import { MixError } from '../../core/errors.ts';
import { laterMs, type MonotonicMs } from '../../core/units.ts';
import type { NodeEntry, Topology } from '../../directory/index.ts';
import type { LinkState } from '../../link/index.ts';

/** The gateways that may be used, in the order in which they are tried. Nothing makes a client use another. */
export type UsableGateways = (topology: Topology) => readonly NodeEntry[];

/** A gateway whose link has been down for this long is left for another, where there is a choice. */
export const LINK_DOWN_TIMEOUT_MS = 8_000;
/** A link on which nothing came for this long, in spite of that many loops, is dialled anew; then the gateway is left. */
export const IDLE_TIMEOUT_MS = 5_000;
const IDLE_LOOPS = 10;
/** The idle timeout doubles up to this, until a packet comes: it may not be the gateway's fault. */
const MAX_IDLE_TIMEOUT_MS = 60_000;
/** A longer time between two reviews was sleep: nothing could arrive in it. */
const MAX_STEP_MS = 2_000;
/** A gateway that was left is tried again after this time, if it comes before the present one in the order. */
export const RETURN_AFTER_MS = 1_800_000;
/** After leaving a gateway for losing packets, no other is left for that reason in this time. */
export const LOSS_MOVE_INTERVAL_MS = 600_000;

export class GatewaySelector {
  /** Did not answer since the link was last up. */
  readonly #failed = new Set<IdentityHex>();
  /** When a usable one was last left, or found not to answer. */
  readonly #leftMs = new Map<IdentityHex, MonotonicMs>();
  /** Said since the link was last up that they are full, or do not let us in. */
  readonly #refused = new Set<IdentityHex>();
  #allRefuse = false;
  #noneAnswers = false;
  #current: NodeEntry | undefined;
  #linkState: LinkState = 'down';
  #stateSinceMs: MonotonicMs;
  #movedMs: MonotonicMs;
  #reviewedMs: MonotonicMs;
  /** Waking time without a link, or without a packet on it. */
  #idleMs = 0;
  #idleTimeoutMs = IDLE_TIMEOUT_MS;
  #received = false;
  /** Loops that had left when a packet last came. */
  #loopsSent = 0;
  #nextLossMoveMs: MonotonicMs | undefined;

  constructor(
    private readonly usable: UsableGateways,
    nowMs: MonotonicMs,
  ) {
    this.#stateSinceMs = nowMs;
    this.#movedMs = nowMs;
    this.#reviewedMs = nowMs;
  }

  get current(): NodeEntry | undefined {
    return this.#current;
  }

  get linkState(): LinkState {
    return this.#linkState;
  }

  /** For how long the link has been down; 0 when it is up. */
  linkDownMs(nowMs: MonotonicMs): number {
    return this.#linkState === 'up' ? 0 : nowMs - this.#stateSinceMs;
  }

  /** Whether all that may be used have failed since the link was last up. They are tried again and again. */
  get noneAnswers(): boolean {
    return this.#noneAnswers;
  }

  /** Whether none that may be used takes us and one or more refused. They are tried again and again, with ever longer waits. */
  get allRefuse(): boolean {
    return this.#allRefuse;
  }

  /** The first choice. Throws MixError NO_GATEWAY. */
  first(topology: Topology): NodeEntry {
    const [gateway] = this.#inOrder(topology);
    if (gateway === undefined) throw new MixError('NO_GATEWAY', 'the consensus lists no gateway to use');
    this.#current = gateway;
    return gateway;
  }

  /** Makes `gateway`, or its newer description, the current one. Whether it is another gateway. */
  moveTo(gateway: NodeEntry, nowMs: MonotonicMs): boolean {
    const before = this.#current?.id;
    this.#current = gateway;
    if (gateway.id === before) return false;
    if (before !== undefined) this.#leftMs.set(before, nowMs);
    this.#movedMs = nowMs;
    return true;
  }

  /** A new consensus: the gateway as it is listed there, or the next when it may not be used, or is marked as lossy. */
  adopt(topology: Topology): NodeEntry | undefined {
    const usable = this.#inOrder(topology);
    for (const id of this.#leftMs.keys()) if (usable.every((node) => node.id !== id)) this.#leftMs.delete(id);
    const listed = usable.find(({ id }) => id === this.#current?.id);
    if (listed !== undefined && !listed.lossy) return listed;
    return this.#next(topology) ?? listed;
  }

  /**
   * One that comes before the present gateway, and was left long enough ago. Find out whether it answers before you move
   * there, and say `postpone` if it does not.
   */
  earlier(topology: Topology, nowMs: MonotonicMs): NodeEntry | undefined {
    if (this.#linkState !== 'up') return undefined;
    const usable = this.#inOrder(topology);
    const present = usable.findIndex(({ id }) => id === this.#current?.id);
    const before = usable.slice(0, Math.max(0, present));
    return before.find(({ id }) => nowMs - (this.#leftMs.get(id) ?? this.#movedMs) >= RETURN_AFTER_MS);
  }

  /** `gateway` does not answer: it is not tried again for a while. */
  postpone(gateway: NodeEntry, nowMs: MonotonicMs): void {
    this.#leftMs.set(gateway.id, nowMs);
  }

  /** The link came up, went down, or an attempt failed. Whether that is a change. */
  onLinkState(state: LinkState, nowMs: MonotonicMs): boolean {
    if (state === this.#linkState) return false;
    this.#linkState = state;
    this.#stateSinceMs = nowMs;
    this.#idleMs = 0;
    if (state === 'up') {
      this.#failed.clear();
      this.#refused.clear();
      this.#allRefuse = false;
      this.#noneAnswers = false;
    }
    return true;
  }

  /**
   * The present gateway is full, or does not let us in: the next one to try at once. Undefined when all have been asked: then this one is
   * dialled again after a wait, and the others from there.
   */
  onRefused(topology: Topology): NodeEntry | undefined {
    const current = this.#current?.id;
    if (current === undefined) return undefined;
    if (this.#refused.has(current)) {
      this.#refused.clear();
      this.#failed.clear();
    }
    this.#refused.add(current);
    const next = this.#inOrder(topology).find(({ id }) => !this.#refused.has(id) && !this.#failed.has(id));
    if (next === undefined) this.#allRefuse = true;
    return next;
  }

  /** An attempt at the present gateway failed for another reason. */
  onOtherFailure(): void {
    if (this.#current !== undefined) this.#refused.delete(this.#current.id);
  }

  /** A reply or an own loop has come. */
  onAnswer(): void {
    this.#received = true;
  }

  /**
   * What to do when nothing comes: 'redial', a gateway to move to, or nothing. Call it a few times a second; `loopsSent`
   * counts the loops that have left since the start.
   */
  review(topology: Topology, loopsSent: number, nowMs: MonotonicMs): 'redial' | NodeEntry | undefined {
    this.#idleMs += Math.min(nowMs - this.#reviewedMs, MAX_STEP_MS);
    this.#reviewedMs = nowMs;
    return this.#linkState === 'up' ? this.#reviewIdle(topology, loopsSent) : this.#reviewDown(topology);
  }

  /**
   * Most loops are lost and no mix stands out: another gateway to try, if there is one. The gateway may be the reason; if it
   * is not, the next one will be no better, and the client stays with it.
   */
  alternativeForLoss(topology: Topology, nowMs: MonotonicMs): NodeEntry | undefined {
    const current = this.#current;
    if (current === undefined || (this.#nextLossMoveMs !== undefined && nowMs < this.#nextLossMoveMs)) return undefined;
    this.#nextLossMoveMs = laterMs(nowMs, LOSS_MOVE_INTERVAL_MS);
    const rested = (id: IdentityHex) => nowMs - (this.#leftMs.get(id) ?? Number.NEGATIVE_INFINITY) >= RETURN_AFTER_MS;
    return this.#inOrder(topology).find(({ id }) => id !== current.id && !this.#failed.has(id) && rested(id));
  }

  #reviewDown(topology: Topology): NodeEntry | undefined {
    const hasRefused = this.#current !== undefined && this.#refused.has(this.#current.id);
    if (hasRefused || this.#idleMs < LINK_DOWN_TIMEOUT_MS) return undefined;
    this.#idleMs = 0;
    return this.#next(topology);
  }

  #reviewIdle(topology: Topology, loopsSent: number): 'redial' | NodeEntry | undefined {
    if (this.#received) {
      this.#received = false;
      this.#idleTimeoutMs = IDLE_TIMEOUT_MS;
      this.#restartIdle(loopsSent);
      return undefined;
    }
    if (this.#idleMs < this.#idleTimeoutMs || loopsSent - this.#loopsSent < IDLE_LOOPS) return undefined;
    const first = this.#idleTimeoutMs === IDLE_TIMEOUT_MS;
    this.#idleTimeoutMs = Math.min(MAX_IDLE_TIMEOUT_MS, 2 * this.#idleTimeoutMs);
    this.#restartIdle(loopsSent);
    return first ? 'redial' : this.#next(topology);
  }

  #restartIdle(loopsSent: number): void {
    this.#idleMs = 0;
    this.#loopsSent = loopsSent;
  }

  /** Another than those that failed; when all have, all get another chance. */
  #next(topology: Topology): NodeEntry | undefined {
    if (this.#current !== undefined) this.#failed.add(this.#current.id);
    const usable = this.#inOrder(topology);
    const next = usable.find(({ id }) => !this.#failed.has(id));
    if (next !== undefined) return next;
    this.#failed.clear();
    this.#noneAnswers = this.#linkState !== 'up';
    this.#allRefuse = false;
    return usable[0];
  }

  /** Those marked as lossy come last. */
  #inOrder(topology: Topology): readonly NodeEntry[] {
    const usable = this.usable(topology);
    return [...usable.filter(({ lossy }) => !lossy), ...usable.filter(({ lossy }) => lossy)];
  }
}
