/**
 * UDP ASSOCIATE (RFC 1928 section 7): a UDP port for one client, whose datagrams go over a stream of kind `udp` and
 * leave from a requester. The association lives as long as the client's TCP connection; success, with the
 * port, is reported when the requester has agreed.
 * @module
 */
import type { Socket } from 'node:net';
import type { LookupContext } from '../../lib/access/lookup.ts';
import type { StreamCounters } from '../../lib/access/stream-counters.ts';
import type { Reason } from '../../lib/access/troubles/reasons.ts';
import { asMixError, type ErrorCode } from '../../lib/core/errors.ts';
import { parseAddress } from '../../lib/net/address-policy.ts';
import { checkDestination } from '../../lib/net/destination.ts';
import { bindPeerSocket, type PeerSocket } from '../../lib/relay/peer-socket.ts';
import type { SessionStream } from '../../lib/session/index.ts';
import type { ClientRequest } from '../front/handshake/steps.ts';
import type { SideEvents, SideRequest } from '../front/side-request.ts';
import { UdpExits } from './udp-exits.ts';
import { decodeUdp, encodeUdp } from './udp-wire.ts';

export interface UdpContext extends LookupContext {
  readonly counters: Pick<StreamCounters, 'bytes' | 'datagrams' | 'troubles'>;
  /** Called for a datagram to an address instead of a name; true when it must not go. */
  readonly mayLeak: (address: string, port: number) => boolean;
}

/** What becomes of a datagram. */
export type DatagramFate =
  | 'up'
  | 'down'
  | 'foreign'
  | 'fragment'
  | 'malformed'
  | 'policy'
  | 'unsafe'
  | 'queue-full'
  | 'oversize';

/** Those that the user should know of; the others are the network's noise, or the protocol's. */
const TROUBLES: Readonly<Partial<Record<DatagramFate, Reason>>> = {
  policy: 'private-destination',
  unsafe: 'address-for-name',
  'queue-full': 'class-rate',
};

export class UdpAssociation implements SideRequest {
  readonly #exits: UdpExits;
  #socket: PeerSocket | undefined;
  #over = false;

  constructor(
    private readonly request: ClientRequest,
    private readonly control: Socket,
    private readonly context: UdpContext,
    private readonly events: SideEvents,
  ) {
    this.#exits = new UdpExits({
      opener: context.opener,
      clock: context.clock,
      isolation: request.isolation,
      onDatagram: (host, port, bytes) => this.#down(host, port, bytes),
      onOpened: () => this.#onOpened(),
      onRefused: (code) => this.#fail(code),
      onEnded: () => this.#end(),
    });
  }

  get stream(): SessionStream | undefined {
    return this.#exits.first;
  }

  start(): void {
    const { localAddress, remoteAddress: clientAddress } = this.control;
    if (localAddress === undefined || clientAddress === undefined) {
      this.#fail('COMMAND'); // over a socket file there is no address that datagrams could be known by
      return;
    }
    const clientPort = announcedPort(this.request, clientAddress);
    bindPeerSocket({
      localAddress,
      clientAddress,
      ...(clientPort === undefined ? {} : { clientPort }),
      onDatagram: (message) => this.#up(message),
      onForeign: () => this.#count('foreign'),
    }).then(
      (socket) => this.#onBound(socket),
      () => this.#fail('LIMIT'),
    );
  }

  /** RFC 1928: the association ends with the connection that it was asked for on. */
  clientEnded(): void {
    this.stop('RESET');
    this.events.close();
  }

  stop(code: ErrorCode): void {
    if (this.#over) return;
    this.#leave();
    this.#exits.stop(code);
  }

  #onOpened(): void {
    const host = parseAddress(this.control.localAddress ?? '')?.text;
    const port = this.#socket?.port;
    if (this.#over || host === undefined || port === undefined) return;
    this.events.open({ host, port });
  }

  #onBound(socket: PeerSocket): void {
    if (this.#over) {
      socket.close();
      return;
    }
    this.#socket = socket;
    try {
      this.#exits.start();
    } catch (error) {
      this.#fail(asMixError(error).code);
    }
  }

  /** From the client. False when it is nothing that a client would send. */
  #up(message: Uint8Array): boolean {
    const datagram = decodeUdp(message);
    if (typeof datagram === 'string') {
      this.#count(datagram);
      return datagram === 'fragment';
    }
    const { host, port, bytes } = datagram;
    const verdict = checkDestination(host, this.context.allowPrivate);
    if (!verdict.ok || port === 0) this.#count('policy');
    else if (verdict.destination.kind === 'address' && this.context.mayLeak(verdict.destination.host, port))
      this.#count('unsafe');
    else if (this.#exits.send(verdict.destination.host, port, bytes)) this.#count('up', bytes.byteLength);
    else this.#count('queue-full');
    return true;
  }

  /** From the requester. */
  #down(host: string, port: number, bytes: Uint8Array): void {
    const message = encodeUdp(host, port, bytes);
    if (message === undefined) {
      this.#count('malformed');
      return;
    }
    this.#socket?.send(message);
    this.#count('down', bytes.byteLength);
  }

  #count(fate: DatagramFate, bytes = 0): void {
    const { counters } = this.context;
    counters.datagrams.inc({ fate });
    const trouble = TROUBLES[fate];
    if (trouble !== undefined) counters.troubles.note(trouble, 'refused', 'datagram');
    if (fate === 'up' || fate === 'down') counters.bytes.inc({ direction: fate }, bytes);
  }

  /** A requester has ended it, or none takes it: the client learns by the end of its connection. */
  #end(): void {
    if (this.#over) return;
    this.#leave();
    this.#exits.stop('RESET');
    this.events.close();
  }

  #fail(code: ErrorCode): void {
    if (this.#over) return;
    this.#leave();
    this.events.fail(code);
  }

  #leave(): void {
    this.#over = true;
    this.#socket?.close();
  }
}

/**
 * The port that the client will send from, if its request says so (RFC 1928 section 4: address and port that the client
 * expects to send from, which the server MAY use). Many clients name the site that they want to reach instead, or a name: a
 * port beside any address but the client's own means nothing, and the first datagram tells it.
 */
function announcedPort({ host, port }: ClientRequest, clientAddress: string): number | undefined {
  const announced = parseAddress(host)?.text;
  return port !== 0 && announced !== undefined && announced === parseAddress(clientAddress)?.text ? port : undefined;
}
