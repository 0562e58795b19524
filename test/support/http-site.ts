import type { Socket } from 'node:net';
import type { Test } from 'tap';
import { RawClient, serve, startWorld, type World, type WorldOptions } from './front-world.ts';

/** A site that is a TCP server: a test sees every byte, and can break the rules. */
export interface RawSite {
  readonly port: number;
  /** What each connection has sent so far, in the order they came. */
  readonly requests: string[];
}

/** Answers each connection's request header, once it is whole, with `respond`. */
export async function rawSite(t: Test, respond: (socket: Socket, request: string) => void): Promise<RawSite> {
  const requests: string[] = [];
  const server = await serve((socket) => {
    const index = requests.push('') - 1;
    let answered = false;
    socket.on('data', (bytes) => {
      requests[index] += bytes.toString('latin1');
      if (answered || !requests[index]?.includes('\r\n\r\n')) return;
      answered = true;
      respond(socket, requests[index] ?? '');
    });
    socket.on('end', () => socket.end());
  });
  t.teardown(() => server.close());
  return { port: server.port, requests };
}

/** A front and an exit without a mixnet, with a client that speaks HTTP by hand. */
export async function httpWorld(
  t: Test,
  options: WorldOptions = {},
): Promise<World & { client(): Promise<HttpClient> }> {
  const world = await startWorld(options);
  t.teardown(() => world.stop());
  const client = async () => {
    const raw = await RawClient.connect(world.port);
    t.teardown(() => raw.socket.destroy());
    return new HttpClient(raw);
  };
  return { ...world, client };
}

export class HttpClient {
  constructor(readonly raw: RawClient) {}

  send(text: string): this {
    this.raw.socket.write(Buffer.from(text, 'latin1'));
    return this;
  }

  get text(): string {
    return this.raw.received.toString('latin1');
  }

  /** Takes what came up to and with `mark`, as soon as it is there. */
  async upTo(mark: string): Promise<string> {
    await this.raw.until(() => this.text.includes(mark));
    const end = this.text.indexOf(mark) + mark.length;
    return (await this.raw.bytes(end)).toString('latin1');
  }

  /** Takes a response whose body ends with `mark`. */
  async response(mark: string): Promise<string> {
    const head = await this.upTo('\r\n\r\n');
    return head + (mark === '' ? '' : await this.upTo(mark));
  }

  /** How the connection ended, with all that came: `end` or the error of the socket. */
  async ending(): Promise<string> {
    await this.raw.until(() => this.raw.ended || this.raw.socket.closed);
    if (this.raw.error !== undefined) return this.raw.error.code ?? '';
    // Node 20 may report a reset behind bytes as an end; writing nothing tells.
    const error = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) =>
      this.raw.socket.write('', resolve),
    );
    return error?.code ?? 'end';
  }
}
