/** The authorities give a mix its layer: layers are of one size, and stay as they are. */
import fc from 'fast-check';
import t from 'tap';
import { assignLayers } from '../../directory/layers.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { type Consensus, type Descriptor, type MixLayer, parseDescriptor } from '../../lib/directory/index.ts';
import { NetworkView } from '../../lib/node/index.ts';
import { smallTopology } from '../support/nodes.ts';
import { descriptorOf, draft, testNetwork } from '../support/signed-documents.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const idOf = (n: number) => n.toString(16).padStart(64, '0') as IdentityHex;

/** A mix that leaves its layer to the authorities, or has chosen one. */
const mix = (n: number, layer?: MixLayer): Descriptor =>
  ({ role: 'mixnode', identity: idOf(n), ...(layer && { layer }) }) as Descriptor;

const byIdentity = (a: Descriptor, b: Descriptor) => (a.identity < b.identity ? -1 : 1);

/** What follows on consensus `last`. */
function next(mixes: readonly Descriptor[], last?: Pick<Consensus, 'nodes'>): Pick<Consensus, 'nodes'> {
  return { nodes: assignLayers([...mixes].sort(byIdentity), last) as unknown as Consensus['nodes'] };
}

const layersOf = ({ nodes }: Pick<Consensus, 'nodes'>) =>
  new Map(nodes.map((node) => [node.identity, node.role === 'mixnode' ? node.layer : undefined]));
const sizes = (consensus: Pick<Consensus, 'nodes'>) =>
  [1, 2, 3].map((layer) => [...layersOf(consensus).values()].filter((one) => one === layer).length);

/** How many mixes of both have another layer in the second. */
function moved(before: Pick<Consensus, 'nodes'>, after: Pick<Consensus, 'nodes'>): number {
  const layers = layersOf(before);
  return [...layersOf(after)].filter(([id, layer]) => layers.has(id) && layers.get(id) !== layer).length;
}

t.test('a descriptor may leave its layer to the authorities', async (t) => {
  const network = testNetwork();
  const descriptor = descriptorOf(network, 1, draft('mixnode', [1, 2]), 1);
  const { layer, ...open } = descriptor as Descriptor & { layer: MixLayer };
  t.equal(layer, 1);
  t.same(parseDescriptor(JSON.stringify(open)), open);
  t.throws(() => parseDescriptor(JSON.stringify({ ...open, layer: 4 })));
});

t.test('new mixes go where the fewest are, and stay there', async (t) => {
  const first = next([mix(1), mix(2), mix(3), mix(4)]);
  t.same([...layersOf(first).values()], [1, 2, 3, 1]);
  const second = next([mix(0), mix(1), mix(2), mix(3), mix(4)], first);
  t.equal(moved(first, second), 0, 'whoever comes before them in the order of identities');
  t.equal(layersOf(second).get(idOf(0)), 2);
  t.same(sizes(second), [2, 2, 1]);
});

t.test('an operator may choose a layer: others are not placed by it, but none stays empty', async (t) => {
  const consensus = next([mix(1, 2), mix(2, 2), mix(3), mix(4), mix(5), mix(6)]);
  t.same([...layersOf(consensus).values()], [2, 2, 1, 3, 2, 1]);
  const changed = next([mix(1, 3), mix(2, 3), mix(3), mix(4), mix(5), mix(6)], consensus);
  t.equal(layersOf(changed).get(idOf(1)), 3, 'also another one later');
  t.equal(moved(consensus, changed), 2, 'those two alone');
  t.same(sizes(next([mix(1, 1), mix(2, 1), mix(3, 1)])), [3, 0, 0], 'nobody is moved who has chosen');
  t.same(sizes(next([mix(1, 1), mix(2, 2), mix(3)])), [1, 1, 1], 'a layer without a mix comes first');
  const two = next([mix(1, 1), mix(2), mix(3)]);
  t.same(sizes(two), [1, 1, 1]);
  t.same(sizes(next([mix(1, 1), mix(3), mix(4, 3)], two)), [1, 1, 1], 'a hole is filled');
  const pair = next([mix(1), mix(2)]);
  t.equal(moved(pair, next([mix(1), mix(2)], pair)), 0, 'but none is made for it');
  const spare = next([mix(1), mix(2), mix(3), mix(4, 2)]);
  t.same(sizes(spare), [1, 2, 1]);
  t.same(sizes(next([mix(1), mix(2), mix(4, 2)], spare)), [1, 1, 1], 'by a layer that has two');
});

t.test('whoever fills two layers with mixes of his own does not gather the others in the third', async (t) => {
  const honest = Array.from({ length: 30 }, (_, n) => mix(n));
  const his = Array.from({ length: 60 }, (_, n) => mix(100 + n, n % 2 === 0 ? 1 : 3));
  const before = next(honest);
  let after = before;
  for (let epoch = 0; epoch < 50; epoch++) after = next([...honest, ...his], after);
  t.equal(moved(before, after), 0);
});

t.test('when a layer has lost its mixes others move there, a few in an epoch', async (t) => {
  const many = Array.from({ length: 96 }, (_, n) => mix(n));
  let consensus = next(many);
  t.same(sizes(consensus), [32, 32, 32]);
  const layers = layersOf(consensus);
  const left = many.filter(({ identity }) => layers.get(identity) !== 3);
  let epochs = 0;
  for (; Math.max(...sizes(consensus)) - Math.min(...sizes(consensus)) > 1 || epochs === 0; epochs++) {
    const after = next(left, consensus);
    t.equal(moved(consensus, after) <= 2, true, 'one of 32');
    consensus = after;
  }
  t.ok(epochs <= 11, `${epochs} epochs`);
  t.same([...sizes(consensus)].sort(), [21, 21, 22]);
  t.equal(moved(consensus, next(left, consensus)), 0, 'then it is at rest');
});

t.test('whoever comes and goes: layers differ by no more than it takes to move few, and order does not count', (t) => {
  const epoch = fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { minLength: 3, maxLength: 45 });
  fc.assert(
    fc.property(fc.array(epoch, { minLength: 1, maxLength: 8 }), (epochs) => {
      let last: Pick<Consensus, 'nodes'> | undefined;
      for (const present of epochs) {
        const after = next(
          present.map((n) => mix(n)),
          last,
        );
        t.same(
          next(
            [...present].reverse().map((n) => mix(n)),
            last,
          ),
          after,
        );
        if (last === undefined) t.ok(Math.max(...sizes(after)) - Math.min(...sizes(after)) <= 1);
        else t.ok(moved(last, after) <= 1, 'at most one of 32, or one');
        last = after;
      }
      const present = epochs.at(-1) ?? [];
      for (let i = 0; i < 30; i++)
        last = next(
          present.map((n) => mix(n)),
          last,
        );
      t.ok(Math.max(...sizes(last as never)) - Math.min(...sizes(last as never)) <= 1, 'in the end all are alike');
    }),
    { numRuns: 40, seed: 7 },
  );
  t.end();
});

t.test('a mix works in the layer that the consensus gives it, and in both for a while when that changes', async (t) => {
  const topology = smallTopology(2);
  const [one, two, three] = topology.layers;
  const [mover, stays] = one as [never, never];
  const { id } = mover as { id: IdentityHex };
  const listedIn = (layer: MixLayer | undefined) =>
    ({
      ...topology,
      nodes: [],
      requesters: [],
      byId: () => (layer === undefined ? undefined : { id, layer }),
    }) as never;
  const clock = new VirtualClock();
  const view = new NetworkView({ identity: id, position: undefined, clock, onChange: () => {} });
  const next = () => [...view.neighbours.nextHops.values()].map(({ name }) => name).sort();
  const names = (...layers: (typeof one)[]) => layers.flatMap((nodes) => nodes?.map(({ name }) => name) ?? []).sort();
  t.ok(stays);
  view.update(listedIn(undefined));
  t.same(next(), [], 'nowhere before it is listed');
  view.update(listedIn(1));
  t.same(next(), names(two));
  view.update(listedIn(2));
  t.same(next(), names(two, three));
  clock.advance(3_600_000);
  t.same(next(), names(three));
  view.stop();
});
