import t from 'tap';
import { GatewayConfig } from '../../gateway/index.ts';
import { MixError } from '../../lib/core/errors.ts';
import { DEFAULT_PARAMS, keyGraceMs } from '../../lib/core/params.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import { type HostPort, joinHostPort } from '../../lib/net/address.ts';
import { advertisedAddresses, type Neighbours, NetworkView, neighboursOf } from '../../lib/node/index.ts';
import { listenAgain } from '../../lib/node/listen-links.ts';
import { MixnodeConfig } from '../../mixnode/index.ts';
import { nodeEntry, smallTopology } from '../support/nodes.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const requester = nodeEntry(950, { role: 'requester' });

/** A small topology with all its nodes listed, and without those named. */
function topologyWithout(...names: string[]): Topology {
  const plain = smallTopology(2);
  const keep = (nodes: readonly NodeEntry[]) => nodes.filter((node) => !names.includes(node.name));
  const layers = plain.layers.map(keep);
  const gateways = keep(plain.gateways);
  return {
    ...plain,
    layers,
    gateways,
    requesters: [requester],
    nodes: [...layers.flat(), ...gateways, requester],
  } as unknown as Topology;
}

const nextNames = ({ nextHops }: Neighbours) => [...nextHops.values()].map((node) => node.name).sort();
const idsOf = (nodes: readonly NodeEntry[]) => new Set(nodes.map((node) => node.id));

t.test('each position in the ring has the one before as previous hops and the one behind as next hops', (t) => {
  const topology = topologyWithout();
  const [one = [], two = [], three = []] = topology.layers;
  const { gateways } = topology;
  const expected = [
    [1, gateways, two],
    [2, one, three],
    [3, two, gateways],
    ['gateway', three, one],
  ] as const;
  for (const [position, previous, next] of expected) {
    const found = neighboursOf([topology], () => position);
    t.strictSame(new Set(found.previousHops.keys()), idsOf(previous), `before ${position}`);
    t.strictSame(nextNames(found), next.map((node) => node.name).sort(), `behind ${position}`);
    t.strictSame(found.requesters, new Set([requester.id]));
    t.equal(found.nodes.size, 8, 'requesters are no nodes: they may be clients');
  }
  t.end();
});

t.test('without a consensus nobody is a neighbour', (t) => {
  const found = neighboursOf([], () => 1);
  t.equal(found.previousHops.size + found.nextHops.size, 0);
  t.end();
});

t.test('after a turn the old neighbours count for Δ more, with the newest address of each', (t) => {
  const clock = new VirtualClock();
  const changes: string[][] = [];
  const view = new NetworkView({
    identity: requester.id,
    position: 1,
    clock,
    onChange: (now) => changes.push(nextNames(now)),
  });
  const both = topologyWithout();
  const [left, moved] = both.layers[1] as [NodeEntry, NodeEntry];
  const later = topologyWithout(left.name);
  (later.layers as NodeEntry[][])[1] = [{ ...moved, port: 9999 }];
  view.update(both);
  view.update(both);
  t.strictSame(changes, [[left.name, moved.name].sort()], 'the same topology again is no change');
  view.update(later);
  t.equal(view.topology, later);
  t.equal(view.neighbours.nextHops.get(moved.addressKey)?.port, 9999);
  clock.advance(keyGraceMs(DEFAULT_PARAMS.epochMs) - 1);
  t.ok(view.neighbours.nextHops.has(left.addressKey));
  clock.advance(1);
  t.notOk(view.neighbours.nextHops.has(left.addressKey));
  t.equal(changes.length, 3);
  view.update(both);
  view.stop();
  t.equal(clock.pending, 0);
  t.end();
});

t.test('the address in a descriptor can be dialled, or the start fails with what to do', (t) => {
  const published = (listen: string[], advertise?: string[], ports = [4001, 4002]) => {
    const bound = ports.map((port) => ({ host: '', port }));
    return advertisedAddresses({ listen, advertise }, bound).at.map(({ host, port }) => joinHostPort(host, port));
  };
  t.same(published(['127.0.0.1:0']), ['127.0.0.1:4001']);
  t.same(published(['[::1]:4000']), ['[::1]:4000']);
  t.same(published(['0.0.0.0:4000'], ['192.0.2.1:80']), ['192.0.2.1:80']);
  t.same(published(['0.0.0.0:0', '192.0.2.1:0']), ['192.0.2.1:4002'], 'the port of that listener');
  t.same(published(['0.0.0.0:0', '192.0.2.1:0'], ['mix.example:0']), ['mix.example:4001']);
  t.same(published(['[2a00::1]:0', '1.2.3.4:0']), ['1.2.3.4:4002', '[2a00::1]:4001'], 'both families, IPv4 first');
  t.same(published(['1.2.3.4:1', '1.2.3.5:1', '[2a00::1]:1', '[2a00::2]:1']), ['1.2.3.4:1', '[2a00::1]:1']);
  t.same(published(['10.0.0.1:1', '[2a00::1]:1']), ['[2a00::1]:1'], 'nothing private beside what is public');
  t.same(published(['127.0.0.1:1', '[::1]:1']), ['127.0.0.1:1', '[::1]:1']);
  t.same(published(['[::]:1'], ['10.0.0.1:1', '[2a00::1]:2']), ['10.0.0.1:1', '[2a00::1]:2'], 'as it is given');
  for (const listen of [['0.0.0.0:4000'], ['[::]:4000'], ['localhost:4000'], ['0.0.0.0:4000', '[::]:4000']]) {
    t.throws(() => published(listen), { code: 'CONFIG', message: /--advertise/ }, listen.join());
  }
  for (const advertise of [
    ['1.2.3.4:1', '1.2.3.5:1'],
    ['[2a00::1]:1', '[2a00::2]:1'],
    ['a.example:1', 'b.example:1'],
    ['1.2.3.4:1', 'a.example:1'],
    ['1.2.3.4:1', '[2a00::1]:1', '[2a00::2]:1'],
    ['1.2.3.4:1', '[::]:1'],
    ['0.0.0.0:1'],
  ]) {
    t.throws(() => published(['[::]:1'], advertise), { code: 'CONFIG' }, advertise.join());
  }
  t.end();
});

t.test('a node that may take any port takes that of last time, unless it is taken', async (t) => {
  const dir = t.testdir();
  let taken = 0;
  const asked: number[][] = [];
  const listen = async (addresses: readonly HostPort[]) => {
    asked.push(addresses.map(({ port }) => port));
    if (addresses.some(({ port }) => port !== 0 && port === taken)) throw new MixError('LISTEN', 'in use');
    return { addresses: addresses.map(({ host, port }, i) => ({ host, port: port || 5000 + 10 * i + asked.length })) };
  };
  const again = async (...ports: number[]) => {
    const wanted = ports.map((port) => ({ host: '127.0.0.1', port }));
    return (await listenAgain(dir, wanted, listen)).addresses.map(({ port }) => port);
  };
  t.same(await again(4444), [4444]);
  t.same(await again(0), [5002]);
  t.same(await again(0), [5002]);
  taken = 5002;
  t.same(await again(0), [5005]);
  t.strictSame(asked, [[4444], [0], [5002], [5002], [0]]);
  t.same(await again(0, 4444, 0), [5005, 4444, 5026], 'a listener that is new takes any');
  t.same(await again(0, 4444, 0), [5005, 4444, 5026]);
  taken = 4444;
  await t.rejects(again(4444), { code: 'LISTEN' }, 'a port that was asked for is not exchanged');
});

t.test('configurations are strict and have defaults', (t) => {
  const least = { dir: 'd', networkFile: 'n', name: 'x' };
  t.match(MixnodeConfig.parse({ ...least, layer: 2 }), {
    listen: ['127.0.0.1:0'],
    poolPackets: 32_768,
    crypto: 'fastest',
  });
  t.match(GatewayConfig.parse(least), { maxClients: 1000, mailboxPackets: 512 });
  t.notOk('layer' in MixnodeConfig.parse(least), 'the authorities choose');
  t.same(MixnodeConfig.parse({ ...least, listen: '[::]:1' }).listen, ['[::]:1']);
  t.same(MixnodeConfig.parse({ ...least, listen: ['0.0.0.0:1', '[::]:1'] }).listen, ['0.0.0.0:1', '[::]:1']);
  for (const wrong of [
    { ...least, layer: 4 },
    { ...least, layer: 1, colour: 'red' },
    { ...least, listen: [] },
    { ...least, listen: Array(17).fill('127.0.0.1:0') },
  ]) {
    t.notOk(MixnodeConfig.safeParse(wrong).success, JSON.stringify(wrong));
  }
  t.end();
});
