/**
 * A UDP socket on this machine that talks to one client and to nobody else (RFC 1928 section 7): it accepts datagrams from the address
 * that the client's TCP connection comes from, and of it only the port that the client has named, or else the one that its
 * first valid datagram came from. A client that names none leaves another user of the machine, who is faster than its first
 * datagram, to be taken for it.
 * @module
 */
import { createSocket, type Socket } from 'node:dgram';
import { parseAddress } from '../net/address-policy.ts';

export interface PeerSocketOptions {
  /** Where to listen: the address that the client reached us at. */
  readonly localAddress: string;
  readonly clientAddress: string;
  /** The port that the client will send from, if it has said so. */
  readonly clientPort?: number;
  /** A datagram of the client. False: it is not valid. */
  readonly onDatagram: (bytes: Uint8Array) => boolean;
  /** One of somebody else. */
  readonly onForeign: () => void;
}

/** The socket, bound to a free port. Rejects with a system error. */
export function bindPeerSocket(options: PeerSocketOptions): Promise<PeerSocket> {
  const local = parseAddress(options.localAddress);
  const socket = createSocket({ type: local?.family === 6 ? 'udp6' : 'udp4', lookup: noLookup });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address: local?.text ?? options.localAddress, port: 0, exclusive: true }, () => {
      socket.off('error', reject);
      resolve(new PeerSocket(socket, options));
    });
  });
}

export class PeerSocket {
  readonly #clientAddress: string;
  #clientPort: number | undefined;
  #closed = false;

  constructor(
    private readonly socket: Socket,
    private readonly options: PeerSocketOptions,
  ) {
    this.#clientAddress = canonical(options.clientAddress);
    this.#clientPort = options.clientPort;
    socket.on('error', () => {}); // concerns one datagram, which is lost
    socket.on('message', (bytes, { address, port }) => this.#onMessage(bytes, address, port));
  }

  get port(): number {
    return this.socket.address().port;
  }

  /** Sends to the client, once a datagram of it has come. */
  send(bytes: Uint8Array): void {
    if (this.#closed || this.#clientPort === undefined) return;
    this.socket.send(bytes, this.#clientPort, this.#clientAddress, () => {});
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.socket.close();
  }

  #onMessage(bytes: Uint8Array, address: string, port: number): void {
    const isClient = canonical(address) === this.#clientAddress && port === (this.#clientPort ?? port);
    if (!isClient) this.options.onForeign();
    else if (this.options.onDatagram(bytes)) this.#clientPort = port;
  }
}

function canonical(address: string): string {
  return parseAddress(address)?.text ?? address;
}

/** Datagrams go to addresses only. */
function noLookup(
  address: string,
  _options: unknown,
  callback: (error: Error | null, address: string, family: number) => void,
): void {
  callback(null, address, address.includes(':') ? 6 : 4);
}
