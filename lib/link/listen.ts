/**
 * The accepting side of links: a peer is authenticated, sends its hello, is admitted by `admit`, and only then becomes
 * a link. Whatever is wrong is counted under a reason and closed without an answer.
 * @module
 */
import type { Socket } from 'node:net';
import type { Server, TLSSocket } from 'node:tls';
import type { IdentityHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { systemCode } from '../core/errors.ts';
import type { MemoryBudget } from '../core/memory-budget.ts';
import type { HostPort } from '../net/address.ts';
import { ConnectionBounds } from '../net/connection-bounds.ts';
import type { Log } from '../telemetry/log.ts';
import { type FrameSocket, tuneSocket } from './frame-socket.ts';
import type { Hello, HelloTerms } from './hello.ts';
import type { NodeIdentity } from './identity.ts';
import { InboundHandshake } from './inbound-handshake.ts';
import { AcceptedClientLink, type AcceptedLink, AcceptedNodeLink } from './inbound-link.ts';
import { groupsOf, type KeyExchange, NO_COMMON_GROUP } from './key-exchange.ts';
import { DEFAULT_LINK_LIMITS } from './limits.ts';
import { LinkServers } from './link-servers.ts';
import type { LinkMetrics } from './metrics.ts';
import { LinkRefusalLog } from './refusal-log.ts';
import { PEER_OPTIONS, secureOptionsOf, verifyPeer } from './tls.ts';
import type { AdmitVerdict, ClientTerms, HelloKind, InboundLink, LinkKind, LinkLimits } from './types.ts';

export interface ListenOptions extends HelloTerms {
  readonly identity: NodeIdentity;
  readonly host: string;
  readonly port: number;
  /** Further addresses to listen on, under the same limits: they bound what all of them take together. */
  readonly also?: readonly HostPort[];
  readonly keyExchange: KeyExchange;
  readonly log: Log;
  readonly clock: Clock;
  readonly metrics?: LinkMetrics;
  readonly memory?: MemoryBudget;
  readonly limits?: Partial<LinkLimits>;
  /** Whether this peer may connect in this role, and as a client on these terms; asked after its key is proven. */
  readonly admit: (peer: IdentityHex, kind: HelloKind, client?: ClientTerms) => AdmitVerdict | Promise<AdmitVerdict>;
  /** What a peer that is admitted for it gets behind our hello. */
  readonly countersign?: (peer: IdentityHex) => Uint8Array;
  readonly onLink: (link: InboundLink) => void;
  /** Whether a source (`sourceOf`) is that of a node which may dial us: seats are kept for those. */
  readonly isNeighbour?: (source: string) => boolean;
}

export interface LinkListener {
  readonly host: string;
  readonly port: number;
  /** All addresses, `host` and `port` first. */
  readonly addresses: readonly HostPort[];
  /** Asks `admit` again for every open link and closes those it refuses now: call it when the topology changed. */
  recheck(): void;
  /** Takes no further connections, gives up those that are no links yet, and closes the links of this kind. */
  finish(kind: LinkKind): void;
  /** Closes the listener and all its links. */
  close(): Promise<void>;
}

/** Listens for links; throws MixError LISTEN when an address cannot be bound. */
export async function listenLinks(options: ListenOptions): Promise<LinkListener> {
  const acceptor = new Acceptor(options);
  await acceptor.listen();
  return acceptor;
}

const REFUSALS = {
  'source-full': 'too-many-of-source',
  'pending-full': 'too-many-handshakes',
  evicted: 'too-many-handshakes',
  full: 'too-many-connections',
} as const;

const TLS_REFUSALS: Readonly<Record<string, string>> = {
  ERR_TLS_HANDSHAKE_TIMEOUT: 'handshake-timeout',
  ERR_SSL_NO_SUITABLE_KEY_SHARE: NO_COMMON_GROUP,
};

class Acceptor implements LinkListener {
  readonly #limits: LinkLimits;
  readonly #servers: LinkServers;
  readonly #refusals: LinkRefusalLog;
  readonly #bounds: ConnectionBounds;
  /** Every TCP connection that has a seat, by its ends. */
  readonly #connections = new Map<string, Socket>();
  /** Those whose TLS handshake is done. */
  readonly #secured = new WeakSet<Socket>();
  /** Those that became links. */
  readonly #linked = new WeakSet<Socket>();
  /** Those that lost their seat, which is what they are counted under. */
  readonly #evicted = new WeakSet<Socket>();
  /** Of these, the ones that TLS will yet report as reset, without saying which they are. */
  #resetsToCome = 0;
  /** Links by kind and peer: one per pair, the newest. */
  readonly #links = new Map<string, AcceptedLink>();

  constructor(private readonly options: ListenOptions) {
    this.#refusals = new LinkRefusalLog(options.clock, options.log, options.keyExchange);
    this.#limits = { ...DEFAULT_LINK_LIMITS, ...options.limits };
    const { handshakeTimeoutMs } = this.#limits;
    const tlsOptions = {
      ...secureOptionsOf(options.identity, options.keyExchange),
      ...PEER_OPTIONS,
      ALPNProtocols: [...PEER_OPTIONS.ALPNProtocols],
    };
    this.#bounds = this.#newBounds();
    const { host, port, also = [] } = options;
    this.#servers = new LinkServers(
      { ...tlsOptions, handshakeTimeout: handshakeTimeoutMs },
      [{ host, port }, ...also],
      (server) => this.#prepare(server),
    );
  }

  get host(): string {
    return this.options.host;
  }

  get port(): number {
    return this.addresses[0]?.port ?? 0;
  }

  get addresses(): readonly HostPort[] {
    return this.#servers.addresses;
  }

  async listen(): Promise<void> {
    const { log } = this.options;
    await this.#servers.listen((error) => log.error({ code: systemCode(error) }, 'link listener failed'));
  }

  recheck(): void {
    for (const link of this.#links.values()) {
      const verdict = this.options.admit(link.peer, link.kind, link.kind === 'client' ? link.client : undefined);
      if (verdict instanceof Promise) void verdict.then((late) => late === true || link.socket.close('not-admitted'));
      else if (verdict !== true) link.socket.close('not-admitted');
    }
  }

  finish(kind: LinkKind): void {
    void this.#servers.close();
    for (const socket of this.#connections.values()) {
      if (this.#linked.has(socket)) continue;
      this.#refuse('stopping');
      this.#loseSeat(socket);
      socket.destroy();
    }
    for (const link of this.#links.values()) if (link.kind === kind) link.close();
  }

  async close(): Promise<void> {
    const closed = this.#servers.close();
    for (const link of this.#links.values()) link.close();
    for (const socket of this.#connections.values()) socket.destroy();
    this.#bounds.close();
    await closed;
  }

  #prepare(server: Server): void {
    server.prependListener('connection', (socket: Socket) => this.#onConnection(socket));
    this.#bounds.guard(server);
    server.on('tlsClientError', (error, socket) => this.#onTlsError(error, socket));
    server.on('secureConnection', (socket) => this.#onSecure(socket));
  }

  #newBounds(): ConnectionBounds {
    const { clock, isNeighbour } = this.options;
    const { maxConnections, maxPendingHandshakes, maxConnectionsPerSource, reservedConnections } = this.#limits;
    return new ConnectionBounds({
      limits: {
        total: maxConnections,
        pending: maxPendingHandshakes,
        perSource: maxConnectionsPerSource,
        reserved: reservedConnections,
      },
      clock,
      ...(isNeighbour === undefined ? {} : { isNeighbour }),
      onRefused: (reason, socket) => this.#onUnseated(reason, socket),
    });
  }

  #onUnseated(reason: keyof typeof REFUSALS, socket: Socket): void {
    this.#refuse(REFUSALS[reason]);
    if (reason === 'evicted') this.#loseSeat(socket);
  }

  /** What TLS or the handshake will yet report of it has been counted. */
  #loseSeat(socket: Socket): void {
    this.#evicted.add(socket);
    if (!this.#secured.has(socket)) this.#resetsToCome += 1;
  }

  #onConnection(socket: Socket): void {
    const ends = endsOf(socket);
    this.#connections.set(ends, socket);
    socket.on('close', () => this.#connections.delete(ends));
    socket.on('error', () => socket.destroy()); // counted where the TLS socket reports it
  }

  #onTlsError(error: Error, socket: TLSSocket): void {
    if (systemCode(error) === 'ECONNRESET' && this.#resetsToCome > 0) {
      this.#resetsToCome -= 1;
      return;
    }
    const reason = TLS_REFUSALS[systemCode(error) ?? ''] ?? 'tls-error';
    this.#refuse(reason);
    // An end that takes several groups has one in common with every other end: whoever comes here is none.
    if (reason === NO_COMMON_GROUP && groupsOf(this.options.keyExchange).length === 1) this.#refusals.noCommonGroup();
    socket.destroy();
  }

  #onSecure(socket: TLSSocket): void {
    const connection = this.#connections.get(endsOf(socket));
    if (connection !== undefined) this.#secured.add(connection);
    const verdict = verifyPeer(socket);
    if ('fault' in verdict) {
      this.#refuse(verdict.fault);
      socket.on('error', () => {}); // the peer may still be sending
      socket.destroy();
      return;
    }
    tuneSocket(socket);
    this.#awaitHello(socket, verdict.peer, connection);
  }

  #awaitHello(socket: TLSSocket, peer: IdentityHex, connection: Socket | undefined): void {
    const { clock, networkId, packetBytes, versions, admit, countersign, memory } = this.options;
    let link: AcceptedLink | undefined;
    const onDown = (reason: string) => {
      if (link !== undefined) this.#ended(link, reason);
      else if (connection === undefined || !this.#evicted.has(connection)) this.#refuse(reason);
    };
    InboundHandshake.start({
      socket,
      peer,
      terms: { networkId, packetBytes, versions },
      clock,
      limits: this.#limits,
      ...(memory === undefined ? {} : { memory }),
      admit: ({ kind, client }) => admit(peer, kind, client),
      countersign: () => countersign?.(peer) ?? new Uint8Array(0),
      onOtherVersion: (theirs) => this.#refusals.otherVersion(theirs, versions),
      onUp: (frames, hello) => {
        if (connection !== undefined) this.#settle(connection);
        link = this.#open(frames, hello, peer);
      },
      onFrame: (frame) => link?.receive(frame),
      onDown,
    });
  }

  #open(frames: FrameSocket, { client, version }: Hello, peer: IdentityHex): AcceptedLink {
    const { packetBytes, metrics, onLink } = this.options;
    const link =
      client === undefined
        ? new AcceptedNodeLink(peer, version, frames, packetBytes, metrics)
        : new AcceptedClientLink(peer, version, frames, packetBytes, metrics, client);
    // A peer that dials again has lost the old link, even if we have not noticed.
    this.#links.get(keyOf(link))?.socket.close('replaced');
    this.#links.set(keyOf(link), link);
    onLink(link);
    return link;
  }

  #settle(connection: Socket): void {
    this.#linked.add(connection);
    this.#bounds.settle(connection);
  }

  #ended(link: AcceptedLink, reason: string): void {
    if (this.#links.get(keyOf(link)) === link) this.#links.delete(keyOf(link));
    link.ended(reason);
  }

  #refuse(reason: string): void {
    this.options.metrics?.refused.inc({ reason });
    this.options.log.debug({ reason }, 'connection refused');
  }
}

/** A TLS socket and the TCP socket below it have the same ends. One port may dial two of our addresses. */
function endsOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return `${localAddress} ${localPort} ${remoteAddress} ${remotePort}`;
}

function keyOf(link: AcceptedLink): string {
  return `${link.kind} ${link.peer}`;
}
