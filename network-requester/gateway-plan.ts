/**
 * Through which gateways a requester is reached: two, where the network has two, so that every proxy finds one that is not its own, and
 * one may restart.
 *
 * What counts is what the consensus in force names: there the proxies' packets arrive. When a gateway stays away, another is announced
 * in its place, and taken with the consensus that names it; until then the link to the old one is tried, because only there anything can
 * come in.
 * @module
 */
import type { IdentityHex } from '../lib/core/bytes.ts';
import { pick, type Rng } from '../lib/core/rng.ts';
import { MAX_REQUESTER_GATEWAYS, type NodeEntry, type Topology } from '../lib/directory/index.ts';

/** A gateway that is away for longer than a restart takes: another is announced. */
export const ANNOUNCE_ANOTHER_AFTER_MS = 60_000;

export interface GatewayPlanOptions {
  /** The requester. */
  readonly self: IdentityHex;
  /** By configuration: never others. */
  readonly fixed?: readonly IdentityHex[];
  readonly rng: Rng;
}

/** One of its gateways: what is announced, and what the consensus in force has. */
interface Place {
  announced: IdentityHex | undefined;
  linked: IdentityHex | undefined;
}

export class GatewayPlan {
  readonly #places: readonly Place[];

  constructor(private readonly options: GatewayPlanOptions) {
    const { fixed } = options;
    const count = fixed?.length ?? MAX_REQUESTER_GATEWAYS;
    this.#places = Array.from({ length: count }, (_, i) => ({ announced: fixed?.[i], linked: undefined }));
  }

  /** What the descriptor says; empty before there was a choice. */
  get announced(): readonly IdentityHex[] {
    return this.#places.flatMap(({ announced }) => announced ?? []);
  }

  /**
   * Before there is an endpoint: the gateways we are known by, so that a restart changes nothing; else some of `usable`. Whether there
   * is one.
   */
  settle(topology: Topology | undefined, usable: readonly IdentityHex[]): boolean {
    const known = topology === undefined ? [] : this.#named(topology).map(({ id }) => id);
    for (const place of this.#places) place.announced ??= this.#another(known) ?? this.#another(usable);
    return this.announced.length > 0;
  }

  /**
   * While there is no consensus: gateways announced stay if they are among `usable`, else others of them are. Whether `announced` has
   * changed.
   */
  resettle(usable: readonly IdentityHex[]): boolean {
    if (this.options.fixed !== undefined) return false;
    return this.#changes(() => {
      for (const place of this.#places) {
        if (place.announced !== undefined && usable.includes(place.announced)) continue;
        place.announced = this.#another(usable) ?? place.announced;
      }
    });
  }

  /** The gateways to link to under this consensus, each at its place. Announce anew if `announced` has changed. */
  choose(topology: Topology): readonly (NodeEntry | undefined)[] {
    const named = this.#named(topology).map(({ id }) => id);
    for (const place of this.#places) {
      if (place.linked === undefined || !named.includes(place.linked)) place.linked = undefined;
    }
    const isFree = (id: IdentityHex) => named.includes(id) && this.#places.every(({ linked }) => linked !== id);
    for (const place of this.#places) {
      if (place.linked === undefined && place.announced !== undefined && isFree(place.announced))
        place.linked = place.announced;
    }
    for (const place of this.#places) place.linked ??= named.find(isFree) ?? this.#listedAt(place, topology);
    return this.#places.map(({ linked }) => (linked === undefined ? undefined : topology.byId(linked)));
  }

  /** The gateway `linked` has been away for `downMs`, or is there (0). Whether `announced` has changed. */
  review(topology: Topology, linked: IdentityHex, downMs: number): boolean {
    const place = this.#places.find((one) => one.linked === linked);
    if (this.options.fixed !== undefined || place === undefined) return false;
    return this.#changes(() => {
      if (downMs === 0) place.announced = linked;
      else if (downMs >= ANNOUNCE_ANOTHER_AFTER_MS && place.announced === linked)
        place.announced = this.#another(topology.soundGateways.map(({ id }) => id)) ?? linked;
    });
  }

  /** Those that do not answer are not announced: the next `review` or consensus picks others. */
  giveUp(isSilent: (gateway: IdentityHex) => boolean): void {
    if (this.options.fixed !== undefined) return;
    for (const place of this.#places) {
      if (place.announced === undefined || place.announced === place.linked || !isSilent(place.announced)) continue;
      place.announced = place.linked;
    }
  }

  /** What the consensus does not name yet: what is announced, if it is listed, else another, which is announced. */
  #listedAt(place: Place, topology: Topology): IdentityHex | undefined {
    const isLinked = (id: IdentityHex) => this.#places.some(({ linked }) => linked === id);
    const { announced } = place;
    if (announced !== undefined && !isLinked(announced) && topology.byId(announced) !== undefined) return announced;
    if (this.options.fixed !== undefined) return undefined;
    const other = this.#another(topology.soundGateways.map(({ id }) => id).filter((id) => !isLinked(id)));
    place.announced = other ?? announced;
    return other;
  }

  /** One of `ids` that is at no place. */
  #another(ids: readonly IdentityHex[]): IdentityHex | undefined {
    const taken = new Set(this.#places.flatMap(({ announced, linked }) => [announced, linked]));
    return pick(
      this.options.rng,
      ids.filter((id) => !taken.has(id)),
    );
  }

  #changes(change: () => void): boolean {
    const before = this.announced.join();
    change();
    return this.announced.join() !== before;
  }

  /** The gateways that the consensus names for us. */
  #named(topology: Topology): NodeEntry[] {
    const { gateways = [] } = topology.byId(this.options.self) ?? {};
    return gateways.flatMap((id) => topology.byId(id) ?? []);
  }
}
