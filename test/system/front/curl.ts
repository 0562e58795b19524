import { createServer } from 'node:net';
import type { Test } from 'tap';
import { noteDestination } from '../../support/destinations.ts';
import { until } from '../../support/localnet.ts';
import { curl, pattern, patternSha256 } from '../../support/web.ts';
import { type FrontNetwork, HELLO, SITE, SITE6 } from './world.ts';

const POST_BYTES = 400_000;

/** curl in every way that its manual has for proxies. */
export async function curlInEveryWay(t: Test, { network, web, web6Port, path, dns }: FrontNetwork): Promise<void> {
  const { socks } = network;
  const { port } = web;
  const ways: [string, string[], string][] = [
    ['socks4', ['-x', `socks4://${socks}`], `127.0.0.1:${port}`],
    ['socks4a', ['-x', `socks4a://${socks}`], `${SITE}:${port}`],
    ['socks5', ['-x', `socks5://${socks}`], `127.0.0.1:${port}`],
    ['socks5h', ['-x', `socks5h://${socks}`], `${SITE}:${port}`],
    ['socks5h with a login', ['-x', `socks5h://alice:secret@${socks}`], `${SITE}:${port}`],
    ['socks5h, localhost', [], `localhost:${port}`],
    ['CONNECT', ['-p', '-x', `http://${socks}`], `${SITE}:${port}`],
    ['CONNECT with a login', ['-p', '-U', 'alice:secret', '-x', `http://${socks}`], `${SITE}:${port}`],
    ['an IPv6 site', [], `[::1]:${web6Port}`],
    ['a name with an IPv6 address only', [], `${SITE6}:${web6Port}`],
    ['a unix socket', ['-x', `socks5h://localhost${path}`], `${SITE}:${port}`],
  ];
  const results = await Promise.all(ways.map(([, args, site]) => curl(socks, [...args, `http://${site}/`], 30)));
  for (const [i, { body, stderr }] of results.entries()) t.equal(body.toString(), HELLO, `${ways[i]?.[0]} ${stderr}`);
  t.ok(dns.asked.includes(SITE), 'the exit asked for the name');
  const page = await curl(socks, ['-x', `http://${socks}`, '-w', '%{http_code}', `http://${SITE}:${port}/`]);
  t.equal(page.body.toString(), `${HELLO}200`, 'as an HTTP proxy without a tunnel');
}

/** A large POST, a connection used again, and a site that never answers. */
export async function curlAtLength(t: Test, { network, web }: FrontNetwork): Promise<void> {
  const site = `http://${SITE}:${web.port}`;
  const file = `${t.testdir({ body: pattern(POST_BYTES, 'post') })}/body`;
  const silence = createServer((socket) => socket.resume().on('error', () => {}));
  await new Promise<void>((resolve) => silence.listen(0, '127.0.0.1', resolve));
  t.teardown(() => silence.close());
  const address = silence.address();
  const silentPort = typeof address === 'object' ? address?.port : 0;
  noteDestination(String(silentPort));
  const login = (name: string) => ['-x', `socks5h://${name}:x@${network.socks}`];
  const [posted, kept, silent] = await Promise.all([
    curl(network.socks, [...login('post'), '--data-binary', `@${file}`, `${site}/sha256`]),
    curl(network.socks, ['-w', '%{num_connects} ', `${site}/`, `${site}/`, `${site}/`]),
    curl(network.socks, [...login('silent'), `http://127.0.0.1:${silentPort}/`], 2),
  ]);
  t.equal(posted.body.toString(), patternSha256(POST_BYTES, 'post'), `a large POST ${posted.stderr}`);
  t.equal(kept.body.toString(), `${HELLO}1 ${HELLO}0 ${HELLO}0 `, 'three requests over one connection');
  t.equal(silent.code, 28, '--max-time');
  const connections = () => new Promise<number>((resolve) => silence.getConnections((_error, count) => resolve(count)));
  await until('the site hears that nobody waits any more', 60_000, async () => (await connections()) === 0);
}
