/**
 * UDP for tests: servers on loopback, a client of the front's association, and the least of DNS.
 * @module
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { SocksClient, type SocksProxy } from 'socks';
import { connectRequest, GREETING, RawClient } from './front-world.ts';
import type { Scope } from './localnet.ts';

/** A UDP socket on loopback that keeps what came. */
export class UdpPeer {
  readonly received: { readonly bytes: Buffer; readonly from: RemoteInfo }[] = [];
  #waiting: (() => void)[] = [];

  private constructor(readonly socket: Socket) {}

  static async open(
    t: Scope,
    host = '127.0.0.1',
    onMessage?: (peer: UdpPeer, bytes: Buffer, from: RemoteInfo) => void,
  ) {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, host, resolve);
    });
    const peer = new UdpPeer(socket);
    socket.on('message', (bytes, from) => {
      peer.received.push({ bytes, from });
      for (const wake of peer.#waiting.splice(0)) wake();
      onMessage?.(peer, bytes, from);
    });
    t.teardown(() => socket.close());
    return peer;
  }

  /** One that sends back what it gets. */
  static echo(t: Scope, host?: string): Promise<UdpPeer> {
    return UdpPeer.open(t, host, (peer, bytes, from) => peer.send(bytes, from.port, from.address));
  }

  get port(): number {
    return this.socket.address().port;
  }

  send(bytes: Uint8Array, port: number, host = '127.0.0.1'): void {
    this.socket.send(bytes, port, host);
  }

  /** The datagram number `index`, as soon as it is there. */
  async datagram(index: number): Promise<{ bytes: Buffer; from: RemoteInfo }> {
    for (;;) {
      const one = this.received[index];
      if (one !== undefined) return one;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

/** Header and data as RFC 1928 section 7 has them. */
export function udpRequest(host: string, port: number, bytes: Uint8Array, fragment = 0): Buffer {
  const head = connectRequest(/^\d+\.\d+\.\d+\.\d+$/.test(host) ? host.split('.').map(Number) : host, port);
  head.set([0, 0, fragment]);
  return Buffer.concat([head, bytes]);
}

/** The address and port of a request for an association. */
export interface Announced {
  readonly host: string | number[];
  readonly port: number;
}

/** A client of an association: a TCP connection and a UDP socket. */
export class Associated {
  private constructor(
    readonly control: RawClient,
    readonly peer: UdpPeer,
    /** Host and port that the proxy told. */
    readonly relay: { readonly host: string; readonly port: number },
  ) {}

  /** `announced` is what the request of the association names. */
  static async open(
    t: Scope,
    proxyPort: number,
    host = '127.0.0.1',
    announced: Announced = { host: [0, 0, 0, 0], port: 0 },
  ): Promise<Associated> {
    const control = await RawClient.connect(proxyPort, host);
    t.teardown(() => control.socket.destroy());
    control.socket.write(Buffer.concat([GREETING, connectRequest(announced.host, announced.port, 3)]));
    await control.bytes(2);
    const head = await control.bytes(4);
    if (head[1] !== 0) throw new Error(`refused with ${head[1]}`);
    const address = await control.bytes(head[3] === 1 ? 4 : 16);
    const port = (await control.bytes(2)).readUInt16BE(0);
    const text = head[3] === 1 ? [...address].join('.') : `${address.toString('hex')}`;
    return new Associated(control, await UdpPeer.open(t, host), { host: text, port });
  }

  send(host: string, port: number, bytes: Uint8Array, fragment = 0): void {
    this.peer.send(udpRequest(host, port, bytes, fragment), this.relay.port, this.peer.socket.address().address);
  }
}

/** A query for the A record of `name` (RFC 1035 section 4). */
export function dnsQuery(id: number, name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  const head = Buffer.alloc(12);
  head.writeUInt16BE(id, 0);
  head.writeUInt16BE(0x0100, 2); // recursion desired
  head.writeUInt16BE(1, 4);
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
}

/** The answer to a query of the above kind: one A record. */
export function dnsAnswer(query: Buffer, address: string): Buffer {
  const answer = Buffer.from(query);
  answer.writeUInt16BE(0x8180, 2);
  answer.writeUInt16BE(1, 6);
  const record = Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)]);
  return Buffer.concat([answer, record]);
}

/** The address in such an answer. */
export function dnsAddress(answer: Buffer): string {
  return [...answer.subarray(-4)].join('.');
}

/** An association that npm's `socks` makes at `proxy`, until the test ends. Returns the port of its relay. */
export async function associate(t: Scope, proxy: SocksProxy): Promise<number> {
  const client = new SocksClient({ proxy, command: 'associate', destination: { host: '0.0.0.0', port: 0 } });
  const established = new Promise<number>((resolve, reject) => {
    client.on('established', ({ remoteHost, socket }) => {
      t.teardown(() => socket.destroy());
      resolve(remoteHost?.port ?? 0);
    });
    client.on('error', reject);
  });
  client.connect();
  return established;
}
