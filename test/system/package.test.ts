/** What `npm pack` makes of the sources alone can be installed into an empty folder, and runs there. */
import { exec, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import type { ReadyFile } from '../../cli/localnet/ready.ts';
import { isAlive, until } from '../support/localnet.ts';
import { curl, startWeb } from '../support/web.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SHIPPED =
  /^(dist\/.*\.(js|d\.ts)|(deploy|docs|examples)\/.*|LICENSE|(README|CHANGELOG|SECURITY)\.md|package\.json)$/;
const NOT_SOURCES = new Set(['node_modules', 'dist', '.tap', '.git']);
const OFFLINE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT/;
const IS_WINDOWS = process.platform === 'win32';
const env = { ...process.env, npm_config_update_notifier: 'false', npm_config_loglevel: 'error' };

/** Runs a command line to its end. */
function run(commandLine: string, cwd: string) {
  return promisify(exec)(commandLine, { cwd, env, maxBuffer: 2 ** 24 });
}

/** A copy of the sources as in a fresh clone after `npm ci`: without a build. */
function freshClone(folder: string): string {
  for (const name of readdirSync(ROOT)) {
    if (!NOT_SOURCES.has(name)) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction');
  return folder;
}

/** Starts `npx --no-install mixsocks localnet starts a network that carries`; at the end of `t` it and what it started are gone. */
async function startLocalnet(t: Test, folder: string): Promise<{ ready: ReadyFile; interrupt(): Promise<void> }> {
  const readyFile = join(folder, 'ready.json');
  const flags = `--mixes-per-layer 1 --socks-port 0 --status-port 0 --allow-private --ready-file "${readyFile}"`;
  const child = spawn(`npx --no-install mixsocks localnet ${flags}`, {
    cwd: folder,
    env,
    shell: true,
    detached: true, // a process group, as a terminal gives to a command
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const signal = (name: NodeJS.Signals) => {
    try {
      process.kill(IS_WINDOWS ? (child.pid ?? 0) : -(child.pid ?? 0), name);
    } catch {} // gone already
  };
  t.teardown(() => signal('SIGKILL'));
  let said = '';
  child.stderr.on('data', (text: Buffer) => {
    said += text;
  });
  const closed = once(child, 'close');
  await until('npx mixsocks localnet ready', 90_000, () => {
    if (child.exitCode !== null) throw new Error(`it ended with code ${child.exitCode}: ${said}`);
    return existsSync(readyFile);
  });
  const interrupt = async () => {
    signal('SIGINT');
    await closed;
  };
  return { ready: JSON.parse(readFileSync(readyFile, 'utf8')) as ReadyFile, interrupt };
}

t.test('npm pack in a fresh clone is complete, installs into an empty folder and runs there', async (t) => {
  // away from the sources: npm installs into the next folder above that holds a package
  const dir = mkdtempSync(join(tmpdir(), 'mixsocks-package-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));
  const clone = freshClone(join(dir, 'clone'));
  mkdirSync(join(clone, 'dist'));
  writeFileSync(join(clone, 'dist', 'stale.js'), '');
  await run(`npm pack --pack-destination "${dir}"`, clone);
  const archive = readdirSync(dir).find((name) => name.endsWith('.tgz')) ?? '';
  const listed = (await run(`tar -tzf ${archive}`, dir)).stdout.trim().split(/\r?\n/);
  const paths = listed.map((path) => path.replace(/^package\//, ''));
  for (const path of ['dist/cli/main.js', 'dist/index.js', 'dist/index.d.ts', 'README.md', 'LICENSE']) {
    t.ok(paths.includes(path), `the package has ${path}`);
  }
  t.notOk(paths.includes('dist/stale.js'), 'nothing of an older build');
  t.strictSame(
    paths.filter((path) => !SHIPPED.test(path)),
    [],
    'nothing but the build and its documents',
  );

  const home = join(dir, 'home');
  mkdirSync(home);
  try {
    await run(`npm install --prefer-offline --no-audit --no-fund "${join(dir, archive)}"`, home);
  } catch (error) {
    if (process.env.CI !== undefined || !OFFLINE.test(String(error))) throw error;
    process.stderr.write('NO PACKAGE REGISTRY HERE: that the package can be installed is NOT TESTED\n');
    t.pass('installs', { skip: 'no package registry' });
    return;
  }
  const manifest = JSON.parse(readFileSync(join(clone, 'package.json'), 'utf8')) as { version: string };
  const version = await run('npx --no-install mixsocks --version', home);
  t.equal(version.stdout, `${manifest.version}\n`);

  await t.test('a program imports the library by the name of the package', async (t) => {
    writeFileSync(
      join(home, 'names.mjs'),
      "import { MixnetClient, MixnetAgent } from 'mixsocks';\nconsole.log(MixnetClient, MixnetAgent);",
    );
    const { stdout } = await run('node names.mjs', home);
    t.match(stdout, /class MixnetClient.*class MixnetAgent/s);
  });

  await t.test('npx --no-install mixsocks localnet starts a network that carries', async (t) => {
    const web = await startWeb(t);
    const { ready, interrupt } = await startLocalnet(t, home);
    const { body, stderr } = await curl(ready.socks, [`${web.url}/`]);
    t.equal(body.toString(), 'hello through the mixnet\n', stderr);
    t.match(await (await fetch(ready.status)).text(), /<html/, 'the status page');
    await interrupt();
    for (const node of ready.nodes) t.notOk(isAlive(node.pid), `${node.name} is gone after an interrupt`);
  });
});
