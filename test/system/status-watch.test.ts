/** `mixsocks status --watch` as a process: on a terminal, in a pipe, and when its reader or its proxy goes away. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import t, { type Test } from 'tap';
import { ENDS_WITH_US, MAIN } from '../support/localnet.ts';
import { reservedPort } from '../support/ports.ts';
import { STATUS } from '../support/status-fixture.ts';

const LEAVE = '\x1b[?25h\x1b[?1049l';

/** A status page that shows the fixture, with a time that rises. */
async function serve(t: Test) {
  let uptimeSeconds = 0;
  const server = createServer((_request, response) => {
    response.end(JSON.stringify({ ...STATUS, uptimeSeconds: uptimeSeconds++ }));
  });
  const close = () => new Promise((resolve) => server.close(resolve).closeAllConnections());
  t.teardown(close);
  const port = await reservedPort(); // one of the tests closes it, and nobody answers there then
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${port}`, close };
}

function begin(t: Test, command: string, args: readonly string[]) {
  const child: ChildProcessWithoutNullStreams = spawn(command, args, {
    stdio: 'pipe',
    env: { ...process.env, TERM: 'xterm' },
  });
  t.teardown(() => child.kill('SIGKILL'));
  const seen = { out: '', err: '' };
  let changed = () => {};
  const collect = (stream: 'out' | 'err') => (text: string) => {
    seen[stream] += text;
    changed();
  };
  child.stdout.setEncoding('utf8').on('data', collect('out'));
  child.stderr.setEncoding('utf8').on('data', collect('err'));
  child.on('close', () => changed());
  const until = async (pattern: RegExp, stream: 'out' | 'err' = 'out') => {
    while (!pattern.test(seen[stream])) {
      if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${seen.out}${seen.err}`);
      await new Promise<void>((resolve) => {
        changed = resolve;
      });
    }
  };
  const code = once(child, 'close').then(([code]) => code as number | null);
  return { child, seen, until, code };
}

const watchArgs = (url: string, ...more: string[]) => [
  ...ENDS_WITH_US,
  MAIN,
  'status',
  '--url',
  url,
  '--watch',
  '--interval',
  '0.1',
  ...more,
];

t.test('in a pipe, objects come one a line until a signal', async (t) => {
  const { url } = await serve(t);
  for (const signal of ['SIGINT', 'SIGHUP'] as const) {
    const { child, seen, until, code } = begin(t, process.execPath, watchArgs(url, '--json'));
    await until(/\n.*\n.*\n/);
    child.kill(signal);
    t.equal(await code, 0, signal);
    const times = seen.out
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as typeof STATUS).uptimeSeconds);
    t.ok(times.length >= 3 && times.every((time, i) => i === 0 || time > (times[i - 1] ?? 0)), times.join(' '));
    t.equal(seen.err, '');
  }
});

t.test('a proxy that is gone is said once an interval, and it goes on', async (t) => {
  const { url, close } = await serve(t);
  const { child, until, code } = begin(t, process.execPath, watchArgs(url));
  await until(/^is it me\?/m);
  await close();
  await until(/^mixsocks status: no proxy at .*\nmixsocks status: no proxy at /m, 'err');
  child.kill('SIGINT');
  t.equal(await code, 0);
});

t.test('it ends when nobody reads', async (t) => {
  const { url } = await serve(t);
  const { child, until, code } = begin(t, process.execPath, watchArgs(url));
  await until(/mixsocks/);
  child.stdout.destroy();
  t.equal(await code, 0);
});

const hasScript = (() => {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux');
  } catch {
    return false;
  }
})();

t.test('on a terminal', hasScript ? {} : { skip: 'NO SCRIPT (util-linux)' }, async (t) => {
  const { url } = await serve(t);
  const quoted = [process.execPath, ...watchArgs(url)].map((word) => `'${word}'`).join(' ');
  for (const key of ['q', '\x03']) {
    // `stty` says afterwards whether keys are read in lines again and shown.
    const line = `stty rows 12 cols 60; ${quoted}; echo "code $?"; stty -a`;
    const { child, seen, until, code } = begin(t, 'script', ['-qec', line, '/dev/null']);
    await until(/up \d+ s[\s\S]*up \d+ s[\s\S]*q ends; \d+ more lines/);
    const lines = seen.out.slice(0, seen.out.indexOf('q ends')).split('\r\n');
    t.equal(lines.length, 12, 'as many lines as there is room for');
    child.stdin.write('\x1b[6~');
    await until(/reply blocks|streams:|path health|clock /);
    child.stdin.write(key);
    t.equal(await code, 0);
    t.match(seen.out, /code 0/);
    t.ok(seen.out.includes(LEAVE), 'cursor and screen are back');
    t.match(seen.out.slice(seen.out.indexOf(LEAVE)), /[^-]icanon[\s\S]*[^-]echo /, 'and the line mode');
  }
});
