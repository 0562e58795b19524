import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { TestNetwork, until } from '../support/localnet.ts';
import { curl, pattern, patternSha256, sha256, startWeb } from '../support/web.ts';

const HELLO = 'hello through the mixnet\n';
const UPLOAD_BYTES = 300_000;
const DOWNLOAD_BYTES = 2_000_000;
/** Faster clocks than the default, so that 2 MB take seconds; the law is the same. */
const RATES = ['--rate', '100', '--reply-rate', '400'];

/** A port of loopback on which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

t.test('curl through a whole network', async (t) => {
  const web = await startWeb(t);
  const network = await TestNetwork.start(t, RATES);
  const page = () => curl(network.socks, [`${web.url}/`], 20);

  await t.test('a download and an upload arrive whole; beside them, pages in a row', async (t) => {
    const file = join(t.testdir(), 'upload');
    writeFileSync(file, pattern(UPLOAD_BYTES, 'up'));
    const transfers = Promise.all([
      curl(network.socks, [`${web.url}/bytes/${DOWNLOAD_BYTES}?down`]),
      curl(network.socks, ['--data-binary', `@${file}`, `${web.url}/sha256`]),
    ]);
    for (let i = 0; i < 10; i++) {
      const { body, stderr } = await page();
      t.equal(body.toString(), HELLO, stderr);
    }
    const [down, up] = await transfers;
    t.equal(sha256(down.body), patternSha256(DOWNLOAD_BYTES, 'down'));
    t.equal(up.body.toString(), patternSha256(UPLOAD_BYTES, 'up'));
  });

  await t.test('twenty requests at a time', async (t) => {
    const together = await Promise.all(Array.from({ length: 20 }, page));
    for (const { body, stderr } of together) t.equal(body.toString(), HELLO, stderr);
  });

  await t.test('a failure comes back as what it is', async (t) => {
    const replies: [string, number][] = [
      [`http://127.0.0.1:${await closedPort()}/`, 5],
      ['http://no-such-name.invalid/', 4],
      ['http://169.254.169.254/', 2],
    ];
    const answers = await Promise.all(replies.map(([url]) => curl(network.socks, [url], 20)));
    for (const [i, { code, stderr, seconds }] of answers.entries()) {
      const [url = '', reply = 0] = replies[i] ?? [];
      t.equal(code, 97, 'a failed SOCKS handshake');
      t.match(stderr, new RegExp(`\\(${reply}\\)`), url);
      t.ok(seconds < 10, `${url} failed after ${seconds} s`);
    }
  });

  await t.test('every layer mixed what was sent', async (t) => {
    const forwarded = async (layer: number) => {
      const mixes = network.ready.nodes.filter((node) => node.layer === layer);
      const counts = await Promise.all(
        mixes.map(({ name }) => network.metric(name, 'mixsocks_packets_forwarded_total')),
      );
      for (const count of counts) t.ok(count > 500, `layer ${layer}: ${count} packets forwarded by one mix`);
      return counts.reduce((sum, count) => sum + count, 0);
    };
    const layers = [await forwarded(1), await forwarded(2), await forwarded(3)];
    const [least, most] = [Math.min(...layers), Math.max(...layers)];
    t.ok(most < 1.2 * least, `the layers carried about the same: ${layers}`);
  });

  await t.test('nodes are killed and started again: new requests work', async (t) => {
    // One of every role, alone or with others whose absence does not hide its own.
    for (const names of [['mix-2-1', 'requester-1', 'directory-1'], ['gateway-1', 'proxy-1'], ['gateway-2']]) {
      await Promise.all(names.map((name) => network.kill(name)));
      await Promise.all(names.map((name) => network.restart(name)));
      const startMs = performance.now();
      await until(`a page after ${names} came back`, 30_000, async () => (await page()).code === 0);
      t.comment(
        `${names}: a page ${((performance.now() - startMs) / 1000).toFixed(1)} s after they were started again`,
      );
      t.equal((await page()).code, 0, `${names}: and the next one`);
    }
  });
});
