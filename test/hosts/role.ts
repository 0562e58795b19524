/**
 * A role on a host of its own: a process of the built program, started and stopped as its operator would.
 * @module
 */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { RoleName } from '../../cli/roles.ts';
import { ENDS_WITH_US, finished, MAIN, stopProcess, until } from '../support/localnet.ts';
import type { Host } from './lan.ts';

/** A network of real processes, with machines that are slower than this one. */
export const PATIENCE_MS = 180_000;
export const PORTS = { directory: 8080, mixnode: 4001, gateway: 4000, metrics: 9464, socks: 1080 } as const;

/** `mixsocks ARGS` to its end; what it printed. Throws when it fails. */
export async function command(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: 'pipe' });
  const { code, stdout, stderr } = await finished(child as ChildProcessWithoutNullStreams);
  if (code !== 0) throw new Error(`mixsocks ${args.join(' ')} ended with ${code}: ${stderr}`);
  return { stdout, stderr };
}

/** Of the command line; `true` for one without a value. */
type Options = Readonly<Record<string, string | number | true>>;

export class HostedRole {
  readonly dir: string;
  #child: ChildProcess | undefined;
  /** Bytes of the log before the present start. */
  #startedAt = 0;

  constructor(
    readonly role: RoleName,
    readonly host: Host,
    home: string,
  ) {
    this.dir = join(home, host.name);
    mkdirSync(home, { recursive: true });
  }

  get name(): string {
    return this.host.name;
  }

  get identity(): string {
    return /^identity ([0-9a-f]{64})$/m.exec(this.made)?.[1] ?? '';
  }

  /** What was printed as its folder was made. */
  made = '';

  /** Makes the folder. */
  async init(options: Options): Promise<void> {
    this.made = (await command(['init', this.role, ...this.#words(options)])).stdout;
  }

  /** Makes the folder and starts it, by one command. */
  async initAndStart(options: Options): Promise<void> {
    await this.start([MAIN, this.role, '--init', ...this.#words(options)]);
    this.made = this.log();
  }

  #words(options: Options): string[] {
    const { role, dir, name, host } = this;
    const pages = { [role === 'proxy' ? 'status-listen' : 'metrics-listen']: host.at(PORTS.metrics) };
    const all = Object.entries<string | number | true>({ dir, name, ...pages, ...options });
    return all.flatMap(([key, value]) => (value === true ? [`--${key}`] : [`--${key}`, String(value)]));
  }

  get #logFile(): string {
    return `${this.dir}.log`;
  }

  /** What it has written since its present start; of `all` starts. */
  log(all = false): string {
    return readFileSync(this.#logFile, 'utf8').slice(all ? 0 : this.#startedAt);
  }

  /** Starts it; resolves when it listens. */
  async start(program: readonly string[] = [MAIN, this.role, '--dir', this.dir]): Promise<void> {
    const log = openSync(this.#logFile, 'a');
    this.#startedAt = statSync(this.#logFile).size;
    const child = this.host.spawn(process.execPath, [...ENDS_WITH_US, ...program], { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#child = child;
    await until(`${this.name} listens`, PATIENCE_MS, () => {
      if (child.exitCode !== null) throw new Error(`${this.name} ended with ${child.exitCode}:\n${this.log()}`);
      return /^listening /m.test(this.log());
    });
  }

  /** Ends it in order, or at once by SIGKILL. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child !== undefined) await stopProcess(this.#child, signal);
    this.#child = undefined;
  }

  /** Asks it to end, and leaves it the time that it takes. */
  async drain(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
    this.#child = undefined;
  }

  /** Whether its process has ended, or was not started. */
  get isGone(): boolean {
    return this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** What `/readyz` says: empty when it is ready. */
  async lacks(): Promise<string> {
    try {
      const reply = await fetch(`http://${this.host.at(PORTS.metrics)}/readyz`, {
        signal: AbortSignal.timeout(10_000),
      });
      const text = await reply.text();
      return reply.ok ? '' : text;
    } catch {
      return 'no answer';
    }
  }

  async untilReady(): Promise<void> {
    let lacks = '';
    await until(`${this.name} is ready`, PATIENCE_MS, async () => {
      lacks = await this.lacks();
      return lacks === '';
    }).catch((error: Error) => {
      throw new Error(`${error.message} (${lacks.trim()})\n${this.log().split('\n').slice(-12).join('\n')}`);
    });
  }
}
