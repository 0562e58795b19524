/** What `npm pack` would ship runs by itself, away from the sources. */
import { execFile } from 'node:child_process';
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

t.test('the package runs', async (t) => {
  const dir = t.testdir();
  const env = { ...process.env, npm_config_cache: join(dir, 'cache'), npm_config_update_notifier: 'false' };
  const pack = await run(npm, ['pack', '--json', '--ignore-scripts', '--pack-destination', dir], {
    cwd: ROOT,
    env,
  });
  const [packed] = JSON.parse(pack.stdout) as { filename: string; files: { path: string }[] }[];
  const paths = packed?.files.map(({ path }) => path) ?? [];
  t.strictSame(
    paths.filter(
      (path) => !/^(dist\/.*\.(js|d\.ts)|docs\/.*|LICENSE|README\.md|CHANGELOG\.md|package\.json)$/.test(path),
    ),
    [],
    'nothing but the build and its documents',
  );
  await run('tar', ['-xzf', packed?.filename ?? '', '-C', dir], { cwd: dir });
  const shipped = join(dir, 'package');
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules')); // as npm would install them above it
  const manifest = JSON.parse(readFileSync(join(shipped, 'package.json'), 'utf8')) as {
    version: string;
    bin: { mixsocks: string };
  };
  const main = join(shipped, manifest.bin.mixsocks);
  t.match(readFileSync(main, 'utf8'), /^#!\/usr\/bin\/env node\n/);
  t.equal((await run(process.execPath, [main, '--version'])).stdout, `${manifest.version}\n`);
  const made = await run(process.execPath, [main, 'init', 'gateway', '--dir', join(dir, 'gateway')]);
  t.match(made.stdout, /^identity [0-9a-f]{64}$/m);
  const roles = ['proxy', 'requester', 'directory'];
  const pages = await Promise.all(roles.map((role) => run(process.execPath, [main, role, '--help'])));
  for (const { stdout } of pages) t.match(stdout, /--dir/);
  const user =
    "import { MixnetClient, MixnetAgent } from 'mixsocks'; process.stdout.write([MixnetClient.name, MixnetAgent.name].join());";
  const seen = await run(process.execPath, ['--input-type=module', '-e', user], { cwd: shipped });
  t.equal(seen.stdout, 'MixnetClient,MixnetAgent', 'the library, by the name of the package');
});
