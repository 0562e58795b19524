/**
 * A local network of real processes with a relay in front of every listening node: what an observer of all links sees.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Test } from 'tap';
import type { PlannedNode } from '../../cli/localnet/plan.ts';
import { monotonicMs } from '../../lib/core/monotonic.ts';
import type { Status } from '../../proxy/index.ts';
import { FrameFinder, FrameTimes } from '../../research/probe/frame-times.ts';
import { RecordReader } from './link-fixtures.ts';
import { ENDS_WITH_US, stopProcess, until } from './localnet.ts';

const READY_TIMEOUT_MS = 90_000;
const HOST = '127.0.0.1';

/** One connection, as its observer sees it. */
export interface ObservedLink {
  /** Name of the node that was dialled. */
  readonly to: string;
  readonly up: RecordReader;
  readonly down: RecordReader;
  /** When frames of clients passed. */
  readonly upTimes: FrameTimes;
  readonly downTimes: FrameTimes;
}

export interface ObservedNetwork {
  readonly socks: string;
  readonly links: readonly ObservedLink[];
  /** Stops the processes, so that the recording is complete. */
  stop(): Promise<void>;
}

/** Called with every chunk on every link. */
export type Watch = (chunk: Buffer) => void;

/** Starts one mix per layer, two gateways, requester and proxy; every link between processes goes through a relay. */
export async function observeNetwork(t: Test, watch: Watch): Promise<ObservedNetwork> {
  const links: ObservedLink[] = [];
  const relays: Server[] = [];
  const children: ChildProcess[] = [];
  const stop = async () => {
    await Promise.all(children.map((child) => stopProcess(child)));
    for (const relay of relays) relay.close();
  };
  t.teardown(stop);
  const nodes = await planNetwork(t);
  for (const node of nodes) {
    if (node.role !== 'mixnode' && node.role !== 'gateway') {
      children.push(launch(node, []));
      continue;
    }
    const relay = await startRelay(node, links, watch);
    relays.push(relay);
    children.push(launch(node, ['--advertise', `${HOST}:${(relay.address() as AddressInfo).port}`]));
  }
  const proxy = nodes.find(({ role }) => role === 'proxy') as PlannedNode;
  await until('the proxy is ready', READY_TIMEOUT_MS, () => isReady(proxy.ports.metrics));
  return { socks: `${HOST}:${proxy.ports.listen}`, links, stop };
}

async function planNetwork(t: Test): Promise<readonly PlannedNode[]> {
  const { prepareFolder } = (await built('folder')) as typeof import('../../cli/localnet/folder.ts');
  const { LocalnetConfig } = (await built('config')) as typeof import('../../cli/localnet/config.ts');
  const options = {
    dir: t.testdir(),
    socksPort: 0,
    statusPort: 0,
    mixesPerLayer: 1,
    allowPrivate: true,
    keepRates: true,
  };
  return (await prepareFolder(LocalnetConfig.parse(options))).nodes;
}

/** The compiled module: the command lines it makes name compiled files. */
function built(name: string): Promise<unknown> {
  return import(new URL(`../../dist/cli/localnet/${name}.js`, import.meta.url).href);
}

function launch(node: PlannedNode, flags: readonly string[]): ChildProcess {
  const [command = '', ...args] = node.argv;
  return spawn(command, [...ENDS_WITH_US, ...args, ...flags], { stdio: 'ignore' });
}

async function isReady(statusPort: number): Promise<boolean> {
  const status = await fetch(`http://${HOST}:${statusPort}/status.json`).catch(() => undefined);
  return status !== undefined && ((await status.json()) as Status).ready;
}

async function startRelay(node: PlannedNode, links: ObservedLink[], watch: Watch): Promise<Server> {
  const server = createServer((near) => {
    const far = connect(node.ports.listen, node.address);
    const link: ObservedLink = {
      to: node.name,
      up: new RecordReader(),
      down: new RecordReader(),
      upTimes: new FrameTimes(),
      downTimes: new FrameTimes(),
    };
    links.push(link);
    pump(near, far, link.up, link.upTimes, watch);
    pump(far, near, link.down, link.downTimes, watch);
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  return server;
}

function pump(from: Socket, to: Socket, reader: RecordReader, times: FrameTimes, watch: Watch): void {
  const finder = new FrameFinder(times);
  from.setNoDelay(true);
  from.on('data', (chunk: Buffer) => {
    finder.push(chunk, monotonicMs());
    reader.push(chunk);
    watch(chunk);
    to.write(chunk);
  });
  from.on('error', () => {});
  from.on('close', () => to.destroy());
}
