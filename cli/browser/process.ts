/**
 * The browser as a process, from its start until nothing of it is left.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { MixError, systemReason } from '../../lib/core/errors.ts';
import { tailOf } from '../child-process.ts';
import type { Environment } from '../role-config.ts';
import type { Browser } from './browser.ts';

/** From SIGTERM to SIGKILL: a browser writes its profile, which nobody needs any more. */
const STOP_TIMEOUT_MS = 4000;
/** Of what it writes on standard error, for the line that says why it ended. */
const MAX_KEPT_CHARS = 16_384;
/** How often, and for how long, it is looked at whether a wrapper has become the browser. */
const LOOK_PERIOD_MS = 20;
const MAX_LOOKS = 1500;
const SHELLS = /^(ba|da|k|z)?sh$|^busybox$/;

/** Variables that these browsers read, but for those about the display: among them some that switch the sandbox off. */
const READ_BY_BROWSERS = /^(MOZ_|XRE_|NS_|CHROME_|CHROMIUM_|GOOGLE_|MIXSOCKS_)/;
const HARMLESS = /^(MOZ_ENABLE_WAYLAND|MOZ_USE_XINPUT2|MOZ_DISABLE_WAYLAND|MOZ_WEBRENDER|MOZ_X11_EGL)$/;
/** Proxies of other programs, and a file with the keys of all TLS connections. */
const OTHERS = /^((all|ftp|https?|no|socks|auto)_(proxy|server)|SOCKS_VERSION|SSLKEYLOGFILE)$/i;

/** `env` without what would change the browser, and with its temporary files in `temporary`. */
export function environmentFor(browser: Browser, env: Environment, temporary: string): Environment {
  const kept = Object.entries(env).filter(
    ([name]) => HARMLESS.test(name) || !(READ_BY_BROWSERS.test(name) || OTHERS.test(name)),
  );
  return { ...Object.fromEntries(kept), TMPDIR: temporary, ...browser.environment(temporary) };
}

export interface Launch {
  readonly browser: Browser;
  readonly path: string;
  readonly args: readonly string[];
  readonly env: Environment;
}

export class BrowserProcess {
  readonly #child: ChildProcess;
  /** Resolves with what went wrong, or nothing, when the browser has ended. */
  readonly ended: Promise<MixError | undefined>;
  #stopping = false;
  #gone = false;
  readonly #complaints: () => string;

  constructor(private readonly launch: Launch) {
    // A group of its own: a Ctrl-C of the terminal reaches us alone, and what the browser starts can be ended with it.
    this.#child = spawn(launch.path, launch.args, {
      stdio: ['ignore', 'inherit', 'pipe'],
      detached: true,
      env: launch.env,
    });
    this.#complaints = tailOf(this.#child.stderr, MAX_KEPT_CHARS);
    this.ended = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#gone = true;
        resolve(this.#failure(`cannot be started: ${systemReason(error)}`));
      });
      this.#child.once('exit', (code, signal) => {
        this.#signalGroup('SIGKILL'); // helpers that have not noticed
        this.#gone = true;
        resolve(code === 0 || this.#stopping ? undefined : this.#failure(`ended with ${signal ?? `code ${code}`}`));
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Asks it to end, and after a time makes it; at once when asked again. Resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.#gone) return;
    const again = this.#stopping;
    this.#stopping = true;
    this.#signalGroup(again ? 'SIGKILL' : 'SIGTERM');
    const timer = setTimeout(() => this.#signalGroup('SIGKILL'), STOP_TIMEOUT_MS);
    await this.ended;
    clearTimeout(timer);
  }

  /**
   * Rejects with CONFIG when the browser runs with an option that undoes what this is for: scripts and files of the system
   * may have added it. Only Linux shows what a process was started with.
   */
  async checkCommandLine(): Promise<void> {
    for (let looks = 0; looks < MAX_LOOKS && this.#child.exitCode === null; looks++) {
      // The order matters: a script that becomes the browser between the two looks would pass unseen.
      const script = isShell(this.pid);
      const args = commandLine(this.pid);
      if (args === undefined) return;
      const bad = args.find((arg) => this.launch.browser.undoing.test(arg));
      if (bad !== undefined) {
        const { browser, path } = this.launch;
        throw new MixError(
          'CONFIG',
          `${path} starts ${browser.name} with ${bad}, which is not safe: remove that option`,
        );
      }
      const betweenPrograms = args.join('') === ''; // execve(2) has swapped the memory, and not yet written there
      if (!script && !betweenPrograms) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK_PERIOD_MS));
    }
  }

  #signalGroup(signal: NodeJS.Signals): void {
    if (this.pid === undefined) return;
    try {
      process.kill(-this.pid, signal);
    } catch {
      // nobody is left
    }
  }

  #failure(how: string): MixError {
    const { name } = this.launch.browser;
    if (/No usable sandbox/i.test(this.#complaints())) {
      const why =
        'this system lets no ordinary user set up its sandbox (unprivileged user namespaces are switched off)';
      return new MixError('ENVIRONMENT', `${name} was not started: ${why}`);
    }
    const reason = reasonIn(this.#complaints());
    return new MixError('ENVIRONMENT', `${name} ${how}${reason === undefined ? '' : `: ${reason}`}`);
  }
}

/** The line that says most: a fatal one, else the last. */
function reasonIn(stderr: string): string | undefined {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const line = lines.findLast((text) => text.includes('FATAL')) ?? lines.at(-1);
  return line?.replace(/^\[[^\]]*\]\s*/, '').trim();
}

function commandLine(pid: number | undefined): string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return undefined;
  }
}

/** Whether the process is still the script that starts the browser. */
function isShell(pid: number | undefined): boolean {
  try {
    return SHELLS.test(basename(readlinkSync(`/proc/${pid}/exe`)));
  } catch {
    return false;
  }
}
