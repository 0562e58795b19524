import t from 'tap';
import type { NodeEntry } from '../../lib/directory/index.ts';
import { RouteDrawer } from '../../lib/endpoint/routes.ts';
import { drawnDelayMs, toSphinxHops } from '../../lib/mixing/index.ts';
import { nodeEntry, smallTopology } from '../support/nodes.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { epochNumber } from '../support/units.ts';

const tail = [nodeEntry(1, { role: 'gateway' }), nodeEntry(3, { role: 'requester' })];

t.test('a route takes one mix of each layer in order, then the tail', async (t) => {
  const topology = smallTopology(4);
  const drawer = new RouteDrawer(seededRng(1));
  for (let i = 0; i < 50; i++) {
    const route = drawer.draw(topology, tail, 'forward') ?? [];
    t.strictSame(
      route.map(({ node }) => node.layer ?? node.role),
      [1, 2, 3, 'gateway', 'requester'],
    );
    t.ok(
      route.slice(3).every(({ delayMs }) => delayMs === 0),
      'gateways and endpoints do not delay',
    );
  }
});

t.test('mixes are drawn uniformly and their delays have the mean of the network', async (t) => {
  const topology = smallTopology(4);
  const drawer = new RouteDrawer(seededRng(2));
  const uses = new Map<string, number>();
  let totalMs = 0;
  const draws = 4000;
  for (let i = 0; i < draws; i++) {
    const route = drawer.draw(topology, tail, 'forward') ?? [];
    totalMs += drawnDelayMs(route);
    for (const { node } of route.slice(0, 3)) uses.set(node.id, (uses.get(node.id) ?? 0) + 1);
  }
  for (const count of uses.values()) t.ok(Math.abs(count - draws / 4) < 5 * Math.sqrt(draws / 4), `${count} uses`);
  t.equal(uses.size, 12);
  t.ok(Math.abs(totalMs / draws - 3 * topology.params.meanDelayMs) < 6, 'at three mixes');
});

t.test('a family stands on a route once where that can be avoided', async (t) => {
  const topology = smallTopology(3, (_layer, index) => (index === 0 ? 'one-operator' : undefined));
  const drawer = new RouteDrawer(seededRng(3));
  let twice = 0;
  for (let i = 0; i < 300; i++) {
    const families = (drawer.draw(topology, tail, 'forward') ?? []).filter(({ node }) => node.family !== undefined);
    if (families.length > 1) twice += 1;
  }
  t.equal(twice, 0);
  const unavoidable = new RouteDrawer(seededRng(4)).draw(
    smallTopology(1, () => 'one-operator'),
    tail,
    'forward',
  );
  t.equal(unavoidable?.length, 5, 'a network of one operator still has routes');
});

t.test('nodes are drawn for routes in proportion to their weights', async (t) => {
  const topology = smallTopology(3);
  const rare = topology.layers[1]?.[0] as NodeEntry;
  const asked = new Set<string>();
  const drawer = new RouteDrawer(seededRng(5), (node, kind) => {
    asked.add(kind);
    return node.id === rare.id ? 0.02 : 1;
  });
  const draws = 20_000;
  let uses = 0;
  for (let i = 0; i < draws; i++) if (drawer.draw(topology, tail, 'reply')?.[1]?.node.id === rare.id) uses += 1;
  const expected = (draws * 0.02) / 2.02;
  t.ok(Math.abs(uses - expected) < 5 * Math.sqrt(expected), `${uses} uses, ${expected} expected`);
  t.strictSame([...asked], ['reply'], 'the weight may depend on the kind of route');
});

t.test('no route through an empty layer, none over a node without a key for the epoch', async (t) => {
  t.equal(new RouteDrawer(seededRng(7)).draw(smallTopology(0), tail, 'forward'), undefined);
  const keyless = nodeEntry(9, {
    role: 'gateway',
    sphinxKey: (epoch) => (epoch === 7 ? new Uint8Array(32) : undefined),
  });
  const route = new RouteDrawer(seededRng(8)).draw(smallTopology(1), [keyless], 'forward') ?? [];
  t.equal(toSphinxHops(route, epochNumber(8)), undefined);
  t.equal(toSphinxHops(route, epochNumber(7))?.length, 4);
});
