/**
 * Which gateway a client is at: the first choice, whether it still answers, when to leave it and for which. A machine that
 * is told what happens, and the time; the link itself is the endpoint's.
 * @module
 */
import type { IdentityHex } from '../bytes.ts';
import type { NodeEntry, Topology } from '../directory/index.ts';
import { MixError } from '../errors.ts';
import type { LinkState } from '../link/index.ts';
import { GatewayWatch } from './gateway-watch.ts';

/** Picks the gateway to use; `avoid` are those that just failed. */
export type ChooseGateway = (topology: Topology, avoid: ReadonlySet<IdentityHex>) => NodeEntry | undefined;

/** After leaving a gateway for losing packets, no other is left for that reason in this time. */
export const BAD_PATH_STAY_MS = 600_000;

export class HomeGateway {
  readonly #choose: ChooseGateway;
  readonly #watch: GatewayWatch;
  readonly #failed = new Set<IdentityHex>();
  #current: NodeEntry | undefined;
  #stayUntilMs = 0;

  constructor(choose: ChooseGateway, nowMs: number) {
    this.#choose = choose;
    this.#watch = new GatewayWatch(nowMs);
  }

  get current(): NodeEntry | undefined {
    return this.#current;
  }

  get linkState(): LinkState {
    return this.#watch.state;
  }

  /** For how long the link has been down; 0 when it is up. */
  linkDownMs(nowMs: number): number {
    return this.#watch.downMs(nowMs);
  }

  /** The first choice. Throws MixError NO_GATEWAY. */
  first(topology: Topology): NodeEntry {
    const gateway = this.#choose(topology, this.#failed);
    if (gateway === undefined) throw new MixError('NO_GATEWAY', 'the consensus lists no gateway to use');
    this.#current = gateway;
    return gateway;
  }

  /** Becomes `gateway`, or its newer description. Whether it is another one. */
  moveTo(gateway: NodeEntry): boolean {
    const moved = gateway.id !== this.#current?.id;
    this.#current = gateway;
    return moved;
  }

  /** A new consensus: the gateway as it is listed there, or the next when it is not, or is marked as lossy. */
  adopt(topology: Topology): NodeEntry | undefined {
    const listed = this.#current && topology.byId(this.#current.id);
    if (listed !== undefined && !listed.lossy) return listed;
    return this.#next(topology) ?? listed;
  }

  /** The link came up, went down, or an attempt failed. Whether that is a change. */
  onLinkState(state: LinkState, nowMs: number): boolean {
    const changed = this.#watch.onState(state, nowMs);
    if (changed && state === 'up') this.#failed.clear();
    return changed;
  }

  /** A packet came. */
  heard(): void {
    this.#watch.heard();
  }

  /**
   * What the silence of the link asks for: 'redial', a gateway to move to, or nothing. Call a few times a second;
   * `loopsSent` counts the loops that have left, ever.
   */
  review(topology: Topology, loopsSent: number, nowMs: number): 'redial' | NodeEntry | undefined {
    const advice = this.#watch.advise(loopsSent, nowMs);
    return advice === 'move' ? this.#next(topology) : advice;
  }

  /**
   * Most loops are lost and no mix stands out: another gateway to try, if there is one. The gateway may be to blame; if it
   * is not, the next one will be no better, and is stayed with.
   */
  insteadOfBadPath(topology: Topology, nowMs: number): NodeEntry | undefined {
    const current = this.#current;
    if (nowMs < this.#stayUntilMs || current === undefined) return undefined;
    this.#stayUntilMs = nowMs + BAD_PATH_STAY_MS;
    const next = this.#choose(topology, new Set([...this.#failed, current.id]));
    if (next === undefined || next.id === current.id) return undefined;
    // One that sees both ends of our traffic is worse than a slow one; losing packets must not drive us there.
    const seesRequester = ({ id }: NodeEntry) => topology.requesters.some((requester) => requester.gateway === id);
    return seesRequester(next) && !seesRequester(current) ? undefined : next;
  }

  /** Another than those that failed; when all have, all get another chance. */
  #next(topology: Topology): NodeEntry | undefined {
    if (this.#current !== undefined) this.#failed.add(this.#current.id);
    const next = this.#choose(topology, this.#failed);
    if (next !== undefined) return next;
    this.#failed.clear();
    return this.#choose(topology, this.#failed);
  }
}
