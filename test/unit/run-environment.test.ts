import { execFileSync } from 'node:child_process';
import t from 'tap';
import { describePlace, loginOf, parseProxyAddress, reachable } from '../../cli/proxy-use/address.ts';
import { withProxy } from '../../cli/run/environment.ts';

const proxy = {
  host: '127.0.0.1',
  port: 1080,
  login: { user: 'a b', password: 'x@/' },
  direct: [],
  connect: ['/opt/it is/node', '/opt/100%/main.js', 'connect'],
};
const PLACE = 'a%20b:x%40%2F@127.0.0.1:1080';

t.test('programs find the proxy by every variable, in both cases, with the identity of the command', async (t) => {
  const env = withProxy({}, proxy);
  for (const name of ['all_proxy', 'ALL_PROXY', 'ftp_proxy', 'FTP_PROXY'])
    t.equal(env[name], `socks5h://${PLACE}`, name);
  for (const name of ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'PIP_PROXY', 'npm_config_proxy'])
    t.equal(env[name], `http://${PLACE}`, name);
  t.equal(env.RSYNC_PROXY, PLACE);
  t.match(env.JAVA_TOOL_OPTIONS, /-Dhttps\.proxyHost=127\.0\.0\.1 -Dhttps\.proxyPort=1080/);
});

t.test('what led around the proxy before is gone, and only what is asked for may be reached directly', async (t) => {
  const before = { NO_PROXY: '*.corp', no_proxy: 'localhost', HTTP_PROXY: 'http://old:1', HOME: '/home/a' };
  const env = withProxy(before, proxy);
  t.equal(env.NO_PROXY, '');
  t.equal(env.no_proxy, '');
  t.equal(env.HTTP_PROXY, `http://${PLACE}`);
  t.equal(env.HOME, '/home/a', 'the rest is as it was');
  const some = withProxy(before, { ...proxy, direct: ['localhost', '127.0.0.1'] });
  t.equal(some.NO_PROXY, 'localhost,127.0.0.1');
  t.match(some.JAVA_TOOL_OPTIONS, /nonProxyHosts=localhost\|127\.0\.0\.1$/);
});

t.test("git's own settings from the environment stay, and its proxy comes after them", async (t) => {
  const env = withProxy({ GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'a.b', GIT_CONFIG_VALUE_0: 'c' }, proxy);
  t.match(env, { GIT_CONFIG_COUNT: '2', GIT_CONFIG_KEY_0: 'a.b', GIT_CONFIG_KEY_1: 'http.proxy' });
  t.equal(withProxy({ GIT_CONFIG_COUNT: 'many' }, proxy).GIT_CONFIG_COUNT, '1');
});

t.test("git's ssh gets a ProxyCommand that survives two shells and ssh's percent signs", async (t) => {
  const words = (env: Record<string, string>) => {
    const line = withProxy(env, proxy).GIT_SSH_COMMAND?.replace(/^(\S+|'[^']*')/, 'printf "%s\\n"') ?? '';
    return execFileSync('sh', ['-c', line], { encoding: 'utf8' }).trimEnd().split('\n');
  };
  const [flag, option = ''] = words({});
  t.equal(flag, '-o');
  const command = option.replace('ProxyCommand=', '').replaceAll('%%', '%').replace('%h %p', 'example.org 22');
  const run = execFileSync('sh', ['-c', `printf '%s\\n' ${command}`], { encoding: 'utf8' });
  t.strictSame(run.trimEnd().split('\n'), [...proxy.connect, 'example.org', '22']);
  t.match(
    withProxy({ GIT_SSH_COMMAND: 'ssh -i key' }, proxy).GIT_SSH_COMMAND,
    /^ssh -i key -o /,
    "the user's own stays",
  );
  t.match(withProxy({ GIT_SSH: '/my ssh' }, proxy).GIT_SSH_COMMAND, /^'\/my ssh' -o /);
});

t.test('addresses of a proxy, as people write them', async (t) => {
  const place = (text: string) => describePlace(parseProxyAddress(text, '--proxy').place);
  t.equal(place('127.0.0.1:1080'), '127.0.0.1:1080');
  t.equal(place('[::1]:1080'), '[::1]:1080');
  t.equal(place('unix:/run/a%2Bb'), 'unix:/run/a%2Bb');
  t.equal(place('socks5h://localhost'), '127.0.0.1:1080');
  t.equal(place('http://[::1]:8080/'), '[::1]:8080');
  t.strictSame(parseProxyAddress(`socks5h://${PLACE}`, '--proxy').login, proxy.login);
  for (const wrong of ['1080', 'ftp://a:1', 'socks5h://', 'http://a b:1', 'socks5h://a:99999'])
    t.throws(() => place(wrong), { code: 'CONFIG', message: /^--proxy: / }, wrong);
});

t.test('a listener on every address is reached on loopback', async (t) => {
  t.equal(describePlace(reachable('0.0.0.0:1080+safe-socks', 'socksListen')), '127.0.0.1:1080');
  t.equal(describePlace(reachable('[::]:1080', 'socksListen')), '[::1]:1080');
});

t.test('an identity is a login that others can use too', async (t) => {
  t.strictSame(loginOf('work'), { user: 'work', password: 'x' });
  for (const wrong of ['', 'a:b', 'a\n', 'é'.repeat(128)]) t.throws(() => loginOf(wrong), { code: 'CONFIG' }, wrong);
});
