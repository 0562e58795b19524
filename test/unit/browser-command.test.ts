import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Browser, type LaunchPlan, pagesOf } from '../../cli/browser/browser.ts';
import { CHROMIUM } from '../../cli/browser/chromium.ts';
import { checkPolicies, findBrowser } from '../../cli/browser/find.ts';
import { FIREFOX } from '../../cli/browser/firefox.ts';
import { checkOptions, splitWords, wantedBrowser } from '../../cli/browser/options.ts';
import { environmentFor } from '../../cli/browser/process.ts';
import { startPage } from '../../cli/browser/profile.ts';

const plan = (change: Partial<LaunchPlan> = {}): LaunchPlan => ({
  relay: { host: '127.0.0.1', port: 4321 },
  profile: '/tmp/p/profile',
  downloads: '/home/a/Downloads',
  startPage: 'file:///tmp/p/start.html',
  options: [],
  ...change,
});

/** A folder of programs, each a script of `text`. */
function programs(t: Test, names: Readonly<Record<string, string>>): string {
  const folder = t.testdir();
  for (const [name, text] of Object.entries(names)) {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), 0o755);
  }
  return folder;
}

t.test('the browser that is installed is taken, Chromium first, or the one that is asked for', async (t) => {
  const both = programs(t, { chromium: '#!/bin/sh\n', 'firefox-esr': '#!/bin/sh\n' });
  t.match(findBrowser(undefined, { PATH: both }), { browser: { name: 'Chromium' }, path: join(both, 'chromium') });
  t.match(findBrowser('Firefox', { PATH: both }), { browser: { name: 'Firefox' }, path: join(both, 'firefox-esr') });
  t.match(findBrowser(undefined, { PATH: `relative:/nowhere:${both}` }).path, both);
});

t.test('without a browser, or with a snap alone, one line says what is missing', async (t) => {
  t.throws(() => findBrowser(undefined, { PATH: '/nowhere' }), {
    code: 'CONFIG',
    message: /no Chromium or Firefox is installed/,
  });
  t.throws(() => findBrowser('Firefox', { PATH: '/nowhere' }), { code: 'CONFIG', message: /no Firefox is installed/ });
  const script = programs(t, { firefox: '#!/bin/sh\nexec /snap/bin/firefox "$@"\n' });
  t.throws(() => findBrowser(undefined, { PATH: script }), { code: 'CONFIG', message: /is a snap/ });
  const link = t.testdir({ snap: '' });
  chmodSync(join(link, 'snap'), 0o755);
  symlinkSync(join(link, 'snap'), join(link, 'chromium'));
  t.throws(() => findBrowser('Chromium', { PATH: link }), { code: 'CONFIG', message: /is a snap/ });
});

t.test('one browser and one page', async (t) => {
  t.equal(wantedBrowser({ firefox: true, chromium: false }), 'Firefox');
  t.equal(wantedBrowser({ firefox: false, chromium: true }), 'Chromium');
  t.equal(wantedBrowser({ firefox: false, chromium: false }), undefined);
  t.throws(() => wantedBrowser({ firefox: true, chromium: true }), { code: 'USAGE' });
  const page = (...words: string[]) => splitWords(words).url;
  t.equal(page(), undefined);
  t.equal(page('http://example.org/a'), 'http://example.org/a');
  t.equal(page('example.org'), 'https://example.org/', 'a name alone means HTTPS');
  t.equal(page('example.org:8443/x', '--headless'), 'https://example.org:8443/x');
  t.same(splitWords(['--kiosk', 'example.org']).options, ['--kiosk']);
  t.throws(() => page('a.org', 'b.org'), { code: 'USAGE', message: /'b\.org' is a second one/ });
  const others = ['file:///etc/passwd', 'chrome://settings', 'about:config', 'javascript:alert(1)', 'data:text/html,x'];
  for (const text of [...others, 'view-source:http://a.org', 'http://', ' ', 'a b']) {
    t.throws(() => page(text), { code: 'USAGE', message: /is no page of the web/ }, text);
  }
});

t.test('only options that leave network, profile and sandbox alone reach a browser', async (t) => {
  checkOptions(['--headless', '--window-size=800,600'], CHROMIUM);
  checkOptions(['--headless', '--kiosk'], FIREFOX);
  const bad: readonly [Browser, readonly string[]][] = [
    [
      CHROMIUM,
      [
        ...[
          '--no-sandbox',
          '--disable-setuid-sandbox',
          '--disable-seccomp-filter-sandbox',
          '--no-zygote',
          '--single-process',
        ],
        ...['--no-proxy-server', '--proxy-server=direct://', '--proxy-pac-url=http://a/', '--proxy-bypass-list=*'],
        ...['--host-resolver-rules=', '--user-data-dir=/home/a', '--enable-quic', '--enable-features=WebRtc', '-g'],
        ...['--load-extension=/x', '--remote-debugging-port=1', '--temp-profile', '--enable-remote-extensions', '--'],
      ],
    ],
    [
      FIREFOX,
      [
        '--profile',
        '-P',
        '--ProfileManager',
        '--marionette',
        '--remote-debugging-port',
        '--new-window',
        '--no-sandbox',
      ],
    ],
  ];
  for (const [browser, options] of bad) {
    for (const option of options) {
      t.throws(() => checkOptions(['--headless', option], browser), { code: 'USAGE' }, `${browser.name} ${option}`);
    }
  }
  for (const browser of [CHROMIUM, FIREFOX]) {
    t.notOk(
      browser.options.some((option) => browser.undoing.test(option)),
      'none that may be given undoes anything',
    );
    t.notOk(
      browser.args(plan()).some((arg) => browser.undoing.test(arg)),
      'none of ours does',
    );
  }
});

t.test('the page that is asked for is opened in front of the first page', async (t) => {
  const [url, start] = ['https://example.org/', plan().startPage];
  t.same(pagesOf(plan()), [start]);
  t.same(pagesOf(plan({ url })), [url, start]);
  t.same(pagesOf(plan({ url, options: ['--headless=new'] })), [url], 'a headless browser has one page');
  t.same(CHROMIUM.args(plan({ url })).slice(-3), ['--', url, start], 'a page is never read as an option');
});

t.test('rules of an administrator that go past a profile stop it', async (t) => {
  const root = t.testdir();
  const rules = (folder: string, name: string, text: string) => {
    mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(join(root, folder, name), text);
  };
  checkPolicies(CHROMIUM, root);
  rules('etc/chromium/policies/managed', 'a.json', '{ "BookmarkBarEnabled": true }');
  rules('etc/firefox/policies', 'policies.json', '{ "policies": { "DisablePocket": true } }');
  checkPolicies(CHROMIUM, root);
  checkPolicies(FIREFOX, root);
  rules('etc/chromium/policies/managed', 'b.json', '{ // comment\n "ProxyMode": "direct" }');
  t.throws(() => checkPolicies(CHROMIUM, root), { code: 'CONFIG', message: /b\.json sets ProxyMode/ });
  checkPolicies(FIREFOX, root);
  rules('etc/firefox/policies', 'policies.json', '{ "policies": { "DNSOverHTTPS": { "Enabled": true } } }');
  t.throws(() => checkPolicies(FIREFOX, root), { code: 'CONFIG', message: /sets DNSOverHTTPS/ });
});

t.test('variables that change a browser, or lead elsewhere, stay outside', async (t) => {
  const kept = { PATH: '/bin', HOME: '/home/a', DISPLAY: ':0', MOZ_ENABLE_WAYLAND: '1', LANG: 'de' };
  const dropped = [
    ...['MOZ_DISABLE_CONTENT_SANDBOX', 'MOZ_DISABLE_GMP_SANDBOX', 'MOZ_DISABLE_SOCKET_PROCESS_SANDBOX', 'MOZ_LOG_FILE'],
    ...['XRE_PROFILE_PATH', 'CHROME_DEVEL_SANDBOX', 'CHROME_USER_DATA_DIR', 'CHROMIUM_FLAGS', 'CHROMIUM_USER_FLAGS'],
    ...['http_proxy', 'HTTPS_PROXY', 'all_proxy', 'NO_PROXY', 'SSLKEYLOGFILE', 'MIXSOCKS_PROXY', 'GOOGLE_API_KEY'],
  ];
  const env = { ...kept, ...Object.fromEntries(dropped.map((name) => [name, '1'])), TMPDIR: '/tmp' };
  const temporary = '/tmp/p/tmp';
  const crashes = { BREAKPAD_DUMP_LOCATION: temporary, CHROME_CONFIG_HOME: temporary };
  t.same(environmentFor(CHROMIUM, env, temporary), { ...kept, TMPDIR: temporary, ...crashes });
  t.same(environmentFor(FIREFOX, env, temporary), { ...kept, TMPDIR: temporary, ...FIREFOX.environment(temporary) });
});

t.test('the profile points at the relay, and saves files elsewhere', async (t) => {
  const preferences = FIREFOX.files(plan())['user.js'] ?? '';
  for (const line of ['"network.proxy.socks_port", 4321', '"browser.download.dir", "/home/a/Downloads"']) {
    t.ok(preferences.includes(`user_pref(${line});`), line);
  }
  t.ok(CHROMIUM.args(plan()).includes('--proxy-server=socks5://127.0.0.1:4321'));
  const files = CHROMIUM.files(plan());
  t.match(JSON.parse(files['Default/Preferences'] ?? ''), { savefile: { default_directory: '/home/a/Downloads' } });
});

t.test('the first page says that it is no Tor Browser, and loads nothing', async (t) => {
  for (const name of ['Chromium', 'Firefox'] as const) {
    const page = startPage(name);
    t.match(page, /It is no Tor Browser/);
    t.match(page, new RegExp(`This ${name} uses the mixnet`));
    t.match(page, /default-src 'none'/);
    t.notMatch(page, /<script|<img|<link|src=|href=|url\(/);
  }
});
