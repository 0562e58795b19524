/**
 * `--sealed`: the command runs in namespaces of its own for network, mounts and processes. There is loopback, on which a proxy
 * listens, and nothing else.
 *
 * setpriv ties unshare to this process and unshare ties the first process inside to itself, so that nothing is left when we
 * are killed. Users other than root get a user namespace in which they are root, until the mounts are made, and in it a
 * second one in which they are themselves again, without any right over the first.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MixError } from '../../../lib/core/errors.ts';
import { addNetworkOf } from '../../../lib/relay/kernel-socket.ts';
import { tailOf } from '../../child-process.ts';
import { makeTemporaryFolder } from '../../localnet/temporary-folder.ts';
import { exitCodeOf, type SignalRelay } from '../command.ts';
import { proxyCommand } from '../environment.ts';
import type { ProxyRelay } from '../relay.ts';
import { closeInherited, machineFacts, mayMakeNamespaces, whyForbidden } from './machine.ts';
import { sealedEnvironment, sealPlan } from './plan.ts';
import { sealScript } from './script.ts';

const HELPER = fileURLToPath(new URL('./listen-inside.js', import.meta.url));
/** From the start until the command can run. */
export const SEAL_TIMEOUT_MS = 60_000;
/** Of what failed inside, for the line about it. */
const MAX_KEPT_CHARS = 4096;

/** What a package manager needs as root, and nothing that leads out: Docker's default without devices. */
const ROOT_KEEPS =
  `chown dac_override fowner fsetid kill net_bind_service net_raw setfcap setgid setpcap setuid sys_chroot
  audit_write`
    .split(/\s+/)
    .map((capability) => `+${capability}`);

export interface SealedCommand {
  readonly command: readonly string[];
  /** With the proxy in it, as it is inside. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ports on loopback inside. */
  readonly ports: readonly number[];
  /** The command line of `mixsocks connect`, in words. */
  readonly connect: readonly string[];
  readonly relay: ProxyRelay;
  readonly signals: SignalRelay;
}

/** Runs it to its end; resolves with the exit code. Rejects with ENVIRONMENT when the namespaces cannot be made. */
export async function runSealed(sealed: SealedCommand): Promise<number> {
  const hold = await makeTemporaryFolder(holdParent());
  closeInherited();
  const child = await start(sealed, hold);
  const gone = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  let forgetNetwork = () => {};
  try {
    const early = await Promise.race([prepared(child, gone, sealed), sealed.signals.early]);
    if (typeof early === 'number') return early;
    forgetNetwork = addNetworkOf(oldestChild(child.pid) ?? process.pid);
    sealed.signals.sendTo((signal) => signalCommand(child, signal));
    const [code, signal] = await gone;
    return exitCodeOf(code, signal);
  } finally {
    forgetNetwork();
    child.kill('SIGKILL');
    await rm(hold, { recursive: true, force: true });
  }
}

/** A folder that is still there when /run is covered. */
function holdParent(): string {
  const folder = process.env.TMPDIR ?? '/tmp';
  return /^\/(var\/)?run(\/|$)/.test(folder) ? '/tmp' : folder;
}

async function start({ command, env, ports, connect }: SealedCommand, hold: string): Promise<ChildProcess> {
  const asRoot = mayMakeNamespaces();
  const [uid, gid] = [process.getuid?.(), process.getgid?.()];
  const drop = [
    'setpriv',
    '--inh-caps=-all',
    '--ambient-caps=-all',
    `--bounding-set=-all,${ROOT_KEEPS.join(',')}`,
    '--',
  ];
  const script = sealScript({
    ...sealPlan(machineFacts(env)),
    hold,
    helper: [process.execPath, HELPER, ...ports.map(String)],
    proxyCommand: proxyCommand(connect),
    under: asRoot ? drop : ['unshare', '--user', `--map-user=${uid}`, `--map-group=${gid}`, '--'],
  });
  const scriptFile = join(hold, 'seal.sh'); // an argument would stand in the list of processes, and has a bound
  await writeFile(scriptFile, script);
  const namespaces = [...(asRoot ? [] : ['--user', '--map-root-user']), '--net', '--mount', '--pid', '--mount-proc'];
  const unshare = [
    'unshare',
    ...namespaces,
    '--fork',
    '--kill-child',
    '--',
    'sh',
    '-c',
    script,
    'mixsocks',
    ...command,
  ];
  return spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...unshare], {
    stdio: ['inherit', 'inherit', 'pipe', 'ipc', 2],
    env: sealedEnvironment(env),
  });
}

/** Resolves when the helper has handed out all its sockets, and they are served. */
async function prepared(child: ChildProcess, gone: Promise<unknown>, { ports, relay }: SealedCommand): Promise<void> {
  const said = tailOf(child.stderr, MAX_KEPT_CHARS);
  const served: Promise<unknown>[] = [];
  const handed = new Promise<void>((resolve) => {
    child.on('message', (_message, server) => {
      served.push(relay.serve(server as Server));
      if (served.length === ports.length) resolve();
    });
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new MixError('ENVIRONMENT', 'the namespaces are not ready after a minute')),
      SEAL_TIMEOUT_MS,
    );
  });
  const failed = gone.then(() => {
    const reason = said().trim().split('\n').join('; ');
    const why = whyForbidden();
    throw new MixError('ENVIRONMENT', `cannot seal the command: ${reason}${why === undefined ? '' : `; ${why}`}`);
  });
  failed.catch(() => {}); // when the command ends, later
  await Promise.race([handed, failed, late]).finally(() => clearTimeout(timer));
  await Promise.all(served);
}

/** The command is the first child of the first process inside, which is the one child of unshare. */
function signalCommand(child: ChildProcess, signal: NodeJS.Signals): void {
  const init = oldestChild(child.pid);
  const command = init === undefined ? undefined : oldestChild(init);
  try {
    if (command !== undefined) process.kill(command, signal);
  } catch {
    // It has ended.
  }
}

/** By proc(5): fields 4, the parent, and 22, the time of the start. */
function oldestChild(parent: number | undefined): number | undefined {
  let oldest: { pid: number; startTime: number } | undefined;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const fields = statOf(name);
    const startTime = Number(fields[19]);
    if (Number(fields[1]) !== parent || (oldest !== undefined && startTime >= oldest.startTime)) continue;
    oldest = { pid: Number(name), startTime };
  }
  return oldest?.pid;
}

/** From field 3 on; empty when the process is gone. */
function statOf(pid: string): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}
