/** Other people's programs behind `mixsocks run --sealed`, with servers of the test. */
import { execFileSync, spawn } from 'node:child_process';
import { chownSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { noteDestination } from '../../support/destinations.ts';
import { stopProcess, until } from '../../support/localnet.ts';
import { reservedPort } from '../../support/ports.ts';
import { pattern } from '../../support/web.ts';
import { serveRepository } from '../front/programs.ts';
import { mixsocksIn, openFolder, type User } from './world.ts';

const sealed = (...command: string[]) => ['run', '--sealed', '--', ...command];

/** Serves `files` by path; the address. */
async function serveFiles(t: Test, files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const server = createServer((request, response) => {
    const file = files[request.url ?? ''];
    if (file === undefined) response.writeHead(404).end();
    else
      response
        .setHeader('Content-Type', (request.url ?? '').endsWith('/') ? 'text/html' : 'application/octet-stream')
        .end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  noteDestination(port);
  return `http://127.0.0.1:${port}`;
}

/** A folder of the test that belongs to `user`. */
async function folderOf(t: Test, user: User): Promise<string> {
  const folder = await openFolder(t);
  if (user.as.length > 0) chownSync(folder, user.uid, user.uid);
  return folder;
}

export async function gitCloneSealed(t: Test, env: NodeJS.ProcessEnv, users: readonly User[]): Promise<void> {
  const repository = t.testdir({ work: { file: pattern(50_000, 'git') } });
  const port = await serveRepository(t, repository);
  for (const user of users) {
    const clone = join(await folderOf(t, user), 'clone');
    const url = `http://127.0.0.1:${port}/project.git`;
    const { code, stderr } = await mixsocksIn(env, sealed('git', 'clone', '-q', url, clone), user);
    t.equal(code, 0, `${user.name}: ${stderr}`);
    t.ok(readFileSync(join(clone, 'file')).equals(pattern(50_000, 'git')));
  }
}

export async function wgetSealed(t: Test, env: NodeJS.ProcessEnv, users: readonly User[]): Promise<void> {
  const url = await serveFiles(t, { '/file': pattern(20_000, 'wget') });
  for (const user of users) {
    const file = join(await folderOf(t, user), 'file');
    const { code, stderr } = await mixsocksIn(env, sealed('wget', '-nv', '-t', '1', '-O', file, `${url}/file`), user);
    t.equal(code, 0, `${user.name}: ${stderr}`);
    t.ok(readFileSync(file).equals(pattern(20_000, 'wget')));
  }
}

/** `pip download` of a package with nothing in it. */
export async function pipDownload(t: Test, env: NodeJS.ProcessEnv): Promise<void> {
  const folder = await openFolder(t);
  const wheel = 'demo_mix-1.0-py3-none-any.whl';
  const info = 'demo_mix-1.0.dist-info';
  const make = `import zipfile
with zipfile.ZipFile(${JSON.stringify(join(folder, wheel))}, 'w') as z:
    z.writestr('${info}/METADATA', 'Metadata-Version: 2.1\\nName: demo-mix\\nVersion: 1.0\\n')
    z.writestr('${info}/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    z.writestr('${info}/RECORD', '')`;
  execFileSync('python3', ['-c', make]);
  const url = await serveFiles(t, {
    '/simple/demo-mix/': `<a href="/${wheel}">${wheel}</a>`,
    [`/${wheel}`]: readFileSync(join(folder, wheel)),
  });
  const out = join(folder, 'out');
  const flags = ['--no-deps', '--no-cache-dir', '--disable-pip-version-check', '-i', `${url}/simple/`, '-d', out];
  const { code, stdout, stderr } = await mixsocksIn(env, sealed('pip', 'download', ...flags, 'demo-mix'));
  t.equal(code, 0, stdout + stderr);
  t.ok(readFileSync(join(out, wheel)).equals(readFileSync(join(folder, wheel))));
}

/** `apt-get update` and `download` from a repository with one package. */
export async function aptUpdate(t: Test, env: NodeJS.ProcessEnv): Promise<void> {
  const folder = await openFolder(t);
  mkdirSync(join(folder, 'demo/DEBIAN'), { recursive: true });
  const control = 'Package: demo-mix\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@b>\nDescription: nothing\n';
  writeFileSync(join(folder, 'demo/DEBIAN/control'), control);
  execFileSync('dpkg-deb', ['--build', join(folder, 'demo'), join(folder, 'demo.deb')], { stdio: 'ignore' });
  const deb = readFileSync(join(folder, 'demo.deb'));
  const sha256 = execFileSync('sha256sum', [join(folder, 'demo.deb')], { encoding: 'utf8' }).slice(0, 64);
  const index = `${control}Filename: ./demo.deb\nSize: ${deb.byteLength}\nSHA256: ${sha256}\n`;
  const url = await serveFiles(t, { '/./Packages': index, '/Packages': index, '/./demo.deb': deb, '/demo.deb': deb });
  writeFileSync(join(folder, 'sources.list'), `deb [trusted=yes] ${url}/ ./\n`);
  for (const name of ['state/lists/partial', 'cache/archives/partial', 'out'])
    mkdirSync(join(folder, name), { recursive: true });
  const options = [
    `Dir::Etc::sourcelist=${join(folder, 'sources.list')}`,
    'Dir::Etc::sourceparts=/dev/null',
    `Dir::State=${join(folder, 'state')}`,
    'Dir::State::status=/var/lib/dpkg/status',
    `Dir::Cache=${join(folder, 'cache')}`,
  ].flatMap((option) => ['-o', option]);
  const apt = `cd ${join(folder, 'out')} && apt-get "$@" update && apt-get "$@" download demo-mix`;
  const { code, stdout, stderr } = await mixsocksIn(env, sealed('sh', '-c', apt, 'sh', ...options));
  t.equal(code, 0, stdout + stderr);
  t.ok(readFileSync(join(folder, 'out/demo-mix_1.0_all.deb')).equals(deb));
}

/** A plain `ssh` logs in: the proxy is in the configuration that it finds. */
export async function sshSealed(t: Test, env: NodeJS.ProcessEnv, users: readonly User[]): Promise<void> {
  const folder = await openFolder(t);
  for (const name of ['host', 'user'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
  mkdirSync('/run/sshd', { recursive: true });
  const port = await reservedPort();
  noteDestination(port);
  const options = [
    `HostKey=${join(folder, 'host')}`,
    `AuthorizedKeysFile=${join(folder, 'user.pub')}`,
    'StrictModes=no',
  ];
  const more = ['UsePAM=no', 'ListenAddress=127.0.0.1', `PidFile=${join(folder, 'pid')}`, 'PermitRootLogin=yes'];
  const args = ['-D', '-f', '/dev/null', '-p', String(port), ...[...options, ...more].flatMap((one) => ['-o', one])];
  const server = spawn('/usr/sbin/sshd', args, { stdio: 'ignore' });
  t.teardown(() => stopProcess(server));
  await until('sshd listens', 60_000, () => canConnect(port));
  for (const user of users) {
    const key = join(await folderOf(t, user), 'key');
    copyFileSync(join(folder, 'user'), key);
    if (user.as.length > 0) chownSync(key, user.uid, user.uid);
    const client = [
      '-i',
      key,
      '-o',
      'StrictHostKeyChecking=no',
      '-o',
      'UserKnownHostsFile=/dev/null',
      '-o',
      'BatchMode=yes',
    ];
    const command = sealed('ssh', ...client, '-p', String(port), 'root@127.0.0.1', 'echo logged in; exit 5');
    const { code, stdout, stderr } = await mixsocksIn(env, command, user);
    t.strictSame([code, stdout], [5, 'logged in\n'], `${user.name}: ${stderr}`);
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
