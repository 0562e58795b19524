import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type AddressKey, addressKeyOf, type IdentityHex } from '../../lib/core/bytes.ts';
import { systemClock } from '../../lib/core/clock.ts';
import { systemRng } from '../../lib/core/rng.ts';
import {
  createIdentity,
  type InboundLink,
  type LinkListener,
  LinkMetrics,
  type ListenOptions,
  listenLinks,
  type NodeIdentity,
  PeerLinks,
  type PeerLinksOptions,
  type PeerTarget,
  type SendResult,
} from '../../lib/link/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';

export const NETWORK_ID = new Uint8Array(32).fill(7);
export const PACKET_BYTES = 2413;

export interface TestListener extends LinkListener {
  readonly identity: NodeIdentity;
  readonly links: InboundLink[];
  /** Reasons under which connections were refused, with their counts. */
  refusals(): Promise<Record<string, number>>;
  /** Resolves when `count` connections were refused. */
  refused(count: number): Promise<Record<string, number>>;
  target(): PeerTarget;
}

/** A listener on loopback that admits everybody unless told otherwise. */
export async function testListener(options: Partial<ListenOptions> = {}): Promise<TestListener> {
  const identity = options.identity ?? (await createIdentity(systemRng));
  const metrics = new LinkMetrics(new Metrics());
  const links: InboundLink[] = [];
  const listener = await listenLinks({
    identity,
    host: '127.0.0.1',
    port: 0,
    networkId: NETWORK_ID,
    packetBytes: PACKET_BYTES,
    keyExchange: 'any',
    log: silentLog,
    clock: systemClock,
    metrics,
    admit: () => true,
    ...options,
    onLink(link) {
      links.push(link);
      options.onLink?.(link);
    },
  });
  const refusals = async () => {
    const { values } = await metrics.refused.get();
    return Object.fromEntries(values.map(({ labels, value }) => [String(labels.reason), value]));
  };
  return {
    identity,
    links,
    host: listener.host,
    port: listener.port,
    addresses: listener.addresses,
    refusals,
    async refused(count) {
      await until(async () => Object.values(await refusals()).reduce((sum, value) => sum + value, 0) >= count);
      return refusals();
    },
    target: () => ({ id: identity.id, addressKey: addressKeyOf(identity.id), host: '127.0.0.1', port: listener.port }),
    recheck: () => listener.recheck(),
    finish: (kind) => listener.finish(kind),
    close: () => listener.close(),
  };
}

/** Links to peers that keep what became of packets, in the order in which it was known. */
export class TestPeerLinks extends PeerLinks {
  readonly results: SendResult[];

  constructor(options: PeerLinksOptions, results: SendResult[] = []) {
    super({ ...options, onResult: (result, packets) => results.push(...Array<SendResult>(packets).fill(result)) });
    this.results = results;
  }

  /** Sends to a peer; what is known at once of the packet. */
  send(peer: AddressKey, packet: Uint8Array): SendResult | 'held' | 'unknown-peer' {
    const link = this.find(peer);
    if (link === undefined) return 'unknown-peer';
    const before = this.results.length;
    link.send(packet);
    return this.results.length === before ? 'held' : (this.results.at(-1) as SendResult);
  }
}

export async function testPeerLinks(options: Partial<PeerLinksOptions> = {}): Promise<TestPeerLinks> {
  return new TestPeerLinks({
    identity: options.identity ?? (await createIdentity(systemRng)),
    networkId: NETWORK_ID,
    packetBytes: PACKET_BYTES,
    keyExchange: 'any',
    clock: systemClock,
    rng: systemRng,
    log: silentLog,
    ...options,
  });
}

/** Polls until `condition` holds; the test's own time-out ends a wait that is in vain. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Sizes of the TLS records of one direction, by content type. */
export class RecordReader {
  readonly records: { type: number; bytes: number }[] = [];
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.byteLength >= 5) {
      const bytes = this.#rest.readUInt16BE(3);
      if (this.#rest.byteLength < 5 + bytes) return;
      this.records.push({ type: this.#rest[0] ?? 0, bytes });
      this.#rest = this.#rest.subarray(5 + bytes);
    }
  }
}

export interface Relay {
  readonly port: number;
  readonly up: RecordReader;
  readonly down: RecordReader;
  /** From now on leaves bytes where they are, as a host without power would. */
  stopReading(): void;
  close(): Promise<void>;
}

function pump(from: Socket, to: Socket, reader: RecordReader): void {
  from.on('data', (chunk: Buffer) => {
    reader.push(chunk);
    to.write(chunk);
  });
}

/** A TCP relay on loopback to `port` that records what an observer of the link sees. */
export async function recordingRelay(port: number): Promise<Relay> {
  const up = new RecordReader();
  const down = new RecordReader();
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    pump(near, far, up);
    pump(far, near, down);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    up,
    down,
    stopReading() {
      for (const socket of sockets) socket.pause();
    },
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** The compiled links: worker threads cannot load TypeScript. `npm test` builds first. */
export async function builtLinks(): Promise<typeof import('../../lib/link/index.ts')> {
  return import(new URL('../../dist/lib/link/index.js', import.meta.url).href);
}

/** A node to dial that is not one of our listeners. */
export function targetOf(id: IdentityHex, port: number): PeerTarget {
  return { id, addressKey: addressKeyOf(id), host: '127.0.0.1', port };
}
