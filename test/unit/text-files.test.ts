/** Whatever stands where a file is expected: nothing that reads one waits for a pipe, or takes in more than it bounds. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { Archive } from '../../directory/archive.ts';
import { MemberFiles } from '../../directory/members/member-files.ts';
import { DiskRecords } from '../../directory/voting/disk-records.ts';
import { GuardFile } from '../../lib/access/guard-file.ts';
import { ClientInvitations } from '../../lib/access/invitations.ts';
import { readJsonObject } from '../../lib/config/config.ts';
import { makeFolder } from '../../lib/core/folders.ts';
import { loadTextFile, MAX_TEXT_BYTES, readTextFile } from '../../lib/core/text-file.ts';
import { type EpochNumber, epochNumber } from '../../lib/core/units.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { CacheFile } from '../../lib/directory/client/cache-file.ts';
import { invitationLine, loadNetworkFile } from '../../lib/directory/index.ts';
import { IDENTITY_FILE, loadIdentity } from '../../lib/link/index.ts';
import { readKeys } from '../../lib/mixing/key-store.ts';
import { listenAgain } from '../../lib/node/listen-links.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { HostsFile } from '../../network-requester/dns/hosts-file.ts';
import { loadRules } from '../../network-requester/policy/policy-file.ts';
import { nodeEntry } from '../support/nodes.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { unix } from '../support/units.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const noPipes = process.platform === 'win32' && 'Windows has no named pipes in folders';

/** A named pipe. Its writer writes nothing: a reader that waits for it finds the file empty, and the test goes on. */
function pipeAt(t: Test, path: string): void {
  makeFolder(dirname(path));
  execFileSync('mkfifo', [path]);
  const writer: ChildProcess = spawn('sh', ['-c', ': > "$1"', 'sh', path], { stdio: 'ignore' });
  const ended = once(writer, 'exit');
  t.teardown(async () => {
    writer.kill();
    await ended;
  });
}

/** What each reader of a file does with the one at `path`. */
const READERS: readonly (readonly [name: string, file: string, read: (path: string) => unknown])[] = [
  ['config file', 'config.json', (path) => readJsonObject(path)],
  ['network file', 'network.json', (path) => loadNetworkFile(path)],
  ['identity', IDENTITY_FILE, (path) => loadIdentity(dirname(path))],
  ['Sphinx keys', 'sphinx-keys.json', (path) => readKeys(dirname(path))],
  ['exit policy', 'policy.txt', (path) => loadRules(path)],
  ['consensus cache', 'consensus.json', (path) => new CacheFile(path, '').load()],
  ['access key', 'access.key', (path) => invited(path)],
  ['join token', 'tokens/0123456789abcdef.json', (path) => new MemberFiles(dirname(dirname(path))).all()],
  ['signed consensus', 'consensus/7.json', (path) => new Archive(dirname(dirname(path))).consensus(seven)],
  ['vote', 'voting/7/0/own.json', (path) => ownVote(join(dirname(path), '../../..'))],
];
const seven: EpochNumber = epochNumber(7);

function invited(accessFile: string) {
  const line = invitationLine({ gateways: [nodeEntry(1, { role: 'gateway' }).id], token: 'a'.repeat(64) });
  return ClientInvitations.load([line], accessFile, { crypto: createCrypto('fastest'), rng: seededRng(1) });
}

const ownVote = (dir: string) =>
  new DiskRecords(dir).ownVote({ epoch: seven, attempt: 0, startMs: unix(0), roundMs: 1, rounds: 1 });

t.test('a named pipe in place of a file is refused at once, with its name', { skip: noPipes }, async (t) => {
  for (const [name, file, read] of READERS) {
    const path = join(t.testdir(), name, file);
    pipeAt(t, path);
    const message = new RegExp(`${file.replaceAll('.', '\\.')} is a pipe, not a file$`);
    await t.rejects(async () => read(path), { message }, name);
  }
});

t.test('nobody has to write to the pipe for that', { skip: noPipes }, async (t) => {
  for (const [index, read] of [readTextFile, loadTextFile].entries()) {
    const path = join(t.testdir(), `pipe${index}`);
    execFileSync('mkfifo', [path]);
    // frees a reader that waits, so that the test fails and does not hang
    const late = spawn('sh', ['-c', 'sleep 20; : > "$1"; : > "$1.opened"', 'sh', path], { detached: true });
    t.teardown(() => late.exitCode === null && process.kill(-(late.pid as number)));
    await t.rejects(async () => read(path), { code: 'CONFIG', message: `${path} is a pipe, not a file` });
    t.notOk(existsSync(`${path}.opened`));
  }
});

t.test('a folder and a device in place of a file, and one that is too long, are refused too', async (t) => {
  for (const [name, file, read] of READERS) {
    const places: [string, RegExp, (path: string) => void][] = [
      ['folder', /is a folder, not a file$/, (path) => makeFolder(path)],
      ['long', /has 1000000000 bytes; it can have at most \d+$/, longFile],
    ];
    if (process.platform !== 'win32') {
      places.push(['device', /is a device, not a file$/, (path) => symlinkSync('/dev/null', path)]);
    }
    for (const [kind, message, put] of places) {
      const path = join(t.testdir(), name, kind, file);
      makeFolder(dirname(path));
      put(path);
      await t.rejects(async () => read(path), { message }, `${name}: ${kind}`);
    }
  }
});

/** It takes no room on the disk. */
function longFile(path: string): void {
  writeFileSync(path, '', { mode: 0o600 });
  truncateSync(path, 1_000_000_000);
}

t.test(
  'what can be done without is left: guards, ports, host names, problems of nodes',
  { skip: noPipes },
  async (t) => {
    const dir = t.testdir();
    for (const file of ['guards.json', 'listen-port', 'listen-port.new', 'hosts', 'unreachable.json']) {
      pipeAt(t, join(dir, file));
    }
    const warnings: object[] = [];
    const log = { warn: (fields: object) => warnings.push(fields) } as unknown as Log;
    t.equal(await new GuardFile(join(dir, 'guards.json'), 'n1', log).load(), undefined);
    t.match(warnings, [{ reason: /guards\.json is a pipe, not a file$/ }]);
    t.strictSame(new HostsFile(join(dir, 'hosts')).lookup('localhost'), []);
    t.strictSame(await new Archive(dir).unreachable(), new Map());
    const listen = async () => ({ addresses: [{ host: '127.0.0.1', port: 4711 }] });
    await listenAgain(dir, [{ host: '127.0.0.1', port: 0 }], listen);
    t.equal(readFileSync(join(dir, 'listen-port'), 'utf8'), '4711\n', 'replaced');
  },
);

t.test('a text of the longest size is read, both ways', async (t) => {
  const path = join(t.testdir(), 'text');
  writeFileSync(path, 'x'.repeat(100));
  for (const read of [readTextFile, loadTextFile]) {
    t.equal((await read(path, { maxBytes: 100 })).length, 100);
    await t.rejects(async () => read(path, { maxBytes: 99, code: 'DOCUMENT' }), { code: 'DOCUMENT' });
  }
  t.ok(MAX_TEXT_BYTES > 1_000_000);
});

t.test('files of a folder are read in one place', async (t) => {
  /** Files of the system and of the package, the log of a child process, and a browser’s policies. */
  const others = ['cli/browser', 'cli/localnet/child.ts', 'cli/run', 'cli/check/machine.ts', 'proxy/status/page'];
  others.push('lib/core/version.ts', 'lib/core/text-file.ts', 'lib/mixing/boot-id.ts', 'lib/runtime/processors.ts');
  others.push('lib/relay/kernel-socket.ts', 'cli/open-files.ts');
  const parts = ['cli', 'client', 'directory', 'gateway', 'lib', 'mixnode', 'network-requester', 'proxy'];
  const files = parts.flatMap((part) =>
    readdirSync(join(root, part), { recursive: true, encoding: 'utf8' }).map((name) => join(part, name)),
  );
  const reading = files
    .filter((name) => name.endsWith('.ts') && !others.some((other) => name.startsWith(other)))
    .filter((name) => /\b(readFile|readFileSync|createReadStream)\b/.test(readFileSync(join(root, name), 'utf8')));
  t.strictSame(reading, [], 'readTextFile and loadTextFile are safe with pipes, devices and huge files');
});
