import { connect, createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '../../lib/core/clock.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { type Log, silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { Egress, type EgressOptions } from '../../network-requester/egress/egress.ts';
import { type FrontOptions, startFront } from '../../proxy/front/front.ts';
import { noteDestination } from './destinations.ts';
import { type StreamPairOptions, StreamPairs } from './stream-pair.ts';

export const testComponents = () => ({
  clock: systemClock,
  log: silentLog,
  metrics: new Metrics(),
  rng: systemRng,
});

export interface World {
  readonly front: Awaited<ReturnType<typeof startFront>>;
  readonly egress: Egress;
  readonly pairs: StreamPairs;
  readonly port: number;
  readonly metrics: Metrics;
  stop(): Promise<void>;
}

export interface WorldOptions {
  log?: Log;
  front?: Partial<FrontOptions>;
  egress?: Partial<EgressOptions>;
  pairs?: StreamPairOptions;
}

/** A front and an egress in one process, joined by in-memory streams instead of a mixnet. */
export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const components = { ...testComponents(), ...(options.log === undefined ? {} : { log: options.log }) };
  const egress = new Egress({ components, allowPrivate: true, ...options.egress });
  const pairs = new StreamPairs(egress.accept, options.pairs);
  const front = await startFront({
    listen: '127.0.0.1:0',
    opener: pairs,
    components,
    allowPrivate: true,
    ...options.front,
  });
  const stop = async () => {
    await front.stop();
    egress.stop();
  };
  return { front, egress, pairs, port: Number(front.listen.split(':').at(-1)), metrics: components.metrics, stop };
}

/** A TCP server on loopback that runs `onSocket` for each connection. */
export function serve(onSocket: (socket: Socket) => void, host = '127.0.0.1'): Promise<TestServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    onSocket(socket);
  });
  return new Promise((resolve) =>
    server.listen(0, host, () => {
      const served = new TestServer(server, sockets);
      noteDestination(served.port);
      resolve(served);
    }),
  );
}

export class TestServer {
  constructor(
    readonly server: Server,
    readonly sockets: Set<Socket>,
  ) {}

  get port(): number {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return address.port;
  }

  close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}

/** A raw client socket that keeps what came. */
export class RawClient {
  ended = false;
  error: (Error & { code?: string }) | undefined;
  readonly closed: Promise<void>;
  /** Length of what has come and was not taken by `bytes`. */
  receivedBytes = 0;
  #parts: Buffer[] = [];
  #waiting: (() => void)[] = [];

  constructor(readonly socket: Socket) {
    socket.on('data', (bytes) => {
      this.#parts.push(bytes);
      this.receivedBytes += bytes.byteLength;
      this.#wake();
    });
    socket.on('end', () => {
      this.ended = true;
      this.#wake();
    });
    socket.on('error', (error) => {
      this.error = error;
    });
    this.closed = new Promise((resolve) =>
      socket.on('close', () => {
        this.#wake();
        resolve();
      }),
    );
  }

  /** `place` is a port, or the path of a socket file. */
  static async connect(place: number | string, host = '127.0.0.1'): Promise<RawClient> {
    const socket = connect({
      ...(typeof place === 'number' ? { port: place, host, noDelay: true } : { path: place }),
      allowHalfOpen: true,
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawClient(socket);
  }

  /** What has come and was not taken by `bytes`. */
  get received(): Buffer {
    if (this.#parts.length !== 1) this.#parts = [Buffer.concat(this.#parts)];
    return this.#parts[0] as Buffer;
  }

  /** Resolves when `condition` holds after something came, or rejects when the socket is closed before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.socket.closed)
        throw new Error(`closed; received ${this.receivedBytes} bytes: ${this.received.toString('hex', 0, 40)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async bytes(count: number): Promise<Buffer> {
    await this.until(() => this.receivedBytes >= count);
    const { received } = this;
    const bytes = received.subarray(0, count);
    this.#parts = [received.subarray(count)];
    this.receivedBytes -= count;
    return bytes;
  }

  /** Everything up to the other side's FIN. */
  async rest(): Promise<Buffer> {
    await this.until(() => this.ended);
    return this.received;
  }

  /** The other side has closed or broken off. */
  gone(): Promise<void> {
    return this.until(() => this.ended || this.socket.closed);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** A SOCKS5 CONNECT request, greeting not included. */
export function connectRequest(host: string | number[], port: number, command = 1): Buffer {
  const address =
    typeof host === 'string'
      ? [3, Buffer.byteLength(host), ...Buffer.from(host)]
      : [host.length === 4 ? 1 : 4, ...host];
  return Buffer.from([5, command, 0, ...address, port >> 8, port & 0xff]);
}

export const GREETING = Buffer.from([5, 1, 0]);

/** Waits until `condition` holds; the test's own time-out ends it otherwise. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}
