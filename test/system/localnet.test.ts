import { existsSync } from 'node:fs';
import t from 'tap';
import { isAlive, TestNetwork, until } from '../support/localnet.ts';
import { curl, patternSha256, sha256, startWeb } from '../support/web.ts';

t.test('a network starts, carries, and goes without a trace', async (t) => {
  const web = await startWeb(t);
  const network = await TestNetwork.start(t);
  const { ready } = network;

  t.strictSame(
    ready.nodes.map((node) => node.name),
    [
      'directory-1',
      ...[1, 2, 3].flatMap((layer) => [`mix-${layer}-1`, `mix-${layer}-2`]),
      ...['gateway-1', 'gateway-2', 'requester-1', 'proxy-1'],
    ],
  );
  for (const node of ready.nodes) {
    t.ok(isAlive(node.pid), `${node.name} is a process`);
    t.equal(new URL(node.metrics).hostname, '127.0.0.1');
    t.match(await (await fetch(node.metrics)).text(), /mixsocks_/, `${node.name} has metrics`);
  }
  t.equal(new Set(ready.nodes.map((node) => node.pid)).size, ready.nodes.length, 'each its own');
  t.match(network.output(), new RegExp(`^ready.*${ready.socks}`, 'm'));

  const page = await curl(ready.socks, [`${web.url}/`]);
  t.equal(page.body.toString(), 'hello through the mixnet\n');
  const download = await curl(ready.socks, [`${web.url}/bytes/300000`]);
  t.equal(sha256(download.body), patternSha256(300_000));

  const { dir } = network.node('mix-1-1');
  const { code, ms } = await network.stop('SIGINT');
  t.equal(code, 0);
  t.ok(ms < 5000, `stopped in ${Math.round(ms)} ms`);
  for (const node of ready.nodes) t.notOk(isAlive(node.pid), `${node.name} is gone`);
  t.notOk(existsSync(dir), 'the temporary folder is gone');
});

t.test('no orphans when localnet itself is killed', async (t) => {
  const network = await TestNetwork.start(t);
  network.process.kill('SIGKILL');
  await until('all nodes gone', 8000, () => network.ready.nodes.every((node) => !isAlive(node.pid)));
  t.pass('all nodes are gone');
});
