/**
 * The proxy that a command uses: the one that runs, or one started for the command alone.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { MixError } from '../../lib/core/errors.ts';
import { lastWords, MAIN, RoleProcess, tailOf } from '../child-process.ts';
import { makeTemporaryFolder } from '../localnet/temporary-folder.ts';
import type { Environment } from '../role-config.ts';
import { fetchStatus, untilReady } from '../status.ts';
import { dialProxy, type Login, noProxyAt, type ProxyPlace, pageUrl, parseProxyAddress, reachable } from './address.ts';
import { configuredProxy } from './options.ts';

export interface ProxyChoice {
  readonly proxy?: string | undefined;
  readonly dir?: string | undefined;
  readonly networkFile?: string | undefined;
}

export interface ProxyInUse {
  readonly place: ProxyPlace;
  /** As given with its address. */
  readonly login?: Login;
  /** Rejects when a proxy that was started here is gone, with the reason; else it stays pending. */
  readonly gone: Promise<never>;
  /** Ends a proxy that was started here. */
  stop(): Promise<void>;
}

/**
 * Finds the proxy that runs and waits until it is ready, or starts one: of `dir` where that is given and none runs there, of
 * `networkFile` where only that is given. `say` gets a line when there is something to wait for. Throws CONFIG, REFUSED when
 * none runs and there is nothing to start one from, NO_CONSENSUS when it is not ready after two minutes.
 */
export async function proxyInUse(
  choice: ProxyChoice,
  env: Environment,
  say: (line: string) => void,
): Promise<ProxyInUse> {
  if (choice.proxy !== undefined) return given(choice.proxy);
  if (choice.networkFile !== undefined && choice.dir === undefined) return startForNetwork(choice.networkFile, say);
  const config = configuredProxy(choice.dir, env);
  const running = await findRunning(config.statusListen);
  if (running === undefined) {
    if (choice.dir !== undefined) return start(choice.dir, choice.networkFile, say);
    throw noProxyAt(config.socksListen[0] ?? '', undefined);
  }
  if (!running.ready) {
    say('waiting until the proxy is ready (at most two minutes)');
    await untilReady(running.statusUrl);
  }
  return { place: reachable(running.socks, 'the status of the proxy'), ...NOT_OURS };
}

/** Longer than for `mixsocks status`, where somebody waits for a page: a busy machine must not keep a command from its proxy. */
export const STATUS_TIMEOUT_MS = 30_000;

const NOT_OURS = { gone: new Promise<never>(() => {}), stop: async () => {} };

/** A proxy that was named is taken at its word: only whether somebody listens there is tried. */
async function given(text: string): Promise<ProxyInUse> {
  const { place, login } = parseProxyAddress(text, '--proxy');
  (await dialProxy(place)).destroy();
  return { place, ...(login === undefined ? {} : { login }), ...NOT_OURS };
}

interface Running {
  readonly statusUrl: string;
  readonly socks: string;
  readonly ready: boolean;
}

/** By its status page: what else listens on the usual port may be anybody's. */
async function findRunning(statusListen: string): Promise<Running | undefined> {
  const statusUrl = pageUrl(statusListen, 'statusListen');
  if (statusUrl === undefined) return undefined;
  try {
    const { socks, ready } = await fetchStatus(statusUrl, STATUS_TIMEOUT_MS);
    return { statusUrl, socks, ready };
  } catch (error) {
    if (error instanceof MixError && error.code === 'REFUSED') return undefined;
    throw error;
  }
}

async function startForNetwork(networkFile: string, say: (line: string) => void): Promise<ProxyInUse> {
  const dir = await makeTemporaryFolder();
  const remove = () => rm(dir, { recursive: true, force: true });
  try {
    const proxy = await start(dir, networkFile, say);
    return { ...proxy, stop: () => proxy.stop().finally(remove) };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function start(dir: string, networkFile: string | undefined, say: (line: string) => void): Promise<ProxyInUse> {
  const proxy = startOwnProxy(dir, networkFile);
  say('starting a proxy, and waiting until it is ready (at most two minutes)');
  try {
    const place = reachable(await proxy.ready(), 'the proxy');
    const gone = proxy.death();
    gone.catch(() => {}); // seen by whoever waits
    return { place, gone, stop: () => proxy.stop() };
  } catch (error) {
    await proxy.stop();
    throw error;
  }
}

const ANY_PORT = '127.0.0.1:0';
/** Of what it wrote: where it listens, and why it ended. */
const MAX_KEPT_CHARS = 8192;

/** Starts the proxy of the folder `dir`, on free ports. */
function startOwnProxy(dir: string, networkFile: string | undefined): OwnProxy {
  const network = networkFile === undefined ? [] : ['--network-file', networkFile];
  const args = [MAIN, 'proxy', '--dir', dir, ...network, '--socks-listen', ANY_PORT, '--status-listen', ANY_PORT];
  // A session of its own, so that a Ctrl-C meant for the command does not end it. The end of the IPC channel does, however we ended.
  return new OwnProxy(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], detached: true }));
}

/** A proxy that one command starts for itself: a process of its own, which ends with the command. */
class OwnProxy extends RoleProcess {
  readonly #stdout: ChildProcess['stdout'];
  readonly #written: () => string;

  constructor(child: ChildProcess) {
    const complaints = tailOf(child.stderr, MAX_KEPT_CHARS);
    super(
      child,
      (how) => lastWords(complaints())?.replace(/^mixsocks proxy: /, 'the proxy: ') ?? `the proxy ended with ${how}`,
    );
    this.#stdout = child.stdout;
    this.#written = tailOf(child.stdout, MAX_KEPT_CHARS);
  }

  /** Resolves with `host:port` when requests can succeed. Rejects when it ends before, and with NO_CONSENSUS after two minutes. */
  async ready(): Promise<string> {
    await this.running();
    const [, socks = '', status = ''] = await Promise.race([this.#listeningLine(), this.death()]);
    await Promise.race([untilReady(status), this.death()]);
    return socks;
  }

  /** The line comes through a pipe and the message through a channel: either may be first. */
  async #listeningLine(): Promise<RegExpExecArray> {
    for (;;) {
      const line = /^listening (\S+), status (\S+)$/m.exec(this.#written());
      if (line !== null) return line;
      await new Promise((resolve) => this.#stdout?.once('data', resolve));
    }
  }
}
