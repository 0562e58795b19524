/**
 * The TLS servers of an acceptor: one for each address, which take connections for one and the same protocol, limits and links.
 * @module
 */
import { once } from 'node:events';
import { isIPv4, isIPv6 } from 'node:net';
import { createServer, type Server, type TlsOptions } from 'node:tls';
import type { HostPort } from '../net/address.ts';
import { listenOn } from '../net/listening.ts';

export class LinkServers {
  readonly #servers: readonly Server[];
  #addresses: readonly HostPort[];
  #closed: Promise<unknown> | undefined;

  /** `prepare` sets the handlers of each. */
  constructor(tls: TlsOptions, wanted: readonly HostPort[], prepare: (server: Server) => void) {
    this.#addresses = wanted;
    this.#servers = wanted.map(() => createServer(tls));
    for (const server of this.#servers) prepare(server);
  }

  /** Where they listen, in the order given; before `listen`, with ports as wanted. */
  get addresses(): readonly HostPort[] {
    return this.#addresses;
  }

  /** Binds all of them or none; throws MixError LISTEN, which names the address that cannot be bound. */
  async listen(onError: (error: Error) => void): Promise<void> {
    const bound: HostPort[] = [];
    try {
      for (const [index, server] of this.#servers.entries()) {
        const { host, port } = this.#addresses[index] as HostPort;
        bound.push({
          host,
          port: await listenOn(server, { host, port, onError, ipv6Only: this.#isShared(host, port) }),
        });
      }
    } catch (error) {
      for (const server of this.#servers) if (server.listening) server.close();
      throw error;
    }
    this.#addresses = bound;
  }

  /** Takes no further connections; resolves when those that there are have closed, too. */
  close(): Promise<unknown> {
    this.#closed ??= Promise.all(
      this.#servers.map((server) => {
        const closed = once(server, 'close');
        server.close();
        return closed;
      }),
    );
    return this.#closed;
  }

  /** `::` takes IPv4 too, unless another one is for that. */
  #isShared(host: string, port: number): boolean {
    return isIPv6(host) && this.#addresses.some((other) => isIPv4(other.host) && other.port === port);
  }
}
