/**
 * Makes the packets of a client: a route for each, drawn over the consensus and the gateway of the moment, with the keys of
 * the current epoch; and the replies over reply blocks of others.
 * @module
 */
import { asBuffer } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { epochAt } from '../core/params.ts';
import { pick, type Rng } from '../core/rng.ts';
import type { NodeEntry, Topology } from '../directory/index.ts';
import { drawnDelayMs, type RouteHop, toSphinxHops } from '../mixing/index.ts';
import {
  compactSurb,
  expandSurb,
  type Recovery,
  type Sphinx,
  type SphinxHop,
  surbPrefix,
  unlessBadKey,
} from '../sphinx/index.ts';
import type { RouteKind } from './health/path-health.ts';
import type { LaneFrame } from './lane-feeder.ts';
import type { RouteDrawer } from './routes.ts';

/** A packet that is ready to leave. */
export interface Sealed {
  /** Identity of the first mix: which the gateway reads. */
  readonly firstHop: Uint8Array;
  readonly packet: Uint8Array;
  /** Sum of the delays drawn for it. */
  readonly delayMs: number;
  readonly nodes: readonly NodeEntry[];
}

export interface SealedLoop extends Sealed {
  readonly recovery: Recovery;
}

export interface CreatedSurb {
  /** 372 bytes: SPHINX 9.1 with the first hop named by a prefix of its identity. */
  readonly surb: Uint8Array;
  readonly recovery: Recovery;
  readonly delayMs: number;
  readonly nodes: readonly NodeEntry[];
}

/** What routes are drawn over, as it is now. */
export interface NetworkView {
  readonly topology: Topology;
  /** Through which loops and replies come back. */
  readonly gateway: NodeEntry | undefined;
}

export interface SealerOptions {
  readonly sphinx: Sphinx;
  readonly drawer: RouteDrawer;
  readonly rng: Rng;
  readonly clock: Pick<Clock, 'wallMs'>;
  /** The client's own, in a Sphinx header. */
  readonly address: Uint8Array;
  readonly view: NetworkView;
}

interface Drawn {
  readonly route: RouteHop[];
  readonly hops: SphinxHop[];
}

const EMPTY = new Uint8Array(0);
const IDENTIFIER_BYTES = 16;

/**
 * Every method that makes something gives undefined when the network has no usable route now: a layer is empty, or a node
 * has no key for the epoch, or one of small order.
 */
export class Sealer {
  #address: Uint8Array;

  constructor(private readonly options: SealerOptions) {
    this.#address = options.address;
  }

  /** From now on loops and replies are addressed to `address`. */
  setAddress(address: Uint8Array): void {
    this.#address = address;
  }

  /** A data packet: three mixes, a gateway of the requester, the requester. */
  forward(requester: NodeEntry, gateway: NodeEntry | undefined, plaintext: Uint8Array): Sealed | undefined {
    return gateway === undefined ? undefined : this.#packet([gateway, requester], plaintext);
  }

  /** Drop cover: ends at a random gateway, which discards it. */
  drop(): Sealed | undefined {
    const gateway = pick(this.options.rng, this.#topology.soundGateways);
    return gateway === undefined ? undefined : this.#packet([gateway], EMPTY);
  }

  /** Loop cover: through the gateway back to this client. */
  loop(): SealedLoop | undefined {
    const drawn = this.#drawBack('loop');
    if (drawn === undefined) return undefined;
    const { payloadBytes } = this.#topology.params;
    const self = { address: this.#address };
    const { sphinx } = this.options;
    const made = unlessBadKey(() => sphinx.createLoop({ route: drawn.hops, self, message: EMPTY, payloadBytes }));
    return made === undefined ? undefined : { ...sealed(drawn.route, made.packet), recovery: made.recovery };
  }

  /** A reply block that leads through the gateway to this client. */
  surb(): CreatedSurb | undefined {
    const drawn = this.#drawBack('reply');
    if (drawn === undefined) return undefined;
    const self = { address: this.#address };
    const made = unlessBadKey(() => this.options.sphinx.createSurb({ route: drawn.hops, self }));
    if (made === undefined) return undefined;
    const nodes = drawn.route.map((hop) => hop.node);
    return { surb: compactSurb(made.surb), recovery: made.recovery, delayMs: drawnDelayMs(drawn.route), nodes };
  }

  /** A reply over a block of someone else; undefined when its first hop is not a mix of layer 1. */
  reply(surb372: Uint8Array, plaintext: Uint8Array): LaneFrame | undefined {
    const surb = expandSurb(surb372, () => this.firstMixOf(surb372)?.address);
    if (surb === undefined) return undefined;
    return this.options.sphinx.useSurb(surb, plaintext, this.#topology.params.payloadBytes);
  }

  /** The mix that a reply over this block enters the network at; undefined when there is no such mix of layer 1. */
  firstMixOf(surb372: Uint8Array): NodeEntry | undefined {
    const node = this.#topology.byPrefix(asBuffer(surbPrefix(surb372)).toString('latin1'));
    return node?.layer === 1 ? node : undefined;
  }

  /** The plaintext of what came back; undefined when it was changed on the way. */
  recover(recovery: Recovery, packet: Uint8Array): Uint8Array | undefined {
    return this.options.sphinx.recover(recovery, packet);
  }

  get #topology(): Topology {
    return this.options.view.topology;
  }

  #packet(tail: NodeEntry[], message: Uint8Array): Sealed | undefined {
    const drawn = this.#draw(tail, 'forward');
    const last = tail.at(-1);
    if (drawn === undefined || last === undefined) return undefined;
    const packet = unlessBadKey(() =>
      this.options.sphinx.createPacket({
        route: drawn.hops,
        destination: last.address,
        identifier: this.options.rng.bytes(IDENTIFIER_BYTES),
        message,
        payloadBytes: this.#topology.params.payloadBytes,
      }),
    );
    return packet === undefined ? undefined : sealed(drawn.route, packet);
  }

  #drawBack(kind: RouteKind): Drawn | undefined {
    const { gateway } = this.options.view;
    return gateway && this.#draw([gateway], kind);
  }

  #draw(tail: NodeEntry[], kind: RouteKind): Drawn | undefined {
    const topology = this.#topology;
    const route = this.options.drawer.draw(topology, tail, kind);
    if (route === undefined) return undefined;
    const hops = toSphinxHops(route, epochAt(this.options.clock.wallMs(), topology.params.epochMs));
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
