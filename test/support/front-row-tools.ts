/**
 * What a row of the front's tables works with.
 * @module
 */
import type { Socket } from 'node:net';
import type { Test } from 'tap';
import { connectRequest, GREETING, RawClient, serve, type TestServer } from './front-world.ts';

/** Listeners: private destinations allowed; those refused; addresses refused; with extended errors. */
export type RowListener = 'plain' | 'strict' | 'safe' | 'extended';

export interface RowWorld {
  readonly place: (listener: RowListener) => number | string;
  /** Turns past the largest delay of the network. */
  readonly patienceMs: number;
}

export interface Row {
  /** Where it is written, or who needs it. */
  readonly from: string;
  readonly says: string;
  run(t: Test, tools: RowTools): Promise<void>;
}

export const LOOPBACK = [127, 0, 0, 1];
export const LOOPBACK6 = [...new Array<number>(15).fill(0), 1];
export const ZERO_BOUND = '01000000000000';

/** A client's toolbox. */
export class RowTools {
  constructor(
    readonly t: Test,
    readonly world: RowWorld,
  ) {}

  async client(listener: RowListener = 'plain'): Promise<RawClient> {
    const raw = await RawClient.connect(this.world.place(listener));
    this.t.teardown(() => raw.socket.destroy());
    return raw;
  }

  /** Sends `bytes` as one piece; everything that comes until the other side ends, in hex. */
  async last(bytes: Uint8Array | readonly number[] | string, listener: RowListener = 'plain'): Promise<string> {
    const raw = await this.client(listener);
    raw.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes));
    return (await raw.rest()).toString('hex');
  }

  /** The SOCKS5 reply to a request without authentication that must fail, in hex. */
  async refusal(host: string | number[], port: number, listener: RowListener = 'plain', command = 1): Promise<string> {
    const hex = await this.last(Buffer.concat([GREETING, connectRequest(host, port, command)]), listener);
    return hex.slice(4);
  }

  /** A site that answers what it is sent, behind a `>`. */
  async echo(host = '127.0.0.1'): Promise<TestServer> {
    return this.site((socket) => socket.on('data', (bytes) => socket.write(`>${bytes}`)), host);
  }

  async site(onSocket: (socket: Socket) => void, host = '127.0.0.1'): Promise<TestServer> {
    const server = await serve(onSocket, host);
    this.t.teardown(() => server.close());
    return server;
  }
}

/** What a failure reply of SOCKS5 must be. */
export const failure = (reply: number) => `05${reply.toString(16).padStart(2, '0')}00${ZERO_BOUND}`;
export const SOCKS4_FAILURE = '005b000000000000';
export const login = (user: string, password: string) =>
  Buffer.concat([
    Buffer.from([1, user.length]),
    Buffer.from(user, 'latin1'),
    Buffer.from([password.length]),
    Buffer.from(password, 'latin1'),
  ]);
export const socks4 = (ip: number[], port: number, rest = '\0') =>
  Buffer.concat([Buffer.from([4, 1, port >> 8, port & 0xff, ...ip]), Buffer.from(rest, 'latin1')]);
export const httpConnect = (host: string, port: number, fields = '') =>
  `CONNECT ${host}:${port} HTTP/1.1\r\n${fields}\r\n`;
