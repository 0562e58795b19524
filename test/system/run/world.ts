/** A network, and `mixsocks run` in it as this user and as one without rights. */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { isExecutable } from '../../../cli/browser/find.ts';
import { type Finished, finished, MAIN, type TestNetwork } from '../../support/localnet.ts';

export const NOBODY = 65_534;
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'];

export interface User {
  readonly name: string;
  readonly uid: number;
  /** Words before a command that make it run as that user. */
  readonly as: readonly string[];
}

export const SELF: User = { name: 'this user', uid: process.getuid?.() ?? 0, as: [] };

/** This user, and for root one without rights, as far as they may make namespaces and read the build; says aloud which may not. */
export function usersThatCanSeal(): User[] {
  const users = SELF.uid === 0 ? [SELF, { name: 'nobody', uid: NOBODY, as: AS_NOBODY }] : [SELF];
  return users.filter(({ name, uid, as }) => {
    const [command = '', ...args] = [...as, 'unshare', ...(uid === 0 ? [] : ['--user', '--map-root-user'])];
    const flags = ['--net', '--mount', '--pid', '--fork', '--mount-proc', 'test', '-r', MAIN];
    const can = spawnSync(command, [...args, ...flags], { stdio: 'ignore' }).status === 0;
    if (!can) process.stderr.write(`NO NAMESPACES HERE FOR ${name.toUpperCase()}: run --sealed is NOT TESTED\n`);
    return can;
  });
}

/** Whether `program` is installed; says aloud when it is not. */
export function isThere(program: string): boolean {
  const there = `${process.env.PATH}:/usr/sbin:/sbin`.split(':').some((folder) => isExecutable(join(folder, program)));
  if (!there) process.stderr.write(`NO ${program.toUpperCase()} HERE: it is NOT TESTED behind run --sealed\n`);
  return there;
}

/** The environment in which `run` and `connect` find the network's proxy, with nothing of the user's own. */
export function environmentIn(network: TestNetwork): NodeJS.ProcessEnv {
  const status = network.ready.status.replace('http://', '');
  return { ...plainEnvironment(), MIXSOCKS_STATUS_LISTEN: status, MIXSOCKS_SOCKS_LISTEN: network.socks };
}

/** The same with a proxy that takes connections and says nothing: for what needs none. */
export async function environmentWithout(t: Test): Promise<NodeJS.ProcessEnv> {
  const server = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return { ...plainEnvironment(), MIXSOCKS_PROXY: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function plainEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/_proxy$|^GIT_|^MIXSOCKS_/i.test(name));
  return { ...Object.fromEntries(kept), HOME: '/tmp' };
}

/** Starts `mixsocks ARGS` as `user`. */
export function startMixsocks(env: NodeJS.ProcessEnv, args: readonly string[], user: User = SELF) {
  const [command = '', ...words] = [...user.as, process.execPath, MAIN, ...args];
  return spawn(command, words, { env, stdio: 'pipe' });
}

/** Runs it to its end, or for two minutes. */
export function mixsocksIn(env: NodeJS.ProcessEnv, args: readonly string[], user: User = SELF): Promise<Finished> {
  const child = startMixsocks(env, args, user);
  const timer = setTimeout(() => child.kill('SIGKILL'), 120_000);
  return finished(child).finally(() => clearTimeout(timer));
}

/** A folder that other users can read. */
export async function openFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mixsocks-run-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  return folder;
}
