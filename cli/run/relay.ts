/**
 * Hands connections on to the proxy, as if each had been made to it: both halves close on their own, a reset stays a reset,
 * and comes behind the bytes before it.
 * @module
 */
import { createServer, Server, type Socket } from 'node:net';
import { systemClock } from '../../lib/core/clock.ts';
import { BACKLOG } from '../../lib/net/listening.ts';
import { breakOff, breakOffBehindBytes } from '../../lib/relay/break-off.ts';
import { SocketReader } from '../../lib/relay/socket-reader.ts';
import { dialProxy, type Login, type ProxyPlace } from '../proxy-use/address.ts';
import { logIn } from '../proxy-use/socks-login.ts';

/** As many as a proxy takes by default. */
export const MAX_RELAYED = 1024;

export interface RelayTarget {
  readonly place: ProxyPlace;
  /** The proxy keeps what comes from different addresses apart, logins or none. */
  readonly localAddress?: string;
  /** For programs that speak SOCKS5 without one. */
  readonly login?: Login;
}

export class ProxyRelay {
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(
    private readonly target: RelayTarget,
    private readonly maxConnections = MAX_RELAYED,
  ) {}

  /** Takes connections from `listen`: a port, or a server that listens already. Resolves with the port. Rejects with a system error. */
  serve(listen: { readonly port: number; readonly host: string } | Server): Promise<number> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => void this.#relay(socket));
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(listen instanceof Server ? listen : { ...listen, backlog: BACKLOG }, () => {
        server.removeAllListeners('error');
        server.on('error', () => {}); // a failed accept concerns that connection only
        const address = server.address();
        resolve(address !== null && typeof address === 'object' ? address.port : 0);
      });
    });
  }

  /** Breaks everything off. */
  stop(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) breakOff(socket);
  }

  async #relay(socket: Socket): Promise<void> {
    socket.on('error', () => {}); // 'close' follows
    if (this.#sockets.size >= 2 * this.maxConnections) {
      socket.destroy();
      return;
    }
    this.#keep(socket);
    try {
      const { place, localAddress, login } = this.target;
      const outward = await dialProxy(place, localAddress);
      this.#keep(outward);
      if (login !== undefined) await this.#logIn(socket, outward, login);
      if (socket.destroyed) breakOff(outward);
      else joinSockets(socket, outward);
    } catch {
      breakOff(socket);
    }
  }

  async #logIn(socket: Socket, outward: Socket, login: Login): Promise<void> {
    outward.on('error', () => {}); // 'close' follows
    try {
      await logIn(socket, outward, login);
    } catch (error) {
      breakOff(outward);
      throw error;
    }
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

/** Copies both ways between two paused sockets that allow half-open, until both have ended. */
export function joinSockets(one: Socket, other: Socket): void {
  const ends = [new RelayEnd(one), new RelayEnd(other)] as const;
  ends[0].start(ends[1]);
  ends[1].start(ends[0]);
}

class RelayEnd {
  #reader: SocketReader | undefined;
  #peer: RelayEnd | undefined;
  /** It takes no more bytes. */
  #lost = false;

  constructor(private readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on('error', () => {}); // 'close' follows
  }

  start(peer: RelayEnd): void {
    const socket = this.socket;
    this.#peer = peer;
    this.#reader = new SocketReader(socket, {
      onBytes: (bytes) => peer.write(bytes),
      onFin: () => (this.#lost ? peer.breakOff() : peer.socket.end()),
      onReset: () => peer.breakOff(),
    });
    socket.on('drain', () => peer.#reader?.resume());
    socket.on('close', () => {
      if (!(this.#reader?.finished && socket.writableFinished)) this.#lose();
    });
    this.#reader.start();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#lost) return true;
    return this.socket.write(bytes, (error) => {
      if (error) this.#lose(error);
    });
  }

  /** Behind what was written, and nothing more of it is read. */
  breakOff(): void {
    this.#lost = true;
    this.#reader?.stop();
    if (this.socket.destroyed) return;
    breakOffBehindBytes(this.socket, systemClock);
  }

  /** What was received before is still handed on, and then how it ended. */
  #lose(error?: Error): void {
    if (this.#lost) return;
    this.#lost = true;
    if (this.#reader?.finished) this.#peer?.breakOff();
    else this.#reader?.lose(error);
  }
}
