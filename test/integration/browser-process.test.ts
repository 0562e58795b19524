/**
 * How a browser starts and ends, with shell scripts in its place: they do at once what a browser does seldom.
 * @module
 */
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CHROMIUM } from '../../cli/browser/chromium.ts';
import { BrowserProcess } from '../../cli/browser/process.ts';
import { isAlive, until } from '../support/localnet.ts';

const WAIT_MS = 60_000;

function browser(t: Test, script: string, args: readonly string[] = []) {
  const folder = t.testdir();
  const path = join(folder, 'chromium');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  const running = new BrowserProcess({
    browser: CHROMIUM,
    path,
    args,
    env: { PATH: process.env.PATH, FOLDER: folder },
  });
  t.teardown(() => running.stop());
  const wrote = (name: string) => until(name, WAIT_MS, () => existsSync(join(folder, name)));
  return { running, wrote };
}

t.test('a browser that is closed leaves nothing to say, one that fails a line', async (t) => {
  t.equal(await browser(t, 'exit 0').running.ended, undefined);
  const { running } = browser(t, 'echo "[1:2:FATAL:a.cc(1)] it broke" >&2; echo "more" >&2; exit 3');
  t.match(await running.ended, { code: 'ENVIRONMENT', message: /^Chromium ended with code 3: it broke$/ });
  t.match(await browser(t, 'kill -SEGV $$').running.ended, { message: /ended with SIGSEGV/ });
  const { running: boxed } = browser(t, 'echo "FATAL: No usable sandbox! Read this" >&2; exit 1');
  t.match(await boxed.ended, { code: 'ENVIRONMENT', message: /lets no ordinary user set up its sandbox/ });
  const gone = new BrowserProcess({ browser: CHROMIUM, path: '/nowhere/chromium', args: [], env: {} });
  t.match(await gone.ended, { message: /cannot be started: there is no such file/ });
  await gone.stop();
});

t.test('it is asked to end, and made to; what it has started ends with it', async (t) => {
  const polite = browser(t, 'trap "exit 0" TERM; : > "$FOLDER/up"; while :; do sleep 0.1; done');
  await polite.wrote('up');
  await polite.running.stop();
  t.equal(await polite.running.ended, undefined);

  const stubborn = browser(t, 'trap "" TERM; (trap "" TERM; while :; do sleep 1; done) & : > "$FOLDER/up"; wait');
  await stubborn.wrote('up');
  const group = stubborn.running.pid ?? 0;
  const first = stubborn.running.stop();
  await stubborn.running.stop(); // the second time is at once
  await first;
  t.equal(await stubborn.running.ended, undefined, 'a browser that we have ended has not failed');
  await until('the group is gone', WAIT_MS, () => !isAlive(-group));
});

t.test(
  'a wrapper that adds an option which undoes everything is found out',
  { skip: process.platform !== 'linux' },
  async (t) => {
    // `exec` of sleep stands for the browser: the option is in its command line, whatever it makes of it.
    const wrapper = (extra: string) =>
      `exec "$(command -v node || echo "$0")" -e "setTimeout(()=>{},60000)" -- ${extra} "$@"`;
    const args = ['--proxy-server=socks5://127.0.0.1:1'];
    for (const extra of ['--no-sandbox', '--no-proxy-server', '--proxy-pac-url=http://a/', '--single-process']) {
      const { running } = browser(t, wrapper(extra), args);
      await t.rejects(running.checkCommandLine(), {
        code: 'CONFIG',
        message: new RegExp(`starts Chromium with ${extra}`),
      });
      await running.stop();
    }
    const { running } = browser(t, wrapper('--enable-gpu-rasterization'), args);
    await running.checkCommandLine();
    t.equal(isAlive(running.pid ?? 0), true);
  },
);
