/**
 * What a client sends, sealed: packets to a requester, cover, replies over the blocks of others, and blocks of its own; over
 * the consensus and the gateway of the moment.
 * @module
 */
import { asBuffer } from '../bytes.ts';
import type { Components } from '../components.ts';
import type { NodeEntry, Topology } from '../directory/index.ts';
import { surbLifeMs } from '../params.ts';
import { expandSurb, type Recovery, Sphinx, surbPrefix } from '../sphinx/index.ts';
import type { Frame } from './lane-feeder.ts';
import type { EndpointMetrics } from './metrics.ts';
import type { PathHealth } from './path-health.ts';
import type { ReplyBlocks, ReplyReceiver } from './reply-blocks.ts';
import { RouteDrawer } from './routes.ts';
import { type Sealed, type SealedLoop, Sealer } from './sealer.ts';

/** Where the client stands. */
export interface Standpoint {
  readonly topology: Topology;
  readonly gateway: NodeEntry | undefined;
}

export interface OutgoingOptions {
  readonly components: Components;
  /** The client's own address. */
  readonly address: Uint8Array;
  readonly standpoint: Standpoint;
  readonly health: PathHealth;
  readonly replies: ReplyBlocks;
  readonly metrics: EndpointMetrics;
}

export class Outgoing {
  readonly #options: OutgoingOptions;
  readonly #sphinx: Sphinx;
  #sealer: Sealer;

  constructor(options: OutgoingOptions) {
    const { crypto, rng } = options.components;
    this.#options = options;
    this.#sphinx = new Sphinx(crypto, rng);
    this.#sealer = this.#sealerOf(options.address);
  }

  /** From now on what comes home is addressed to `address`. */
  become(address: Uint8Array): void {
    this.#sealer = this.#sealerOf(address);
  }

  /** A data packet to `requester`, with the reply blocks minted since the last one; undefined without a route. */
  to(requester: NodeEntry, plaintext: Uint8Array): Sealed | undefined {
    const sealed = this.#sealer.forward(this.#topology, this.#wallMs(), requester, plaintext);
    if (sealed !== undefined) this.#options.replies.shipped(sealed.nodes);
    return sealed;
  }

  drop(): Sealed | undefined {
    return this.#sealer.drop(this.#topology, this.#wallMs());
  }

  loop(): SealedLoop | undefined {
    const { gateway } = this.#options.standpoint;
    return gateway && this.#sealer.loop(this.#topology, this.#wallMs(), gateway);
  }

  /** A reply over a reply block that was given to us; undefined when its first hop is not a mix of layer 1. */
  reply(surb372: Uint8Array, plaintext: Uint8Array): Frame | undefined {
    const surb = expandSurb(surb372, (prefix) => this.#firstMix(prefix)?.address);
    if (surb === undefined) {
      this.#options.metrics.dropped.inc({ reason: 'surb-first-hop' });
      return undefined;
    }
    return this.#sphinx.useSurb(surb, plaintext, this.#topology.params.payloadBytes);
  }

  /**
   * Whether a reply over this block should be sent: blocks lead over all mixes of layer 1 alike, and one that our own
   * packets avoid would lose the reply, and tell our gateway that the packet is one.
   */
  mayReply(surb372: Uint8Array): boolean {
    const first = this.#firstMix(surbPrefix(surb372));
    if (first === undefined) return true; // `reply` counts it
    return this.#options.health.repliesOver(first, this.#options.components.rng);
  }

  /** A compact reply block whose reply goes to `receiver`; undefined without a route. */
  replyBlock(receiver: ReplyReceiver): Uint8Array | undefined {
    const { standpoint, replies, components } = this.#options;
    if (standpoint.gateway === undefined) return undefined;
    const minted = this.#sealer.surb(this.#topology, this.#wallMs(), standpoint.gateway);
    if (minted === undefined) return undefined;
    const nowMs = components.clock.nowMs();
    const { params } = this.#topology;
    replies.made(minted, receiver, nowMs, nowMs + surbLifeMs(params) + params.maxDelayMs);
    return minted.surb;
  }

  /** The plaintext of what came back; undefined when it was changed on the way. */
  recover(recovery: Recovery, packet: Uint8Array): Uint8Array | undefined {
    return this.#sphinx.recover(recovery, packet);
  }

  get #topology(): Topology {
    return this.#options.standpoint.topology;
  }

  #sealerOf(address: Uint8Array): Sealer {
    const { health, components } = this.#options;
    const drawer = new RouteDrawer(components.rng, (node, journey) => health.weight(node, journey));
    return new Sealer(this.#sphinx, drawer, components.rng, address);
  }

  #firstMix(prefix: Uint8Array): NodeEntry | undefined {
    const node = this.#topology.byPrefix(asBuffer(prefix).toString('latin1'));
    return node?.layer === 1 ? node : undefined;
  }

  #wallMs(): number {
    return this.#options.components.clock.wallMs();
  }
}
