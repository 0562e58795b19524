/**
 * The accepting side of links: who knocks is authenticated, says hello, is asked for by `admit`, and only then becomes
 * a link. Whatever is wrong is counted under a reason and closed without an answer.
 * @module
 */
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { IdentityHex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { MixError, systemCode } from '../errors.ts';
import type { Log } from '../log.ts';
import { type FrameSocket, tuneSocket } from './frame-socket.ts';
import { Greeting } from './greeting.ts';
import type { NodeIdentity } from './identity.ts';
import { AcceptedClientLink, type AcceptedLink, AcceptedNodeLink } from './inbound-link.ts';
import { DEFAULT_LINK_LIMITS } from './limits.ts';
import type { LinkMetrics } from './metrics.ts';
import { PEER_OPTIONS, secureOptionsOf, verifyPeer } from './tls.ts';
import type { InboundLink, LinkKind, LinkLimits } from './types.ts';

export interface ListenOptions {
  readonly identity: NodeIdentity;
  readonly host: string;
  readonly port: number;
  readonly networkId: Uint8Array;
  readonly packetBytes: number;
  readonly log: Log;
  readonly clock: Clock;
  readonly metrics?: LinkMetrics;
  readonly limits?: Partial<LinkLimits>;
  /** Whether this peer may connect in this role; asked after its key is proven. */
  readonly admit: (peer: IdentityHex, kind: LinkKind) => boolean;
  readonly onLink: (link: InboundLink) => void;
}

export interface LinkListener {
  readonly host: string;
  readonly port: number;
  /** Asks `admit` again for every open link and closes those it refuses now: call it when the topology changed. */
  recheck(): void;
  /** Closes the listener and all its links. */
  close(): Promise<void>;
}

/** Listens for links; throws MixError LISTEN when the address cannot be bound. */
export async function listenLinks(options: ListenOptions): Promise<LinkListener> {
  const acceptor = new Acceptor(options);
  await acceptor.listen();
  return acceptor;
}

class Acceptor implements LinkListener {
  readonly #options: ListenOptions;
  readonly #limits: LinkLimits;
  readonly #server: Server;
  #port = 0;
  /** Every TCP connection, from accept to close. */
  readonly #connections = new Set<Socket>();
  /** Links by kind and peer: one per pair, the newest. */
  readonly #links = new Map<string, AcceptedLink>();

  constructor(options: ListenOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LINK_LIMITS, ...options.limits };
    const { handshakeTimeoutMs, maxConnections } = this.#limits;
    const tlsOptions = {
      ...secureOptionsOf(options.identity),
      ...PEER_OPTIONS,
      ALPNProtocols: [...PEER_OPTIONS.ALPNProtocols],
    };
    this.#server = createServer({ ...tlsOptions, handshakeTimeout: handshakeTimeoutMs });
    this.#server.maxConnections = maxConnections;
    this.#server.on('connection', (socket: Socket) => this.#onConnection(socket));
    this.#server.on('drop', () => this.#refuse('too-many-connections'));
    this.#server.on('tlsClientError', (error, socket) => this.#onTlsError(error, socket));
    this.#server.on('secureConnection', (socket) => this.#onSecure(socket));
  }

  get host(): string {
    return this.#options.host;
  }

  get port(): number {
    return this.#port;
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options;
    this.#server.listen({ host, port });
    try {
      await once(this.#server, 'listening');
    } catch (error) {
      throw new MixError('LISTEN', `cannot listen on ${host}:${port}: ${systemCode(error) ?? 'error'}`, error);
    }
    this.#port = (this.#server.address() as AddressInfo).port;
    this.#server.on('error', (error) => this.#options.log.error({ code: systemCode(error) }, 'link listener failed'));
  }

  recheck(): void {
    for (const link of this.#links.values()) {
      if (!this.#options.admit(link.peer, link.kind)) link.socket.close('not-admitted');
    }
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const link of this.#links.values()) link.close();
    for (const socket of this.#connections) socket.destroy();
    await closed;
  }

  #onConnection(socket: Socket): void {
    if (this.#connections.size - this.#links.size >= this.#limits.maxPendingHandshakes) {
      this.#refuse('too-many-handshakes');
      socket.destroy();
      return;
    }
    this.#connections.add(socket);
    socket.on('close', () => this.#connections.delete(socket));
    socket.on('error', () => socket.destroy()); // counted where the TLS socket reports it
  }

  #onTlsError(error: Error, socket: TLSSocket): void {
    this.#refuse(systemCode(error) === 'ERR_TLS_HANDSHAKE_TIMEOUT' ? 'handshake-timeout' : 'tls-error');
    socket.destroy();
  }

  #onSecure(socket: TLSSocket): void {
    const verdict = verifyPeer(socket);
    if ('fault' in verdict) {
      this.#refuse(verdict.fault);
      socket.on('error', () => {}); // the peer may still be sending
      socket.destroy();
      return;
    }
    tuneSocket(socket);
    this.#greet(socket, verdict.peer);
  }

  #greet(socket: TLSSocket, peer: IdentityHex): void {
    const { clock, networkId, packetBytes, admit } = this.#options;
    let link: AcceptedLink | undefined;
    new Greeting({
      socket,
      terms: { networkId, packetBytes },
      clock,
      limits: this.#limits,
      admit: (kind) => admit(peer, kind),
      onUp: (frames, kind) => {
        link = this.#open(frames, kind, peer);
      },
      onFrame: (frame) => link?.receive(frame),
      onDown: (reason) => (link === undefined ? this.#refuse(reason) : this.#ended(link, reason)),
    });
  }

  #open(frames: FrameSocket, kind: LinkKind, peer: IdentityHex): AcceptedLink {
    const { packetBytes, metrics, onLink } = this.#options;
    const Link = kind === 'node' ? AcceptedNodeLink : AcceptedClientLink;
    const link = new Link(peer, frames, packetBytes, metrics);
    // A peer that dials again has lost the old link, even if we have not noticed.
    this.#links.get(keyOf(link))?.socket.close('replaced');
    this.#links.set(keyOf(link), link);
    onLink(link);
    return link;
  }

  #ended(link: AcceptedLink, reason: string): void {
    if (this.#links.get(keyOf(link)) === link) this.#links.delete(keyOf(link));
    link.ended(reason);
  }

  #refuse(reason: string): void {
    this.#options.metrics?.refused.inc({ reason });
    this.#options.log.debug({ reason }, 'connection refused');
  }
}

function keyOf(link: AcceptedLink): string {
  return `${link.kind} ${link.peer}`;
}
