/**
 * What a sealed command shall not see, and what of it is put back. Pure: facts of the machine in, a plan out.
 * @module
 */
import { posix } from 'node:path';
import { MixError } from '../../../lib/core/errors.ts';

export interface MachineFacts {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** /proc/net/unix. */
  readonly unixSockets: string;
  /** Whether /var/run is a folder of its own, not a link to /run. */
  readonly hasVarRun: boolean;
  /** What is in /run. */
  readonly runEntries: readonly string[];
  /** The file that /etc/resolv.conf is in the end. */
  readonly resolvConf: string | undefined;
}

export interface SealPlan {
  /** Folders that an empty one covers. */
  readonly covered: readonly string[];
  /** Entries of these folders that are put back: folders, links, sockets. */
  readonly kept: readonly string[];
  /** Folders that are made anew, for the command alone. */
  readonly made: readonly string[];
  /** Sockets elsewhere that are hidden one by one. */
  readonly hidden: readonly string[];
  readonly resolvConf: string | undefined;
}

/** Programs of NixOS, mounted disks: no sockets of services. */
const HARMLESS = ['current-system', 'booted-system', 'wrappers', 'opengl-driver', 'media', 'shm'];
/** The screen of the user. Its server connects nowhere for a program. */
const X11 = '/tmp/.X11-unix/';
/** Sockets outside of the covered folders. */
export const MAX_HIDDEN = 512;

export function sealPlan(facts: MachineFacts): SealPlan {
  const { env, resolvConf } = facts;
  const covered = facts.hasVarRun ? ['/run', '/var/run'] : ['/run'];
  const isCovered = (path: string) => covered.some((folder) => path.startsWith(`${folder}/`));
  const wanted = keptSockets(env).map((path) => (facts.hasVarRun ? path : path.replace(/^\/var\/run\//, '/run/')));
  const harmless = HARMLESS.filter((name) => facts.runEntries.includes(name)).map((name) => `/run/${name}`);
  const hidden = boundPaths(facts.unixSockets).filter(
    (path) => !isCovered(path) && !wanted.includes(path) && !path.startsWith(X11),
  );
  if (hidden.length > MAX_HIDDEN) {
    throw new MixError('LIMIT', `there are more than ${MAX_HIDDEN} unix sockets to hide outside of /run`);
  }
  const runtimeDir = env.XDG_RUNTIME_DIR;
  const made = ['/run/lock', ...(runtimeDir !== undefined && isCovered(runtimeDir) ? [runtimeDir] : [])];
  return { covered, kept: [...harmless, ...wanted.filter(isCovered)], made, hidden, resolvConf };
}

/** The agent that holds the user's keys for ssh, and the user's screen: neither connects anywhere for a program. */
function keptSockets(env: MachineFacts['env']): string[] {
  const { SSH_AUTH_SOCK: agent, WAYLAND_DISPLAY: display, XDG_RUNTIME_DIR: folder } = env;
  const screen = display === undefined || display === '' ? undefined : posix.resolve(folder ?? '/', display);
  return [agent, screen].filter((path) => path?.startsWith('/')).map((path) => posix.normalize(path ?? ''));
}

/** Paths of the sockets that are bound to one, proc_net(5): the eighth field. */
function boundPaths(table: string): string[] {
  const paths = table.split('\n').map((line) => /^(?:\S+\s+){7}(\/.*)$/.exec(line)?.[1]);
  return [...new Set(paths.filter((path) => path !== undefined))];
}

/** What names services outside, or belongs to the session that the command is no part of. */
const CLEARED = new Set(
  `DBUS_SESSION_BUS_ADDRESS DBUS_SYSTEM_BUS_ADDRESS DBUS_STARTER_ADDRESS DOCKER_HOST DOCKER_CONTEXT CONTAINER_HOST
  CONTAINERD_ADDRESS BUILDKIT_HOST PODMAN_HOST KUBECONFIG LIBVIRT_DEFAULT_URI NOTIFY_SOCKET LISTEN_FDS LISTEN_PID
  LISTEN_FDNAMES JOURNAL_STREAM INVOCATION_ID MANAGERPID SESSION_MANAGER PULSE_SERVER PIPEWIRE_REMOTE PIPEWIRE_RUNTIME_DIR
  GNOME_KEYRING_CONTROL GPG_AGENT_INFO AT_SPI_BUS_ADDRESS TMUX TMUX_PANE STY ZELLIJ VSCODE_IPC_HOOK VSCODE_IPC_HOOK_CLI
  VSCODE_GIT_IPC_HANDLE GIT_ASKPASS SSH_ASKPASS NODE_CHANNEL_FD NODE_CHANNEL_SERIALIZATION_MODE`.split(/\s+/),
);

export function sealedEnvironment<Value>(env: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !CLEARED.has(name)));
}
