/**
 * Which gateway a requester is reached through. What counts is the one that the consensus in force names for it: there
 * the proxies' packets arrive. When that one stays away, another is announced, and taken with the consensus that names
 * it; until then the link to the old one is tried, because only there anything can come in.
 * @module
 */
import type { IdentityHex } from '../lib/bytes.ts';
import type { NodeEntry, Topology } from '../lib/directory/index.ts';
import { pick, type Rng } from '../lib/rng.ts';

/** A gateway that is away for longer than a restart takes: another is announced. */
export const ANNOUNCE_ANOTHER_AFTER_MS = 60_000;

export interface GatewayPlanOptions {
  /** The requester. */
  readonly self: IdentityHex;
  /** By configuration: never another. */
  readonly fixed?: IdentityHex;
  readonly rng: Rng;
}

export class GatewayPlan {
  readonly #options: GatewayPlanOptions;
  #announced: IdentityHex | undefined;

  constructor(options: GatewayPlanOptions) {
    this.#options = options;
    this.#announced = options.fixed;
  }

  /** What the descriptor says; undefined before there was a choice. */
  get announced(): IdentityHex | undefined {
    return this.#announced;
  }

  /** Before there is an endpoint: the gateway we are known by, so that a restart changes nothing; else one of `usable`. */
  settle(topology: Topology | undefined, usable: readonly IdentityHex[]): IdentityHex | undefined {
    const known = topology === undefined ? undefined : this.#named(topology)?.id;
    this.#announced ??= known ?? pick(this.#options.rng, usable);
    return this.#announced;
  }

  /**
   * While there is no consensus: the gateway announced stays if it is among `usable`, else it is another of them. Whether
   * `announced` has changed.
   */
  resettle(usable: readonly IdentityHex[]): boolean {
    if (this.#options.fixed !== undefined || this.#announced === undefined) return false;
    if (usable.includes(this.#announced)) return false;
    const before = this.#announced;
    this.#announced = pick(this.#options.rng, usable) ?? before;
    return this.#announced !== before;
  }

  /** The gateway to link to under this consensus. Announce anew if `announced` has changed. */
  choose(topology: Topology): NodeEntry | undefined {
    const wanted = this.#named(topology) ?? this.#byId(topology, this.#announced);
    if (wanted !== undefined || this.#options.fixed !== undefined) return wanted;
    const other = pick(this.#options.rng, topology.soundGateways);
    this.#announced = other?.id ?? this.#announced;
    return other;
  }

  /** `linked` has been away for `downMs`, or is there (0). Whether `announced` has changed. */
  review(topology: Topology, linked: IdentityHex, downMs: number): boolean {
    if (this.#options.fixed !== undefined) return false;
    const before = this.#announced;
    if (downMs === 0) this.#announced = linked;
    else if (downMs >= ANNOUNCE_ANOTHER_AFTER_MS && before === linked) {
      const others = topology.soundGateways.filter((node) => node.id !== linked);
      this.#announced = pick(this.#options.rng, others)?.id ?? linked;
    }
    return this.#announced !== before;
  }

  /** The gateway that the consensus names for us. */
  #named(topology: Topology): NodeEntry | undefined {
    return this.#byId(topology, topology.byId(this.#options.self)?.gateway);
  }

  #byId(topology: Topology, id: IdentityHex | undefined): NodeEntry | undefined {
    return id === undefined ? undefined : topology.byId(id);
  }
}
