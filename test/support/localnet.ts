/**
 * A local network for system tests: real processes from `dist/`, stopped at teardown. What they logged is read then: no
 * line may say where an application went.
 * @module
 */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ReadyFile, ReadyNode } from '../../cli/localnet/ready.ts';
import type { Status } from '../../proxy/index.ts';
import { leaksIn } from './destinations.ts';

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** Options of node for a process that must not outlive the test. */
export const ENDS_WITH_US = ['--import', new URL('end-with-parent.mjs', import.meta.url).href];
const READY_TIMEOUT_MS = 90_000;
/** Rates are those that a test asks for, however slow the machine. */
const FLAGS = ['--socks-port', '0', '--status-port', '0', '--allow-private', '--keep-rates'];

/**
 * More bytes a second than by default, in two fifths of the packets and a quarter of the nodes' own loops. What a network costs are its
 * packets: at the default rates it takes more than one of two processors, whether it is used or not.
 */
export const FEWER_PACKETS = ['--packet-size', '8192', '--rate', '20', '--reply-rate', '40'];

/** What a network lives in: a test of tap, or a benchmark. */
export interface Scope {
  /** Called at the end, the last first. */
  teardown(undo: () => unknown): unknown;
  /** A folder that goes away at the end. */
  testdir(): string;
}

/** What a process wrote and how it ended. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** Runs `mixsocks ARGS` to its end. */
export function mixsocks(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  return finished(spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...env }, stdio: 'pipe' }));
}

/** Waits for the end of `child` and collects what it writes. */
export async function finished(child: ChildProcessWithoutNullStreams): Promise<Finished> {
  const startMs = performance.now();
  child.stdin.end();
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout: stdout(), stderr: stderr(), ms: performance.now() - startMs };
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (part: string) => {
    text += part;
  });
  return () => text;
}

/** Polls `condition` until it holds; throws after `timeoutMs`, naming what was waited for. */
export async function until(what: string, timeoutMs: number, condition: () => boolean | Promise<boolean>) {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await sleep(50);
  }
}

/** What `mixsocks status` prints: a proxy on a busy machine may not answer it in time, and is asked again. */
export async function statusText(url: string): Promise<string> {
  let text = '';
  await until(`status of ${url}`, READY_TIMEOUT_MS, async () => {
    text = (await mixsocks(['status', '--url', url])).stdout;
    return text !== '';
  });
  return text;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A network that runs. */
export class TestNetwork {
  /** Processes started by hand through `restart` and `start`, by name. */
  readonly #byHand = new Map<string, ChildProcess>();
  /** What each of them wrote. */
  readonly #outputs: (() => string)[] = [];
  /** Open, so that they can be read after `localnet` has removed its folder. */
  readonly #logs: readonly number[];
  /** What the nodes' files say of themselves: addresses there are the network's own. */
  readonly #files: readonly string[];
  #stopped: Promise<{ code: number | null; ms: number }> | undefined;

  private constructor(
    readonly process: ChildProcess,
    readonly ready: ReadyFile,
    readonly output: () => string,
  ) {
    this.#outputs.push(output);
    this.#logs = ready.nodes.map(({ dir }) => openSync(join(dir, 'log'), 'r'));
    this.#files = [ready.network, ...ready.nodes.map(({ dir }) => join(dir, 'config.json'))].map((path) =>
      readFileSync(path, 'utf8'),
    );
  }

  /** Starts `mixsocks localnet` with free ports and `flags`; stops it when `t` ends, and looks at what it logged. */
  static async start(t: Scope, flags: readonly string[] = []): Promise<TestNetwork> {
    const readyFile = join(t.testdir(), 'ready.json');
    const args = [...ENDS_WITH_US, MAIN, 'localnet', ...FLAGS, '--ready-file', readyFile, ...flags];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    const output = () => stdout() + stderr();
    t.teardown(() => stopProcess(child));
    await until('localnet ready', READY_TIMEOUT_MS, () => {
      if (child.exitCode !== null) throw new Error(`localnet ended with code ${child.exitCode}:\n${output()}`);
      return existsSync(readyFile);
    });
    const ready = JSON.parse(readFileSync(readyFile, 'utf8')) as ReadyFile;
    const network = new TestNetwork(child, ready, output);
    t.teardown(() => network.stop('SIGTERM'));
    return network;
  }

  /** `host:port` of the SOCKS front. */
  get socks(): string {
    return this.ready.socks;
  }

  node(name: string): ReadyNode {
    const node = this.ready.nodes.find((one) => one.name === name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  nodes(role: string): ReadyNode[] {
    return this.ready.nodes.filter((node) => node.role === role);
  }

  async status(): Promise<Status> {
    const reply = await fetch(`${this.ready.status}/status.json`);
    return (await reply.json()) as Status;
  }

  /** The sum of a counter or gauge over its labels that match `labels`, as a node's metrics show it. */
  async metric(nodeName: string, metric: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const text = await (await fetch(this.node(nodeName).metrics)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `));
    const wanted = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
    const matching = lines.filter((line) => wanted.every((label) => line.includes(label)));
    return matching.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  /** Everything the node has written since `localnet` started it. */
  log(nodeName: string): string {
    return readFileSync(join(this.node(nodeName).dir, 'log'), 'utf8');
  }

  /** Kills a node and waits until it is gone. */
  async kill(name: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const byHand = this.#byHand.get(name);
    const pid = byHand?.pid ?? this.node(name).pid;
    process.kill(pid, signal);
    await until(`${name} gone`, READY_TIMEOUT_MS, () =>
      byHand === undefined ? !isAlive(pid) : byHand.exitCode !== null || byHand.signalCode !== null,
    );
    this.#byHand.delete(name);
  }

  /** Starts a killed node again as its `argv` says; resolves when it listens. */
  async restart(name: string): Promise<void> {
    const [, ...args] = this.node(name).argv;
    await this.run(name, args);
  }

  /** The process of a node, whoever started it. */
  pid(name: string): number {
    return this.#byHand.get(name)?.pid ?? this.node(name).pid;
  }

  /** Stops a node, changes its config file, and starts it again. */
  async reconfigure(name: string, changes: Readonly<Record<string, unknown>>): Promise<void> {
    const file = join(this.node(name).dir, 'config.json');
    await this.kill(name, 'SIGTERM');
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...changes }));
    await this.restart(name);
  }

  /** Runs a further process of this network; resolves with what it wrote when it listens. It ends with the network. */
  async run(name: string, args: readonly string[]): Promise<string> {
    const child = spawn(process.execPath, [...ENDS_WITH_US, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    this.#byHand.set(name, child);
    this.#outputs.push(() => stdout() + stderr());
    await until(`${name} listens`, READY_TIMEOUT_MS, () => {
      if (child.exitCode !== null) throw new Error(`${name} ended with code ${child.exitCode}: ${stderr()}`);
      return stdout().includes('listening ');
    });
    return stdout();
  }

  /**
   * Stops everything with `signal`; resolves with how `localnet` ended and how long that took. Throws when a log tells
   * where an application went.
   */
  stop(signal: NodeJS.Signals = 'SIGINT'): Promise<{ code: number | null; ms: number }> {
    this.#stopped ??= this.#stop(signal);
    return this.#stopped;
  }

  /** Everything that all processes of the network have written. */
  everything(): string {
    const logs = this.#logs.map((log) => readFromStart(log));
    return [...logs, ...this.#outputs.map((output) => output())].join('\n');
  }

  async #stop(signal: NodeJS.Signals): Promise<{ code: number | null; ms: number }> {
    await Promise.all([...this.#byHand.values()].map((child) => stopProcess(child)));
    const how = await stopProcess(this.process, signal);
    const leaks = leaksIn(this.everything(), [JSON.stringify(this.ready), ...this.#files]);
    for (const log of this.#logs) closeSync(log);
    if (leaks.length > 0) throw new Error(`a log tells where an application went:\n${leaks.join('\n')}`);
    return how;
  }
}

function readFromStart(file: number): string {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const part = Buffer.alloc(65_536);
    const count = readSync(file, part, 0, part.byteLength, at);
    if (count === 0) return Buffer.concat(parts).toString();
    parts.push(part.subarray(0, count));
    at += count;
  }
}

/** Ends a child of ours: asks, and after half a minute kills. */
export async function stopProcess(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM') {
  const startMs = performance.now();
  if (child.exitCode === null && child.signalCode === null) {
    child.kill(signal);
    const killer = setTimeout(() => child.kill('SIGKILL'), 30_000);
    await once(child, 'exit');
    clearTimeout(killer);
  }
  return { code: child.exitCode, ms: performance.now() - startMs };
}
