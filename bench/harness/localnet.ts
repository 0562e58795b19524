/**
 * A local network of a build: started by its command line, known by its ready file, measured from outside.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadyFile, ReadyNode } from '../../cli/localnet/ready.ts';
import { type Build, hasOption } from './build.ts';
import { processSeconds } from './processor.ts';
import type { Scope } from './scope.ts';

const READY_TIMEOUT_MS = 150_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 50;

/** Ends a process whose parent is gone: a benchmark that is killed leaves nothing behind. */
const GUARD = `const parent = process.ppid; setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGTERM'); }, 500).unref();`;
/** Options of node for a process that ends with us. */
export const ENDS_WITH_US = ['--import', `data:text/javascript,${encodeURIComponent(GUARD)}`];

/** Rates of a network, as `localnet` takes them. */
export interface Setting {
  /** Packets per second from the proxy. */
  readonly rate: number;
  /** Replies per second to it. */
  readonly replyRate: number;
  readonly downlink: 'steady' | 'burst';
  /** Plaintext bytes of a packet. */
  readonly packetSize: number;
}

export const STANDARD: Setting = { rate: 50, replyRate: 100, downlink: 'steady', packetSize: 2048 };
export const FAST: Setting = { ...STANDARD, rate: 200, replyRate: 500 };

function flagsOf({ rate, replyRate, downlink, packetSize }: Setting): string[] {
  const values = { rate, 'reply-rate': replyRate, downlink, 'packet-size': packetSize };
  return Object.entries(values).flatMap(([name, value]) => [`--${name}`, `${value}`]);
}

/** Starts a program of the build in the background; it ends with `scope`. */
export function startProgram(scope: Scope, args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [...ENDS_WITH_US, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.resume(); // what nobody reads must not stop it
  scope.teardown(() => stopProgram(child));
  return child;
}

/** Asks a child to end, and kills it when it does not. Resolves when it is gone. */
export async function stopProgram(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await gone;
  clearTimeout(killer);
}

/** Polls until `condition` holds; throws after `timeoutMs`, naming what was waited for. */
export async function until(what: string, timeoutMs: number, condition: () => boolean | Promise<boolean>) {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await sleep(POLL_MS);
  }
}

/** A network that runs until its scope ends. */
export class Localnet {
  private constructor(
    readonly process: ChildProcess,
    readonly ready: ReadyFile,
  ) {}

  /**
   * Starts `mixsocks localnet` with these rates; resolves when requests can succeed. Where a build fits rates to the machine,
   * they are kept as given unless `fitted`.
   */
  static async start(
    scope: Scope,
    build: Build,
    setting: Setting,
    { flags = [], fitted = false }: { readonly flags?: readonly string[]; readonly fitted?: boolean } = {},
  ): Promise<Localnet> {
    const readyFile = join(scope.testdir(), 'ready.json');
    const keep = !fitted && hasOption(build, 'localnet', '--keep-rates') ? ['--keep-rates'] : [];
    const own = ['--socks-port', '0', '--status-port', '0', '--allow-private', '--ready-file', readyFile];
    const child = startProgram(scope, [build.main, 'localnet', ...own, ...flagsOf(setting), ...keep, ...flags]);
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2000);
    });
    await until('localnet ready', READY_TIMEOUT_MS, () => {
      if (child.exitCode !== null) throw new Error(`localnet ended with code ${child.exitCode}: ${said.trim()}`);
      return existsSync(readyFile);
    });
    return new Localnet(child, JSON.parse(readFileSync(readyFile, 'utf8')) as ReadyFile);
  }

  /** `host:port` of the SOCKS front. */
  get socks(): string {
    return this.ready.socks;
  }

  nodesOf(role: string): readonly ReadyNode[] {
    return this.ready.nodes.filter((node) => node.role === role);
  }

  /** The roles that there are, each once. */
  get roles(): readonly string[] {
    return [...new Set(this.ready.nodes.map(({ role }) => role))];
  }

  stop(): Promise<void> {
    return stopProgram(this.process);
  }
}

/** Starts to measure; call the result for the seconds that each role's processes have computed since, all together. */
export function measureRoles(network: Localnet): () => ReadonlyMap<string, number> {
  const secondsOf = (role: string) => network.nodesOf(role).reduce((sum, { pid }) => sum + processSeconds(pid), 0);
  const before = new Map(network.roles.map((role) => [role, secondsOf(role)]));
  return () => new Map([...before].map(([role, seconds]) => [role, secondsOf(role) - seconds]));
}
