/**
 * What a sealed command needs to know of the machine, and what the machine lacks for it.
 * @module
 */
import { accessSync, closeSync, constants, lstatSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { MixError } from '../../../lib/core/errors.ts';
import type { Environment } from '../../role-config.ts';
import type { MachineFacts } from './plan.ts';

export function machineFacts(env: Environment): MachineFacts {
  return {
    env,
    unixSockets: readOr('/proc/net/unix', ''),
    hasVarRun: lstatSync('/var/run', { throwIfNoEntry: false })?.isDirectory() ?? false,
    runEntries: readdirSync('/run'),
    resolvConf: linkEnd('/etc/resolv.conf'),
  };
}

function readOr<Other>(path: string, other: Other): string | Other {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return other;
  }
}

function linkEnd(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** Throws ENVIRONMENT where `--sealed` cannot work. */
export function requireSealable(env: Environment): void {
  if (process.platform !== 'linux') throw new MixError('ENVIRONMENT', '--sealed needs the namespaces of Linux');
  const missing = ['unshare', 'setpriv', 'mount', 'sh'].filter((tool) => findProgram(tool, env.PATH) === undefined);
  if (missing.length === 0) return;
  throw new MixError(
    'ENVIRONMENT',
    `--sealed needs ${missing.join(', ')}, which ${missing.length > 1 ? 'are' : 'is'} not here: install util-linux`,
  );
}

/** The file that `program` means; undefined when there is none. */
export function findProgram(program: string, path = '/usr/bin:/bin'): string | undefined {
  const candidates = program.includes('/') ? [program] : path.split(delimiter).map((folder) => join(folder, program));
  return candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return !lstatSync(file).isDirectory();
    } catch {
      return false;
    }
  });
}

const CAP_SYS_ADMIN = 21n;

/** Whether this process may make namespaces without one for users: root, outside of containers. */
export function mayMakeNamespaces(): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readOr('/proc/self/status', ''))?.[1] ?? '0';
  return process.getuid?.() === 0 && ((BigInt(`0x${mask}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}

/** Why the kernel may have refused, with the remedy; undefined when nothing known forbids it. */
export function whyForbidden(): string | undefined {
  const set = (name: string) => readOr(`/proc/sys/${name}`, undefined)?.trim();
  if (set('user/max_user_namespaces') === '0') return 'sysctl user.max_user_namespaces is 0';
  if (set('kernel/unprivileged_userns_clone') === '0') return 'sysctl kernel.unprivileged_userns_clone is 0';
  if (set('kernel/apparmor_restrict_unprivileged_userns') === '1')
    return 'sysctl kernel.apparmor_restrict_unprivileged_userns is 1, so AppArmor allows it to listed programs only';
  if (linkEnd('/.dockerenv') !== undefined) return 'a container needs the capability SYS_ADMIN for it (--cap-add)';
  return undefined;
}

const O_CLOEXEC = 0o2000000;

/**
 * Closes the descriptors that this process was given besides the standard ones: Node marks its own to be closed when a
 * program is started, and forgets inherited ones with high numbers.
 */
export function closeInherited(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readOr(`/proc/self/fdinfo/${name}`, ''))?.[1];
    if (flags === undefined || Number(name) <= 2 || (Number.parseInt(flags, 8) & O_CLOEXEC) !== 0) continue;
    closeSync(Number(name));
  }
}
