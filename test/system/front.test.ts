import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SocksClient } from 'socks';
import t, { type Test } from 'tap';
import { ProxyAgent, request, Socks5ProxyAgent } from 'undici';
import { type RowListener, runRows } from '../support/front-rows.ts';
import { MAIN, mixsocks, TestNetwork, until } from '../support/localnet.ts';
import { curl, startWeb } from '../support/web.ts';

const HELLO = 'hello through the mixnet\n';

/** A second proxy in `network`, with these listeners. */
async function startProxy(t: Test, network: TestNetwork, listens: readonly string[]) {
  const dir = t.testdir({});
  const flags = [...listens.flatMap((listen) => ['--socks-listen', listen]), '--status-listen', '127.0.0.1:0'];
  const args = [MAIN, 'proxy', '--dir', dir, '--network-file', network.ready.network, '--allow-private', ...flags];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill());
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (part) => {
      output += part;
    });
  }
  const told = () => /^listening (.*), status (.*)$/m.exec(output);
  await until('the proxy listens', 60_000, () => told() !== null || child.exitCode !== null);
  const [, places = '', status = ''] = told() ?? [];
  const ready = async () => ((await (await fetch(`${status}/status.json`)).json()) as { ready: boolean }).ready;
  await until(`the proxy is ready:\n${output}`, 60_000, ready);
  return { listens: places.split(', '), output: () => output };
}

/** A web server on the IPv6 loopback. */
async function startWeb6(t: Test): Promise<number> {
  const server = createServer((_request, response) => response.end(HELLO));
  await new Promise<void>((resolve) => server.listen(0, '::1', resolve));
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

t.test('the front of a real network', async (t) => {
  const web = await startWeb(t);
  const network = await TestNetwork.start(t);
  const folder = mkdtempSync(join(tmpdir(), 'mixsocks-front-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'socks');
  const any = '127.0.0.1:0';
  const listens = [any, `${any}+allow-private=no`, `${any}+safe-socks`, `${any}+extended-errors`, `unix:${path}`];
  const proxy = await startProxy(t, network, listens);
  t.equal(proxy.listens.length, listens.length, 'every listener is told of');
  t.equal(statSync(path).mode & 0o777, 0o600);

  await t.test('the table', async (t) => {
    const order: readonly RowListener[] = ['plain', 'strict', 'safe', 'extended'];
    const place = (listener: RowListener) => Number(proxy.listens[order.indexOf(listener)]?.split(':')[1]);
    await runRows(t, { place, patienceMs: 1500 });
  });

  await t.test('curl in every way', async (t) => {
    const { socks } = network;
    const [host, port] = ['localhost', web.port];
    const ways: [string, string[], string][] = [
      ['socks4', ['-x', `socks4://${socks}`], `127.0.0.1:${port}`],
      ['socks4a', ['-x', `socks4a://${socks}`], `${host}:${port}`],
      ['socks5', ['-x', `socks5://${socks}`], `127.0.0.1:${port}`],
      ['socks5h', ['-x', `socks5h://${socks}`], `${host}:${port}`],
      ['socks5h with a login', ['-x', `socks5h://alice:secret@${socks}`], `${host}:${port}`],
      ['CONNECT', ['-p', '-x', `http://${socks}`], `${host}:${port}`],
      ['CONNECT with a login', ['-p', '-U', 'alice:secret', '-x', `http://${socks}`], `${host}:${port}`],
      ['an IPv6 site', [], `[::1]:${await startWeb6(t)}`],
      ['a unix socket', ['-x', `socks5h://localhost${path}`], `${host}:${port}`],
    ];
    const results = await Promise.all(ways.map(([, args, site]) => curl(socks, [...args, `http://${site}/`], 30)));
    for (const [i, { body, stderr }] of results.entries()) t.equal(body.toString(), HELLO, `${ways[i]?.[0]} ${stderr}`);
    const page = await curl(socks, ['-x', `http://${socks}`, '-w', '%{http_code}', `http://${host}:${port}/`]);
    t.match(page.body.toString(), /socks5h:\/\/[\s\S]*501$/, 'without a tunnel it gets the page');
  });

  await t.test('other clients', async (t) => {
    const [host = '', port = ''] = network.socks.split(':');
    for (const [type, site] of [
      [4, '127.0.0.1'],
      [4, 'localhost'],
      [5, 'localhost'],
    ] as const) {
      const { socket } = await SocksClient.createConnection({
        proxy: { host, port: Number(port), type },
        command: 'connect',
        destination: { host: site, port: web.port },
      });
      socket.resume().end('GET / HTTP/1.0\r\n\r\n');
      const parts: Buffer[] = [];
      for await (const part of socket) parts.push(part);
      t.match(Buffer.concat(parts).toString(), HELLO, `npm socks ${type} ${site}`);
    }
    const agents = [new ProxyAgent(`http://${network.socks}`), new Socks5ProxyAgent(`socks5://${network.socks}`)];
    for (const dispatcher of agents) {
      const { body } = await request(web.url, { dispatcher });
      t.equal(await body.text(), HELLO, `undici ${dispatcher.constructor.name}`);
      await dispatcher.close();
    }
  });

  await t.test('two isolation tokens are two sessions to the requester', async (t) => {
    const sessions = () => network.metric('requester-1', 'mixsocks_requester_sessions');
    const before = await sessions();
    const as = (login: string) => curl(network.socks, ['-x', `socks5h://${login}@${network.socks}`, `${web.url}/`]);
    for (const login of ['carol:1', 'carol:1', 'dave:1', 'carol:2']) t.equal((await as(login)).body.toString(), HELLO);
    t.equal(await sessions(), before + 3);
    const { rates } = await network.status();
    t.equal(rates.reply.set, 100, 'and the sum of the reply rates is what it was');
  });

  await t.test('nobody logged where anything went', async (t) => {
    const logs = network.ready.nodes.map(({ dir }) => readFileSync(join(dir, 'log'), 'utf8'));
    const text = [...logs, network.output(), proxy.output()].join('\n');
    t.match(text, 'proxy is running', 'the logs were read');
    for (const secret of [
      `:${web.port}`,
      `"${web.port}"`,
      'localhost',
      '.invalid',
      '.onion',
      '93.184',
      'alice',
      'carol',
    ]) {
      t.notOk(text.includes(secret), secret);
    }
  });
});

t.test('an address that other machines can reach must be meant', async (t) => {
  const dir = t.testdir({ 'network.json': '{}' });
  const { code, stderr } = await mixsocks(['proxy', '--dir', dir, '--socks-listen', '0.0.0.0:0']);
  t.equal(code, 3);
  t.match(stderr, /0\.0\.0\.0:0 .*--allow-remote/);
});
