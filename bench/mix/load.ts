/**
 * The load generators around a mixnode: packets that go through it and end here, and how late they come.
 * @module
 */
import { until } from '../harness/localnet.ts';
import type { PeerLink } from '../harness/modules.ts';
import type { Scope } from '../harness/scope.ts';
import type { MixNetwork } from './network.ts';

const LINK_TIMEOUT_MS = 60_000;
/** Packets queued towards the mix at most. */
const QUEUE_FRAMES = 16_384;

interface Travelling {
  readonly sentMs: number;
  readonly delayMs: number;
}

/** Sends packets to the mix and takes what it sends on. */
export class MixLoad {
  readonly #network: MixNetwork;
  readonly #peer: PeerLink;
  readonly #sphinx: InstanceType<MixNetwork['modules']['sphinx']['Sphinx']>;
  /** The Sphinx key of the node behind the mix, which is us. */
  readonly #secret: Uint8Array;
  readonly #publicKey: Uint8Array;
  /** By identifier, those whose delay is to be judged. */
  readonly #travelling = new Map<string, Travelling>();
  /** Milliseconds beyond the drawn delay, of packets that were marked. */
  readonly excessMs: number[] = [];
  /** Packets that came out of the mix. */
  received = 0;

  private constructor(network: MixNetwork, peer: PeerLink) {
    const { crypto, sphinx, rng } = network.modules;
    const libraries = crypto.createCrypto('fastest');
    this.#network = network;
    this.#peer = peer;
    this.#sphinx = new sphinx.Sphinx(libraries, rng);
    this.#secret = rng.bytes(32);
    this.#publicKey = libraries.x25519Base(this.#secret);
  }

  /** Listens as the next node, dials as the one before, and waits until the mix has both links. */
  static async start(scope: Scope, network: MixNetwork): Promise<MixLoad> {
    const { modules, gateway, sink, sinkAddress, mix, networkId, packetBytes } = network;
    const common = { networkId, packetBytes, clock: modules.clock, log: modules.log };
    const peer = modules.dialNode({
      ...common,
      identity: gateway,
      rng: modules.rng,
      queueFrames: QUEUE_FRAMES,
      target: mix,
    });
    scope.teardown(() => peer.stop());
    const load = new MixLoad(network, peer);
    let linked = false;
    const listener = await modules.listen({
      ...common,
      identity: sink,
      ...sinkAddress,
      admit: () => true,
      onLink(link) {
        if (link.kind !== 'node') return;
        linked = true;
        link.onFrame((packet) => load.#take(packet));
      },
    });
    scope.teardown(() => listener.close());
    await until('links to and from the mix', LINK_TIMEOUT_MS, () => linked && peer.isUp());
    return load;
  }

  /** A packet through the mix, and its identifier. */
  make(delayMs: number): { readonly packet: Uint8Array; readonly identifier: Uint8Array; readonly delayMs: number } {
    const { modules, mixAddress, mixKey, sink, payloadBytes } = this.#network;
    const identifier = modules.rng.bytes(16);
    const packet = this.#sphinx.createPacket({
      route: [
        { address: mixAddress, publicKey: mixKey, delayNs: Math.round(delayMs * 1e6) },
        { address: sink.publicKey, publicKey: this.#publicKey, delayNs: 0 },
      ],
      destination: sink.publicKey,
      identifier,
      message: new Uint8Array(0),
      payloadBytes,
    });
    return { packet, identifier, delayMs };
  }

  /** A packet that the mix unwraps like any other, and that nobody behind it reads: made in half the time. */
  makeUnread(delayMs: number): Uint8Array {
    const { mixAddress, mixKey, sink, payloadBytes } = this.#network;
    const route = [{ address: mixAddress, publicKey: mixKey, delayNs: Math.round(delayMs * 1e6) }];
    const self = { address: sink.publicKey };
    return this.#sphinx.createLoop({ route, self, message: new Uint8Array(0), payloadBytes }).packet;
  }

  send(packet: Uint8Array): void {
    this.#peer.send(packet);
  }

  /** Sends a packet and judges, when it comes, how late that is. */
  sendMarked({ packet, identifier, delayMs }: ReturnType<MixLoad['make']>): void {
    this.#travelling.set(Buffer.from(identifier).toString('hex'), { sentMs: performance.now(), delayMs });
    this.#peer.send(packet);
  }

  #take(packet: Uint8Array): void {
    const nowMs = performance.now();
    this.received += 1;
    if (this.#travelling.size === 0) return;
    const opened = this.#sphinx.openHeader(this.#secret, packet);
    if (typeof opened === 'string') return;
    const final = this.#sphinx.finish(opened, packet);
    if (final.kind !== 'final') return;
    const key = Buffer.from(final.identifier).toString('hex');
    const sent = this.#travelling.get(key);
    if (sent !== undefined) this.excessMs.push(nowMs - sent.sentMs - sent.delayMs);
    this.#travelling.delete(key);
  }
}
