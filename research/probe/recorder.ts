/**
 * A local network of real processes behind recording relays: notes when each frame of the clients' links passes, from
 * outside, as an observer of those links would.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LocalNetwork } from '../../cli/localnet/folder.ts';
import type { PlannedNode } from '../../cli/localnet/plan.ts';
import { built } from './built.ts';
import type { FrameTimes } from './frame-times.ts';
import { type RecordedLink, type Relay, startRelay } from './relay.ts';

const HOST = '127.0.0.1';
const READY_TIMEOUT_MS = 120_000;

/** When frames passed, in milliseconds of a clock that all links share. */
export interface ClientLinkTimes {
  readonly departures: FrameTimes;
  readonly arrivals: FrameTimes;
}

export interface RecordedNetwork {
  readonly nodes: readonly PlannedNode[];
  readonly networkFile: string;
  readonly socks: string;
  readonly proxyPid: number;
  readonly requesterPid: number;
  readonly proxy: ClientLinkTimes;
  readonly requester: ClientLinkTimes;
  /** All links on which frames of clients have passed. */
  clients(): readonly RecordedLink[];
  stop(): Promise<void>;
}

/** Starts a network from the compiled code in `dist` with localnet's `options`, and waits until it carries. */
export async function recordNetwork(dist: string, options: object): Promise<RecordedNetwork> {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-probe-'));
  const children: ChildProcess[] = [];
  const relays: Relay[] = [];
  const stop = async () => {
    await Promise.all(children.map(end));
    await Promise.all(relays.map((relay) => relay.close()));
    await rm(dir, { recursive: true, force: true });
  };
  const launch = async (node: PlannedNode) => {
    const flags: string[] = [];
    if (node.role === 'gateway') {
      const relay = await startRelay(node.ports.listen, node.address);
      relays.push(relay);
      flags.push('--advertise', `${HOST}:${relay.port}`);
    }
    const [command = '', ...args] = node.argv;
    children.push(spawn(command, [...args, ...flags], { stdio: 'ignore' }));
  };
  const clients = () => relays.flatMap(({ links }) => links).filter(({ up }) => up.length > 0);
  try {
    const { nodes, networkFile } = await planNetwork(dist, {
      ...options,
      dir,
      socksPort: 0,
      statusPort: 0,
      allowPrivate: true,
    });
    const proxyNode = nodes.at(-1) as PlannedNode;
    for (const node of nodes.slice(0, -1)) await launch(node);
    await until('the requester is connected', () => clients().length > 0);
    const [requester] = clients() as [RecordedLink];
    await launch(proxyNode);
    const second = () => clients().find((link) => link !== requester);
    await until('the proxy is connected', () => second() !== undefined);
    const proxy = second() as RecordedLink;
    await until('the proxy is ready', () => isReady(proxyNode.ports.metrics));
    return {
      nodes,
      networkFile,
      clients,
      proxyPid: children.at(-1)?.pid ?? 0,
      requesterPid: children.at(-2)?.pid ?? 0,
      socks: `${HOST}:${proxyNode.ports.listen}`,
      proxy: { departures: proxy.up, arrivals: proxy.down },
      requester: { departures: requester.up, arrivals: requester.down },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function planNetwork(dist: string, options: object): Promise<LocalNetwork> {
  type Folder = typeof import('../../cli/localnet/folder.ts');
  type Config = typeof import('../../cli/localnet/config.ts');
  const { prepareFolder } = await built<Folder>(dist, 'cli/localnet/folder.js');
  const { LocalnetConfig } = await built<Config>(dist, 'cli/localnet/config.js');
  const keep = 'keepRates' in LocalnetConfig.shape ? { keepRates: true } : {}; // an older build keeps them anyway
  return prepareFolder(LocalnetConfig.parse({ ...options, ...keep }));
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
