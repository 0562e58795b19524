/**
 * What the first process of a sealed command's namespaces does: a shell script, since a shell is everywhere, waits for its
 * child, and reaps what others leave behind. It prepares the mounts, lets the helper listen, and runs the command.
 *
 * Descriptors: 2 goes to the process outside, which makes one line of it when something fails; 3 is the IPC channel of
 * the helper; 4 is the command's standard error.
 * @module
 */
import { shellWord } from '../environment.ts';
import type { SealPlan } from './plan.ts';

export interface SealedStart extends SealPlan {
  /** An empty folder of ours. */
  readonly hold: string;
  /** The program that brings the helper, in words. */
  readonly helper: readonly string[];
  /** The value of ssh's ProxyCommand. */
  readonly proxyCommand: string;
  /** What the command runs under, in words: it takes the rights away that were needed to get here. */
  readonly under: readonly string[];
}

const TMPFS = 'mount -t tmpfs -o mode=0755,size=64m,nosuid,nodev tmpfs';
/** Nobody answers there, which a resolver learns at once. */
const RESOLV_CONF = 'nameserver 127.0.0.1\\noptions timeout:1 attempts:1\\n';

/** The script, for a file; the command comes as its arguments. */
export function sealScript(start: SealedStart): string {
  const hold = shellWord(start.hold);
  return [
    PREPARE,
    `${TMPFS} ${hold} || fail 'cannot mount a file system of its own'`,
    ...start.kept.map((path, index) => `hold ${shellWord(path)} ${hold}/kept-${index}`),
    ...start.covered.map((folder) => `${TMPFS} ${folder} || fail 'cannot cover ${folder}'`),
    ...start.made.map((folder) => `mkdir -p -m 0700 ${shellWord(folder)}`),
    'chmod 1777 /run/lock',
    ...start.kept.map((path, index) => `put_back ${shellWord(path)} ${hold}/kept-${index}`),
    ...start.hidden.map((path) => `hide ${shellWord(path)}`),
    ...resolver(start.resolvConf, hold),
    ...ssh(start.proxyCommand, hold),
    LOOPBACK,
    `env -u NODE_OPTIONS ${start.helper.map(shellWord).join(' ')} || fail 'cannot listen inside'`,
    'exec 3>&-',
    'unset NODE_CHANNEL_FD NODE_CHANNEL_SERIALIZATION_MODE',
    'cd "$PWD" 2>/dev/null || cd /', // a folder that was covered is still open
    // In a subshell: what the shell itself says of a signal that ended the command does not go to the command's standard error.
    `(exec ${start.under.map(shellWord).join(' ')} "$@" 2>&4 4>&-)`,
    'exit $?',
  ].join('\n');
}

const PREPARE = `set -u
fail() { printf '%s\\n' "$1" >&2; exit 1; }
hold() {
  if [ -L "$1" ]; then cp -P "$1" "$2"
  elif [ -d "$1" ]; then mkdir "$2" && mount --rbind "$1" "$2"
  elif [ -e "$1" ]; then : > "$2" && mount --bind "$1" "$2"
  fi || fail "cannot keep $1"
}
put_back() {
  if [ -L "$2" ]; then cp -P "$2" "$1"
  elif [ -d "$2" ]; then mkdir -p "$1" && mount --rbind "$2" "$1"
  elif [ -e "$2" ]; then mkdir -p "\${1%/*}" && : > "$1" && mount --bind "$2" "$1"
  fi || fail "cannot put $1 back"
}
hide() { [ ! -S "$1" ] || mount --bind /dev/null "$1" 2>/dev/null || [ ! -S "$1" ] || fail "cannot hide $1"; }`;

const LOOPBACK = `up=
if mount -t sysfs -o nosuid,nodev,noexec sysfs /sys 2>/dev/null; then
  (echo 0x9 > /sys/class/net/lo/flags) 2>/dev/null && up=yes
fi
[ "$up" ] || ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null ||
  fail 'cannot bring the loopback interface up: install iproute2'`;

function resolver(path: string | undefined, hold: string): string[] {
  if (path === undefined) return [];
  const file = shellWord(path);
  return [
    `printf '${RESOLV_CONF}' > ${hold}/resolv.conf`,
    `if [ -e ${file} ]; then mount --bind ${hold}/resolv.conf ${file} || fail 'cannot replace ${path}'`,
    `else mkdir -p ${shellWord(path.slice(0, path.lastIndexOf('/')))} && cp ${hold}/resolv.conf ${file}; fi`,
  ];
}

/**
 * ssh takes no proxy from the environment: the machine's own configuration, which comes after the user's, gets one at its end.
 * It refuses included files of another owner, and the machine's root is nobody in a namespace of the user: they are copied.
 */
function ssh(proxyCommand: string, hold: string): string[] {
  return [
    'if [ -r /etc/ssh/ssh_config ]; then',
    `  { cat /etc/ssh/ssh_config; printf '\\nMatch all\\n  ProxyCommand %s\\n' ${shellWord(proxyCommand)}; } > ${hold}/ssh_config`,
    `  mount --bind ${hold}/ssh_config /etc/ssh/ssh_config || fail 'cannot replace /etc/ssh/ssh_config'`,
    'fi',
    'if [ -r /etc/ssh/ssh_config.d ]; then',
    `  mkdir ${hold}/ssh_config.d; cp /etc/ssh/ssh_config.d/*.conf ${hold}/ssh_config.d 2>/dev/null`,
    `  mount --bind ${hold}/ssh_config.d /etc/ssh/ssh_config.d || fail 'cannot replace /etc/ssh/ssh_config.d'`,
    'fi',
  ];
}
