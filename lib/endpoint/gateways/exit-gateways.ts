/**
 * Through which of its gateways each requester is reached: not through our own where there is another, since a gateway at both ends
 * could tell by times and counts who is at which exit.
 * @module
 */
import type { IdentityHex } from '../../core/bytes.ts';
import { pick, type Rng } from '../../core/rng.ts';
import type { NodeEntry, Topology } from '../../directory/index.ts';

/** After so many vain changes in a row an exit is reached through our own gateway, until the next consensus. */
export const MAX_VAIN_CHANGES = 3;

export class ExitGateways {
  /** How often there was no other gateway to change to, by requester. */
  readonly #vain = new Map<IdentityHex, number>();
  /** The one in use, by requester. */
  readonly #used = new Map<IdentityHex, IdentityHex>();

  constructor(private readonly rng: Rng) {}

  /** The gateway for packets to `requester`: drawn once, for as long as it may be used. Undefined when none is listed. */
  of(requester: NodeEntry, topology: Topology, own: NodeEntry | undefined): NodeEntry | undefined {
    const usable = this.#usable(requester, topology, own);
    const used = usable.find(({ id }) => id === this.#used.get(requester.id));
    return used ?? this.#use(requester, pick(this.rng, usable));
  }

  /** Takes another one, where there is one, since nothing comes back. Whether there was. */
  change(requester: NodeEntry, topology: Topology, own: NodeEntry | undefined): boolean {
    const used = this.of(requester, topology, own);
    const others = () => this.#usable(requester, topology, own).filter(({ id }) => id !== used?.id);
    if (others().length === 0) this.#vain.set(requester.id, (this.#vain.get(requester.id) ?? 0) + 1);
    return this.#use(requester, pick(this.rng, others())) !== undefined;
  }

  /** Not our own gateway, unless the only other one is dead. */
  #usable(requester: NodeEntry, topology: Topology, own: NodeEntry | undefined): NodeEntry[] {
    const isAlone = (this.#vain.get(requester.id) ?? 0) >= MAX_VAIN_CHANGES;
    return usableGateways(requester, topology, isAlone ? undefined : own);
  }

  /** A new consensus: forgets requesters that it does not list, and which gateways were dead. */
  adopt(topology: Topology): void {
    this.#vain.clear();
    for (const id of this.#used.keys()) if (topology.byId(id) === undefined) this.#used.delete(id);
  }

  #use(requester: NodeEntry, gateway: NodeEntry | undefined): NodeEntry | undefined {
    if (gateway !== undefined) this.#used.set(requester.id, gateway.id);
    return gateway;
  }
}

/** Not our own, and not one marked as lossy, as far as that leaves any. */
function usableGateways({ gateways = [] }: NodeEntry, topology: Topology, own: NodeEntry | undefined): NodeEntry[] {
  const listed = gateways.flatMap((id) => topology.byId(id) ?? []);
  const apart = listed.filter(({ id }) => id !== own?.id);
  const best = apart.length > 0 ? apart : listed;
  const sound = best.filter(({ lossy }) => !lossy);
  return sound.length > 0 ? sound : best;
}

/** Whether our own gateway is the only one through which `requester` is reached: it sees both ends. */
export function sharesGateway({ gateways = [] }: NodeEntry, own: NodeEntry | undefined): boolean {
  return own !== undefined && gateways.every((id) => id === own.id);
}
