/**
 * The sockets of one UDP association towards the world, one per address family, opened when they are needed and closed
 * when nothing has moved for a while. They behave like a strict NAT (RFC 4787, address and port-dependent filtering): what
 * comes is passed on only from where something was sent to.
 * @module
 */
import { createSocket, type Socket } from 'node:dgram';
import { afterSilence, type Clock, type Timer } from '../../lib/core/clock.ts';
import type { MonotonicMs } from '../../lib/core/units.ts';
import { type ParsedAddress, parseAddress } from '../../lib/net/address-policy.ts';

export interface UdpSocketsOptions {
  readonly clock: Clock;
  /** Without a datagram for this long the sockets are closed and all peers forgotten. */
  readonly idleMs: number;
  /** Peers remembered; beyond, the one sent to longest ago can answer no more. */
  readonly maxPeers: number;
  /** Asked before the first datagram to a peer. */
  readonly mayReach: () => boolean;
  readonly onDatagram: (host: string, port: number, bytes: Uint8Array) => void;
  /** A datagram from somewhere else. */
  readonly onForeign: () => void;
  readonly onIdle: () => void;
}

export class UdpSockets {
  readonly #sockets = new Map<4 | 6, Socket>();
  /** In the order of last use. */
  readonly #peers = new Set<string>();
  #lastMs: MonotonicMs;
  #idleTimer: Timer | undefined;
  #closed = false;

  constructor(private readonly options: UdpSocketsOptions) {
    this.#lastMs = options.clock.nowMs();
  }

  /** Sends to a checked address; false when it may not be reached now. */
  send(address: ParsedAddress, port: number, bytes: Uint8Array): boolean {
    if (this.#closed || !this.#admit(`${address.text} ${port}`)) return false;
    this.#touch();
    this.#socketFor(address.family).send(bytes, port, address.text, () => {}); // an error is a lost datagram
    return true;
  }

  /** When a datagram last went or came, or this was made. */
  get lastMs(): MonotonicMs {
    return this.#lastMs;
  }

  close(): void {
    this.#closed = true;
    this.#release();
  }

  #admit(peer: string): boolean {
    if (!this.#peers.delete(peer) && !this.options.mayReach()) return false;
    this.#peers.add(peer);
    if (this.#peers.size > this.options.maxPeers) {
      const [oldest] = this.#peers;
      if (oldest !== undefined) this.#peers.delete(oldest);
    }
    return true;
  }

  #socketFor(family: 4 | 6): Socket {
    const known = this.#sockets.get(family);
    if (known !== undefined) return known;
    const socket = createSocket({ type: `udp${family}`, ipv6Only: family === 6, lookup: refuseNames });
    this.#sockets.set(family, socket);
    socket.on('message', (bytes, { address, port }) => this.#onMessage(address, port, bytes));
    socket.on('error', () => {
      // No socket to be had, or the network gone: the next datagram tries again.
      if (this.#sockets.get(family) !== socket) return;
      this.#sockets.delete(family);
      socket.close();
    });
    return socket;
  }

  #onMessage(from: string, port: number, bytes: Uint8Array): void {
    const host = parseAddress(from)?.text;
    if (host === undefined || !this.#peers.has(`${host} ${port}`)) {
      this.options.onForeign();
      return;
    }
    this.#touch();
    this.options.onDatagram(host, port, bytes);
  }

  #touch(): void {
    this.#lastMs = this.options.clock.nowMs();
    if (this.#idleTimer === undefined) this.#armIdle();
  }

  #armIdle(): void {
    const { clock, idleMs, onIdle } = this.options;
    this.#idleTimer = afterSilence(clock, this.#lastMs + idleMs - clock.nowMs(), () => {
      this.#idleTimer = undefined;
      if (clock.nowMs() - this.#lastMs < idleMs) {
        this.#armIdle();
      } else {
        this.#release();
        onIdle();
      }
    });
  }

  #release(): void {
    this.#idleTimer?.cancel();
    this.#idleTimer = undefined;
    this.#peers.clear();
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }
}

/** Datagrams go to checked addresses: nothing may be resolved a second time. */
function refuseNames(
  address: string,
  _options: unknown,
  callback: (error: Error | null, address: string, family: number) => void,
): void {
  const parsed = parseAddress(address);
  // An unbound socket binds itself, to the unspecified address.
  if (parsed === undefined) callback(new Error('not an address'), address, 4);
  else callback(null, address, parsed.family);
}
