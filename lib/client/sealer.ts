/**
 * Makes the packets of a client: draws a route for each, with the keys of the current epoch, and seals the message.
 * @module
 */
import type { NodeEntry, Topology } from '../directory/index.ts';
import { epochAt } from '../params.ts';
import { pick, type Rng } from '../rng.ts';
import { compactSurb, type Recovery, type Sphinx, type SphinxHop, unlessBadKey } from '../sphinx/index.ts';
import type { Journey } from './path-health.ts';
import { drawnDelayMs, type RouteDrawer, type RouteHop, toSphinxHops } from './routes.ts';

/** A packet that is ready to leave. */
export interface Sealed {
  /** Identity of the first mix: what the gateway is told. */
  readonly firstHop: Uint8Array;
  readonly packet: Uint8Array;
  /** Sum of the delays drawn for it. */
  readonly delayMs: number;
  readonly nodes: readonly NodeEntry[];
}

export interface SealedLoop extends Sealed {
  readonly recovery: Recovery;
}

export interface MintedSurb {
  /** 372 bytes: SPHINX 9.1 with the first hop named by a prefix of its identity. */
  readonly surb: Uint8Array;
  readonly recovery: Recovery;
  readonly delayMs: number;
  readonly nodes: readonly NodeEntry[];
}

const EMPTY = new Uint8Array(0);
const IDENTIFIER_BYTES = 16;

/**
 * Every method gives undefined when the network has no usable route now: a layer is empty, or a node has no key for the
 * epoch, or one of small order.
 */
export class Sealer {
  constructor(
    readonly sphinx: Sphinx,
    readonly drawer: RouteDrawer,
    readonly rng: Rng,
    readonly selfAddress: Uint8Array,
  ) {}

  /** A data packet: three mixes, the requester's gateway, the requester. */
  forward(topology: Topology, wallMs: number, requester: NodeEntry, plaintext: Uint8Array): Sealed | undefined {
    const gateway = requester.gateway === undefined ? undefined : topology.byId(requester.gateway);
    if (gateway === undefined) return undefined;
    return this.#packet(topology, wallMs, [gateway, requester], plaintext);
  }

  /** Drop cover: ends at a random gateway, which discards it. */
  drop(topology: Topology, wallMs: number): Sealed | undefined {
    const gateway = pick(this.rng, topology.soundGateways);
    return gateway === undefined ? undefined : this.#packet(topology, wallMs, [gateway], EMPTY);
  }

  /** Loop cover: through `gateway` back to this client. */
  loop(topology: Topology, wallMs: number, gateway: NodeEntry): SealedLoop | undefined {
    const drawn = this.#draw(topology, wallMs, [gateway], 'round');
    if (drawn === undefined) return undefined;
    const { payloadBytes } = topology.params;
    const self = { address: this.selfAddress };
    const made = unlessBadKey(() => this.sphinx.createLoop({ route: drawn.hops, self, message: EMPTY, payloadBytes }));
    return made === undefined ? undefined : { ...sealed(drawn.route, made.packet), recovery: made.recovery };
  }

  /** A reply block that leads through `gateway` to this client. */
  surb(topology: Topology, wallMs: number, gateway: NodeEntry): MintedSurb | undefined {
    const drawn = this.#draw(topology, wallMs, [gateway], 'home');
    if (drawn === undefined) return undefined;
    const self = { address: this.selfAddress };
    const made = unlessBadKey(() => this.sphinx.createSurb({ route: drawn.hops, self }));
    if (made === undefined) return undefined;
    const nodes = drawn.route.map((hop) => hop.node);
    return { surb: compactSurb(made.surb), recovery: made.recovery, delayMs: drawnDelayMs(drawn.route), nodes };
  }

  #packet(topology: Topology, wallMs: number, tail: NodeEntry[], message: Uint8Array): Sealed | undefined {
    const drawn = this.#draw(topology, wallMs, tail, 'out');
    const last = tail.at(-1);
    if (drawn === undefined || last === undefined) return undefined;
    const packet = unlessBadKey(() =>
      this.sphinx.createPacket({
        route: drawn.hops,
        destination: last.address,
        identifier: this.rng.bytes(IDENTIFIER_BYTES),
        message,
        payloadBytes: topology.params.payloadBytes,
      }),
    );
    return packet === undefined ? undefined : sealed(drawn.route, packet);
  }

  #draw(
    topology: Topology,
    wallMs: number,
    tail: NodeEntry[],
    journey: Journey,
  ): { route: RouteHop[]; hops: SphinxHop[] } | undefined {
    const route = this.drawer.draw(topology, tail, journey);
    if (route === undefined) return undefined;
    const hops = toSphinxHops(route, epochAt(wallMs, topology.params.epochMs));
    return hops === undefined ? undefined : { route, hops };
  }
}

function sealed(route: readonly RouteHop[], packet: Uint8Array): Sealed {
  const first = route[0] as RouteHop;
  return {
    firstHop: first.node.address,
    packet,
    delayMs: drawnDelayMs(route),
    nodes: route.map((hop) => hop.node),
  };
}
