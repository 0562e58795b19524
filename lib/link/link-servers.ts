/**
 * The TLS servers of an acceptor: one for each address, which take connections for one and the same protocol, limits and links.
 * @module
 */
import { once } from 'node:events';
import { type AddressInfo, isIPv4, isIPv6 } from 'node:net';
import { createServer, type Server, type TlsOptions } from 'node:tls';
import type { HostPort } from '../net/address.ts';
import { listenError } from '../net/http.ts';

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
    try {
      for (const [index, server] of this.#servers.entries())
        await this.#bind(server, this.#addresses[index] as HostPort);
    } catch (error) {
      for (const server of this.#servers) if (server.listening) server.close();
      throw error;
    }
    this.#addresses = this.#servers.map((server, index) => ({
      host: this.#addresses[index]?.host ?? '',
      port: (server.address() as AddressInfo).port,
    }));
    for (const server of this.#servers) server.on('error', onError);
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

  async #bind(server: Server, { host, port }: HostPort): Promise<void> {
    // `::` takes IPv4 too, unless another one is for that.
    const isShared = this.#addresses.some((other) => isIPv4(other.host) && other.port === port);
    server.listen({ host, port, ipv6Only: isIPv6(host) && isShared });
    try {
      await once(server, 'listening');
    } catch (error) {
      throw listenError(error, host, port);
    }
  }
}
