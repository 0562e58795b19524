/**
 * A local network of real processes behind recording relays: notes when each frame of the clients' links passes, from
 * outside, as an observer of those links would.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { PlannedNode } from '../../cli/localnet/plan.ts';
import { clientFrameBytes, DEFAULT_PARAMS } from '../../lib/params.ts';

const HOST = '127.0.0.1';
const TLS_HEADER_BYTES = 5;
/** A frame is one record: its bytes, the inner content type and the tag. */
const FRAME_RECORD_BYTES = clientFrameBytes(DEFAULT_PARAMS.payloadBytes) + 17;
const READY_TIMEOUT_MS = 120_000;

/** When frames passed, in milliseconds of `performance.now`. */
export interface ClientLinkTimes {
  readonly departures: number[];
  readonly arrivals: number[];
}

export interface RecordedNetwork {
  readonly socks: string;
  readonly proxy: ClientLinkTimes;
  readonly requester: ClientLinkTimes;
  stop(): Promise<void>;
}

/** Notes the time of each full frame in a stream of TLS records. */
class FrameTimes {
  readonly timesMs: number[] = [];
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    const nowMs = performance.now();
    this.#rest = this.#rest.byteLength === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.byteLength >= TLS_HEADER_BYTES) {
      const bytes = this.#rest.readUInt16BE(3);
      if (this.#rest.byteLength < TLS_HEADER_BYTES + bytes) return;
      if (bytes === FRAME_RECORD_BYTES) this.timesMs.push(nowMs);
      this.#rest = this.#rest.subarray(TLS_HEADER_BYTES + bytes);
    }
  }
}

interface Recorded {
  readonly up: FrameTimes;
  readonly down: FrameTimes;
}

/** Starts a network from the compiled code in `dist` with localnet's `options`, and waits until it carries. */
export async function recordNetwork(dist: string, options: object): Promise<RecordedNetwork> {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-probe-'));
  const nodes = await planNetwork(dist, { ...options, dir, socksPort: 0, statusPort: 0, allowPrivate: true });
  const links: Recorded[] = [];
  const children: ChildProcess[] = [];
  const relays: Server[] = [];
  const launch = async (node: PlannedNode) => {
    const flags: string[] = [];
    if (node.role === 'gateway') {
      const relay = await startRelay(node.ports.listen, links);
      relays.push(relay);
      flags.push('--advertise', `${HOST}:${(relay.address() as AddressInfo).port}`);
    }
    const [command = '', ...args] = node.argv;
    children.push(spawn(command, [...args, ...flags], { stdio: 'ignore' }));
  };
  const isClient = ({ up }: Recorded) => up.timesMs.length > 0;
  const proxyNode = nodes.at(-1) as PlannedNode;
  for (const node of nodes.slice(0, -1)) await launch(node);
  await until('the requester is connected', () => links.some(isClient));
  const requester = links.find(isClient) as Recorded;
  await launch(proxyNode);
  await until('the proxy is connected', () => links.some((link) => link !== requester && isClient(link)));
  const proxy = links.find((link) => link !== requester && isClient(link)) as Recorded;
  await until('the proxy is ready', () => isReady(proxyNode.ports.metrics));
  return {
    socks: `${HOST}:${proxyNode.ports.listen}`,
    proxy: { departures: proxy.up.timesMs, arrivals: proxy.down.timesMs },
    requester: { departures: requester.up.timesMs, arrivals: requester.down.timesMs },
    async stop() {
      await Promise.all(children.map(end));
      for (const relay of relays) relay.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function planNetwork(dist: string, options: object): Promise<readonly PlannedNode[]> {
  const load = (name: string) => import(pathToFileURL(join(dist, 'cli/localnet', `${name}.js`)).href);
  const { prepareFolder } = (await load('folder')) as typeof import('../../cli/localnet/folder.ts');
  const { LocalnetConfig } = (await load('config')) as typeof import('../../cli/localnet/config.ts');
  return (await prepareFolder(LocalnetConfig.parse(options))).nodes;
}

async function startRelay(port: number, links: Recorded[]): Promise<Server> {
  const server = createServer((near) => {
    const far = connect(port, HOST);
    const link = { up: new FrameTimes(), down: new FrameTimes() };
    links.push(link);
    pump(near, far, link.up);
    pump(far, near, link.down);
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  return server;
}

function pump(from: Socket, to: Socket, times: FrameTimes): void {
  from.setNoDelay(true);
  from.on('data', (chunk: Buffer) => {
    times.push(chunk);
    to.write(chunk);
  });
  from.on('error', () => {});
  from.on('close', () => to.destroy());
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function isReady(statusPort: number): Promise<boolean> {
  const reply = await fetch(`http://${HOST}:${statusPort}/status.json`).catch(() => undefined);
  return reply !== undefined && ((await reply.json()) as { ready: boolean }).ready;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${READY_TIMEOUT_MS / 1000} s`);
    await sleep(50);
  }
}
