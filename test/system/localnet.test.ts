import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { isAlive, MAIN, mixsocks, TestNetwork, until } from '../support/localnet.ts';
import { curl, patternSha256, sha256, startWeb } from '../support/web.ts';

const dir = join(t.testdir(), 'net');
let identities: string[] = [];

t.test('a network starts, carries, survives a node, and goes', async (t) => {
  const web = await startWeb(t);
  const network = await TestNetwork.start(t, ['--dir', dir]);
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
    t.match(node, { listen: /^127\.0\.0\.1:\d+$/, dir: join(dir, node.name), argv: [process.execPath, MAIN] });
    t.match(node.identity, node.role === 'proxy' ? /^$/ : /^[0-9a-f]{64}$/, `identity of ${node.name}`);
    t.match(await (await fetch(node.metrics)).text(), /mixsocks_/, `${node.name} has metrics`);
  }
  t.equal(new Set(ready.nodes.map((node) => node.pid)).size, ready.nodes.length, 'each its own');
  t.equal(network.node('mix-3-2').layer, 3);
  t.match(network.output(), new RegExp(`^ready.*${ready.socks}`, 'm'));
  t.match((await mixsocks(['status', '--url', ready.status])).stdout, /^mix-2-1 +mixnode +2 /m);

  const page = await curl(ready.socks, [`${web.url}/`]);
  t.equal(page.body.toString(), 'hello through the mixnet\n');
  const download = await curl(ready.socks, [`${web.url}/bytes/100000`]);
  t.equal(sha256(download.body), patternSha256(100_000));

  await network.kill('mix-2-1');
  await until('the death is told', 3000, () => /^mix-2-1 \(pid \d+\) ended with SIGKILL/m.test(network.output()));
  t.match(network.output(), /ended with SIGKILL; it is not restarted$/m);
  await network.restart('mix-2-1');

  const { code, ms } = await network.stop('SIGINT');
  t.equal(code, 0);
  t.ok(ms < 5000, `stopped in ${Math.round(ms)} ms`);
  for (const node of ready.nodes) t.notOk(isAlive(node.pid), `${node.name} is gone`);
  identities = ready.nodes.map((node) => node.identity);
});

t.test('--dir is used again; no orphans when localnet itself is killed', async (t) => {
  const other = await mixsocks([
    'localnet',
    '--dir',
    dir,
    '--socks-port',
    '0',
    '--status-port',
    '0',
    '--gateways',
    '3',
  ]);
  t.equal(other.code, 3);
  t.match(other.stderr, /holds a network with gateways 2, not 3: use another --dir/);

  const { ready, process } = await TestNetwork.start(t, ['--dir', dir]);
  t.strictSame(
    ready.nodes.map((node) => node.identity),
    identities,
  );
  process.kill('SIGKILL');
  await until('all nodes gone', 8000, () => ready.nodes.every((node) => !isAlive(node.pid)));
  t.pass('all nodes are gone');
});

t.test('stopped while it starts: nothing stays, not even the temporary folder', async (t) => {
  const child = spawn(process.execPath, [MAIN, 'localnet', '--socks-port', '0', '--status-port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const folder = /starting 11 nodes in (.*)$/.exec(line)?.[1] ?? '';
  t.ok(existsSync(folder));
  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number | null];
  t.equal(code, 0);
  t.notOk(existsSync(folder));
});
