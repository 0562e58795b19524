/**
 * What `mixsocks localnet` starts: processes that carry, survive each other, and go. Most tests share one network, whose start
 * is what takes time.
 * @module
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { CLASSICAL_GROUP, HYBRID_GROUP, hasHybrid } from '../../lib/link/key-exchange.ts';
import { splitHostPort } from '../../lib/net/address.ts';
import { dialOnce } from '../support/key-exchange-ends.ts';
import { targetOf } from '../support/link-fixtures.ts';
import { FEWER_PACKETS, isAlive, MAIN, mixsocks, statusText, TestNetwork, until } from '../support/localnet.ts';
import { startWeb } from '../support/web.ts';
import { everyLayerMixed, failures, killedNodes, manyAtOnce, transfersAtOnce } from './localnet/carry.ts';
import { nodesAreFlooded } from './localnet/flooded.ts';
import {
  farGatewayRestarts,
  gatewayGoes,
  gatewayRestarts,
  proxySleeps,
  requesterRestarts,
} from './localnet/roaming.ts';
import type { LocalNetwork } from './localnet/world.ts';

const dir = join(t.testdir(), 'net');
/** What the runtime can do at best. */
const LINKS = hasHybrid() ? ['--link-key-exchange', 'hybrid'] : [];
let identities: string[] = [];

t.test('a network starts, carries, survives its nodes, and goes', async (t) => {
  const web = await startWeb(t);
  const network = await TestNetwork.start(t, ['--dir', dir, ...FEWER_PACKETS, ...LINKS]);
  const world: LocalNetwork = { network, web };
  identities = network.ready.nodes.map((node) => node.identity);
  const tests: readonly [string, (t: Test, world: LocalNetwork) => Promise<void>][] = [
    ['every node is a process that the ready file names', namedProcesses],
    ['the clocks have the rates of the command line', ratesOfFlags],
    ['every link has the key exchange of the command line', keyExchange],
    ['a download and an upload arrive whole; beside them, pages in a row', transfersAtOnce],
    ['twenty requests at a time are answered', manyAtOnce],
    ['a failure comes back as what it is', failures],
    ['every layer mixes what is sent', everyLayerMixed],
    ["a download survives the restart of the proxy's gateway", gatewayRestarts],
    ["a download survives the restart of the exit's gateway", farGatewayRestarts],
    ['when the requester restarts, streams are reset and new requests succeed', requesterRestarts],
    ['the proxy works at once after it slept', proxySleeps],
    ["a download survives that the proxy's gateway goes for good", gatewayGoes],
    ['nodes of every role are killed and started again: new requests work', killedNodes],
    ['a host floods nodes: others are served, nodes rejoin, a new proxy gets a page', nodesAreFlooded],
  ];
  for (const [name, run] of tests) await t.test(name, (t) => run(t, world));

  const { code, ms } = await network.stop('SIGINT');
  t.equal(code, 0, 'who had to be killed has none');
  t.comment(`stopped in ${Math.round(ms)} ms`);
  for (const node of network.ready.nodes) t.notOk(isAlive(node.pid), `${node.name} is gone`);
});

async function namedProcesses(t: Test, { network }: LocalNetwork): Promise<void> {
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
    t.match(node, { listen: /^127\.\d+\.\d+\.\d+:\d+$/, dir: join(dir, node.name), argv: [process.execPath, MAIN] });
    t.match(node.identity, node.role === 'proxy' ? /^$/ : /^[0-9a-f]{64}$/, `identity of ${node.name}`);
    t.match(await (await fetch(node.metrics)).text(), /mixsocks_/, `${node.name} has metrics`);
  }
  t.equal(new Set(ready.nodes.map((node) => node.pid)).size, ready.nodes.length, 'each its own');
  t.equal(network.node('mix-3-2').layer, 3);
  t.match(network.output(), new RegExp(`^ready.*${ready.socks}`, 'm'));
  t.match(await statusText(ready.status), /^mix-2-1 +mixnode +2 /m);
}

async function ratesOfFlags(t: Test, { network }: LocalNetwork): Promise<void> {
  t.match((await network.status()).rates, { main: { set: 20 }, reply: { set: 40 } });
}

async function keyExchange(t: Test, { network }: LocalNetwork): Promise<void> {
  t.equal((await network.status()).gateway?.keyExchange, hasHybrid() ? HYBRID_GROUP : CLASSICAL_GROUP);
  for (const { name, role, identity, listen } of network.ready.nodes) {
    if (role !== 'mixnode' && role !== 'gateway') continue;
    const { host, port } = splitHostPort(listen) ?? { host: '', port: 0 };
    const { reason } = await dialOnce({ ...targetOf(identity as IdentityHex, port), host }, 'x25519');
    // a stranger comes as far as the hello, which is not answered
    t.equal(reason, hasHybrid() ? 'no-common-group' : 'refused', `${name}, asked by an old end`);
  }
}

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

  const { ready, process } = await TestNetwork.start(t, ['--dir', dir, ...FEWER_PACKETS]);
  t.strictSame(
    ready.nodes.map((node) => node.identity),
    identities,
  );
  process.kill('SIGKILL');
  await until('all nodes gone', 60_000, () => ready.nodes.every((node) => !isAlive(node.pid)));
  t.pass('all nodes are gone');
});

t.test(
  'rates that no machine carries are lowered; stopped while it starts, nothing stays, not even the folder',
  async (t) => {
    const flags = ['--socks-port', '0', '--status-port', '0', '--rate', '10000', '--reply-rate', '10000'];
    const child = spawn(process.execPath, [MAIN, 'localnet', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const folder = /starting 11 nodes in (.*)$/.exec((await lines.next()).value as string)?.[1] ?? '';
    t.ok(existsSync(folder));
    const notice = /^this machine carries about .+ packets\/s: rates 10000:10000 lowered to ([\d.]+):([\d.]+)/;
    const [, rate, replyRate] = notice.exec((await lines.next()).value as string) ?? [];
    const written = JSON.parse(readFileSync(join(folder, 'directory-1', 'config.json'), 'utf8')) as object;
    t.match(written, { mainRate: Number(rate), replyRate: Number(replyRate) });
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number | null];
    t.equal(code, 0);
    t.notOk(existsSync(folder));
  },
);
