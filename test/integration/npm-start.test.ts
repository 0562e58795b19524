import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

const { scripts } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
  scripts: { start: string };
};

/** Stands in for the network: takes a while to end after SIGTERM, and leaves a file when it has. */
const SLOW_TO_END = `
import { writeFileSync } from 'node:fs';
setInterval(() => {}, 1000);
process.on('SIGTERM', () => setTimeout(() => { writeFileSync('ended', ''); process.exit(0); }, 300));
console.log('running');
`;

t.test('npm start returns after SIGTERM when what it runs has ended, with its exit code', async (t) => {
  const manifest = JSON.stringify({ type: 'module', scripts: { start: scripts.start } });
  const dir = t.testdir({ 'package.json': manifest, cli: { 'start.mjs': SLOW_TO_END } });
  const npm = spawn('npm', ['start', '--', '--socks-port', '0'], { cwd: dir, stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => npm.kill('SIGKILL'));
  const exit = once(npm, 'exit');
  let output = '';
  for await (const text of npm.stdout.setEncoding('utf8')) {
    output += text;
    if (/^running$/m.test(output)) break;
  }
  npm.kill('SIGTERM');
  t.strictSame(await exit, [0, null]);
  t.ok(existsSync(join(dir, 'ended')));
});
