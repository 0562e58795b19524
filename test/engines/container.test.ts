/**
 * The container file and the compose file: `npm run test:engines`. The base is Debian by mmdebstrap with Node.js from npm's registry, since
 * there is not everywhere a registry of images; the image is made of what `npm pack` packs; then each service of the compose file runs,
 * on the network of the host. Loudly skipped where a machine cannot do this. Takes some minutes.
 */
import { spawnSync } from 'node:child_process';
import { chownSync, cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { freePorts } from '../../cli/localnet/ports.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { composeServices } from '../support/compose-file.ts';
import { until } from '../support/localnet.ts';
import { curl, startWeb } from '../support/web.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TOOLS = ['mmdebstrap', 'buildah', 'podman', 'runc'];
const NODE = 'node@24';
const USER = 10001;
const READY_MS = 300_000;
const COMMAND_MS = 400_000;
/** What the service may do, as the compose file says it. */
const CONFINED = ['--read-only', '--cap-drop', 'all', '--security-opt', 'no-new-privileges', '--tmpfs', '/tmp'];
/** What services announce, in the network of the compose file. */
const OWN_ADDRESS = /^172\.30\.77\.\d+/;
/** Those of the machine may be more than a container may ask for. */
const ULIMITS = ['--ulimit', 'nofile=4096:4096', '--ulimit', 'nproc=4096:4096'];

const lacking = TOOLS.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);
const reason = process.getuid?.() !== 0 ? 'no root' : lacking.length > 0 ? `no ${lacking.join(', no ')}` : undefined;

/** Runs a command to its end; throws with what it said when it fails. */
function run(cwd: string, command: string, ...args: string[]): string {
  const { status, signal, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: COMMAND_MS });
  if (status === 0) return stdout.trim();
  throw new Error(`${command} ${args.join(' ')}: ${signal ?? status}\n${`${stdout}${stderr}`.slice(-3000)}`);
}

/** Images and containers in a folder of their own. */
class Engine {
  readonly #store: readonly string[];

  constructor(readonly dir: string) {
    this.#store = ['--root', join(dir, 'store'), '--runroot', join(dir, 'run'), '--storage-driver', 'overlay'];
  }

  buildah(...args: string[]): string {
    return run(this.dir, 'buildah', ...this.#store, ...args);
  }

  /** Ends what runs, and removes the folder. */
  remove(): void {
    try {
      this.podman('rm', '--all', '--force', '--time', '5');
    } finally {
      spawnSync('umount', ['--recursive', join(this.dir, 'store/overlay')]); // the store keeps it mounted
      rmSync(this.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    }
  }

  podman(...args: string[]): string {
    const plain = ['--runtime', 'runc', '--cgroup-manager', 'cgroupfs', '--events-backend', 'file'];
    return run(this.dir, 'podman', ...this.#store, ...plain, ...args);
  }
}

/** An image with Node.js, as the official one has it. */
function makeBase(engine: Engine): void {
  const { dir } = engine;
  run(
    dir,
    'mmdebstrap',
    '--variant=minbase',
    '--include=ca-certificates,libatomic1,libstdc++6',
    'bookworm',
    'base.tar',
  );
  run(dir, 'npm', 'install', NODE, '--prefix', dir, '--ignore-scripts=false', '--no-save', '--no-audit', '--no-fund');
  const local = join(dir, 'base/usr/local');
  cpSync(join(dir, 'node_modules/node/bin/node'), join(local, 'bin/node'));
  cpSync(join(run(dir, 'npm', 'root', '--global'), 'npm'), join(local, 'lib/node_modules/npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm'));
  const container = engine.buildah('from', 'scratch');
  engine.buildah('add', '--quiet', container, 'base.tar', '/');
  engine.buildah('copy', '--quiet', container, 'base', '/');
  const authorities = process.env.NODE_EXTRA_CA_CERTS; // those of a registry behind a proxy
  if (authorities !== undefined) {
    engine.buildah('copy', '--quiet', container, authorities, '/etc/ssl/certs/extra.crt');
    engine.buildah('config', '--env', 'NODE_EXTRA_CA_CERTS=/etc/ssl/certs/extra.crt', container);
  }
  engine.buildah('commit', '--quiet', '--rm', container, 'localhost/mixsocks-base');
}

/** The image of the build that is there. */
function makeImage(engine: Engine): void {
  const context = join(engine.dir, 'context');
  mkdirSync(context);
  cpSync(join(ROOT, 'deploy/container'), join(context, 'deploy/container'), { recursive: true });
  run(ROOT, 'npm', 'pack', '--ignore-scripts', '--pack-destination', context);
  const packed = readdirSync(context).find((name) => name.endsWith('.tgz')) ?? '';
  renameSync(join(context, packed), join(context, 'mixsocks.tgz'));
  const file = ['-f', join(context, 'deploy/container/Containerfile'), context];
  const base = ['--build-arg', 'BASE=localhost/mixsocks-base'];
  engine.buildah('build', '--isolation', 'chroot', '--network', 'host', ...base, '-t', 'localhost/mixsocks', ...file);
}

/** Starts the services of the compose file on ports that are free; where each answers about its health, and the proxy's SOCKS port. */
async function startServices(engine: Engine) {
  const named = new Set(
    composeServices.flatMap(({ env }) => [...env.values()].flatMap((value) => /:(\d+)$/.exec(value)?.[1] ?? [])),
  );
  const free = await freePorts('127.0.0.1', named.size + composeServices.length, systemRng);
  const moved = new Map([...named].map((port, i) => [port, free[i] ?? 0]));
  const hosts = composeServices.flatMap(({ name }) => ['--add-host', `${name}:127.0.0.1`]);
  const health = new Map<string, string>();
  for (const [i, { name, role, env, volumes }] of composeServices.entries()) {
    // One port of health for all: on the network of the host each needs its own.
    const own = free[named.size + i] ?? 0;
    const shown = role === 'proxy' ? 'MIXSOCKS_STATUS_LISTEN' : 'MIXSOCKS_METRICS_LISTEN';
    const movedTo = (value: string) => value.replace(/:(\d+)$/, (_all, port) => `:${moved.get(port)}`);
    const here = new Map([...env].map(([key, value]) => [key, movedTo(value).replace(OWN_ADDRESS, '127.0.0.1')]));
    here.set(shown, `127.0.0.1:${own}`);
    if (role === 'proxy' || role === 'requester') here.set('MIXSOCKS_ALLOW_PRIVATE', 'true'); // the site of this test
    health.set(name, `http://127.0.0.1:${own}/readyz`);
    const mounts = volumes.flatMap((volume) => {
      const [source = '', ...target] = volume.split(':');
      mkdirSync(join(engine.dir, 'volumes', source), { recursive: true });
      chownSync(join(engine.dir, 'volumes', source), USER, USER);
      return ['-v', [join(engine.dir, 'volumes', source), ...target].join(':')];
    });
    const options = [...here].flatMap(([key, value]) => ['--env', `${key}=${value}`]);
    const place = ['--detach', '--name', name, '--network', 'host', ...hosts, ...mounts];
    engine.podman('run', ...place, ...CONFINED, ...ULIMITS, ...options, 'localhost/mixsocks', role);
  }
  const socks = moved.get(/:(\d+)$/.exec(composeServices.at(-1)?.env.get('MIXSOCKS_SOCKS_LISTEN') ?? '')?.[1] ?? '');
  return { health, socks: `127.0.0.1:${socks}` };
}

const isReady = (url: string) =>
  fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );

t.test('the image carries the whole network of the compose file', async (t) => {
  if (reason !== undefined) {
    process.stderr.write(`${reason.toUpperCase()} HERE: the container file and the compose file are NOT TESTED\n`);
    t.pass('containers', { skip: reason });
    return;
  }
  const engine = new Engine(mkdtempSync(join(tmpdir(), 'mixsocks-engine-')));
  t.teardown(() => engine.remove());
  makeBase(engine);
  makeImage(engine);
  const { health, socks } = await startServices(engine);
  try {
    for (const [name, url] of health) await until(`${name} ready`, READY_MS, () => isReady(url));
  } catch (error) {
    for (const name of health.keys()) process.stderr.write(`${name}: ${engine.podman('logs', '--tail', '20', name)}\n`);
    throw error;
  }
  const web = await startWeb(t);
  const fetched = await curl(socks, [`${web.url}/`]);
  t.equal(fetched.body.toString(), 'hello through the mixnet\n', fetched.stderr);
  t.equal(engine.podman('exec', 'mix-2', 'id', '-u'), String(USER), 'as a user without rights');

  await t.test('a node that is stopped ends by itself, and comes back as the same node', async (t) => {
    engine.podman('stop', '--time', '10', 'mix-2');
    t.equal(engine.podman('inspect', '--format', '{{.State.ExitCode}}', 'mix-2'), '0', 'it was not killed');
    engine.podman('start', 'mix-2');
    await until('mix-2 ready again', READY_MS, () => isReady(health.get('mix-2') ?? ''));
    const again = await curl(socks, [`${web.url}/`]);
    t.equal(again.body.toString(), 'hello through the mixnet\n', again.stderr);
  });
});
