/**
 * A proxy that one command starts for itself: a process of its own, which ends with the command.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { lastWords, MAIN, RoleProcess, tailOf } from '../child-process.ts';
import { untilReady } from '../status.ts';

const ANY_PORT = '127.0.0.1:0';
/** Of what it wrote: where it listens, and why it ended. */
const MAX_KEPT_CHARS = 8192;

/** Starts the proxy of the folder `dir`, on free ports. */
export function startOwnProxy(dir: string, networkFile: string | undefined): OwnProxy {
  const network = networkFile === undefined ? [] : ['--network-file', networkFile];
  const args = [MAIN, 'proxy', '--dir', dir, ...network, '--socks-listen', ANY_PORT, '--status-listen', ANY_PORT];
  // A session of its own, so that a Ctrl-C meant for the command does not end it. The end of the IPC channel does, however we ended.
  return new OwnProxy(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], detached: true }));
}

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
