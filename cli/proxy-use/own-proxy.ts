/**
 * A proxy that one command starts for itself: a process of its own, which ends with the command.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { MixError } from '../../lib/core/errors.ts';
import { codeOfExit, endProcess, lastWords, MAIN } from '../role-process.ts';
import { untilReady } from '../until-ready.ts';

const ANY_PORT = '127.0.0.1:0';
/** Of what it wrote on standard error, for the line that says why it ended. */
const MAX_KEPT_CHARS = 8192;

/** Starts the proxy of the folder `dir`, on free ports. */
export function startOwnProxy(dir: string, networkFile: string | undefined): OwnProxy {
  const network = networkFile === undefined ? [] : ['--network-file', networkFile];
  const args = [MAIN, 'proxy', '--dir', dir, ...network, '--socks-listen', ANY_PORT, '--status-listen', ANY_PORT];
  // A session of its own, so that a Ctrl-C meant for the command does not end it. The end of the IPC channel does, however we ended.
  return new OwnProxy(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], detached: true }));
}

export class OwnProxy {
  readonly #process: ChildProcess;
  /** Rejects when it is gone, with an error of the kind that ended it. */
  readonly gone: Promise<never>;
  #exited = false;
  #stdout = '';
  #stderr = '';

  constructor(child: ChildProcess) {
    this.#process = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout = `${this.#stdout}${text}`.slice(-MAX_KEPT_CHARS);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = `${this.#stderr}${text}`.slice(-MAX_KEPT_CHARS);
    });
    this.gone = new Promise((_resolve, reject) => {
      const end = (error: unknown) => {
        this.#exited = true;
        reject(error);
      };
      child.once('error', end);
      child.once('close', (code, signal) => {
        const why = lastWords(this.#stderr)?.replace(/^mixsocks proxy: /, 'the proxy: ');
        end(new MixError(codeOfExit(code), why ?? `the proxy ended with ${signal ?? `code ${code}`}`));
      });
    });
    this.gone.catch(() => {}); // seen by whoever waits
  }

  /** Resolves with `host:port` when requests can succeed. Rejects when it ends before, and with NO_CONSENSUS after two minutes. */
  async ready(): Promise<string> {
    const listening = new Promise<void>((resolve) => this.#process.once('message', () => resolve()));
    await Promise.race([listening, this.gone]);
    const [, socks = '', status = ''] = await Promise.race([this.#listeningLine(), this.gone]);
    await Promise.race([untilReady(status), this.gone]);
    return socks;
  }

  /** Asks it to end, and after a time makes it. */
  async stop(): Promise<void> {
    if (this.#exited) return;
    await endProcess(
      this.#process,
      this.gone.catch(() => {}),
    );
  }

  /** The line comes through a pipe and the message through a channel: either may be first. */
  async #listeningLine(): Promise<RegExpExecArray> {
    for (;;) {
      const line = /^listening (\S+), status (\S+)$/m.exec(this.#stdout);
      if (line !== null) return line;
      await new Promise((resolve) => this.#process.stdout?.once('data', resolve));
    }
  }
}
