/** Numbers of clients and marks for loss, over drawn networks: order, bounds, liars, and that they settle. */
import fc from 'fast-check';
import t from 'tap';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import {
  admitClients,
  CAPACITY_STEPS,
  type Consensus,
  type Descriptor,
  LEAST_CLIENTS,
  MAX_CLIENTS,
  SHED_STEPS,
} from '../../lib/directory/index.ts';
import { nodes } from '../support/loop-reports.ts';

const RUNS = { seed: 20261127, numRuns: 200 };

/** Networks by size: their keys and signatures take longest. */
const PLAIN = new Map([3, 4, 5, 6].map((perLayer) => [perLayer, nodes(perLayer)]));

const capacities = fc.constantFrom(...CAPACITY_STEPS);
const sheds = fc.constantFrom(...SHED_STEPS);
interface Drawn {
  readonly descriptors: readonly Descriptor[];
  readonly candidates: ReadonlySet<string>;
  readonly last: Pick<Consensus, 'nodes'>;
}

/** Three to six nodes in each stage; what they say, who loses packets, and the numbers of the last consensus. */
const networks: fc.Arbitrary<Drawn> = fc
  .integer({ min: 3, max: 6 })
  .chain((perLayer) =>
    fc.record({
      said: fc.array(
        fc.record({ capacity: fc.option(capacities, { nil: undefined }), shed: sheds, lossy: fc.boolean() }),
        {
          minLength: 4 * perLayer,
          maxLength: 4 * perLayer,
        },
      ),
      before: fc.array(fc.option(fc.integer({ min: 0, max: 3000 }), { nil: undefined }), {
        minLength: perLayer,
        maxLength: perLayer,
      }),
      perLayer: fc.constant(perLayer),
    }),
  )
  .map(({ said, before, perLayer }) => {
    const plain = PLAIN.get(perLayer) ?? [];
    const descriptors = plain.map((node, i) => ({ ...node, capacity: said[i]?.capacity, shed: said[i]?.shed }));
    const gateways = plain.slice(3 * perLayer).map((node, i) => ({ ...node, maxClients: before[i] }));
    return {
      descriptors: descriptors as Descriptor[],
      candidates: new Set(plain.filter((_, i) => said[i]?.lossy).map(({ identity }) => identity)),
      last: { nodes: [...plain.slice(0, 3 * perLayer), ...gateways] as Consensus['nodes'] },
    };
  });

const admit = ({ descriptors, candidates, last }: Drawn) =>
  admitClients(descriptors, candidates as ReadonlySet<never>, DEFAULT_PARAMS, last);
const sorted = ({ maxClients, marked }: ReturnType<typeof admitClients>) =>
  JSON.stringify([[...maxClients].sort(), [...marked].sort()]);

t.test('the order of descriptors and records changes nothing, and all numbers are whole and bounded', async () => {
  fc.assert(
    fc.property(networks, fc.integer({ min: 1, max: 30 }), (drawn, by) => {
      const turn = <Item>(items: readonly Item[]) => [...items.slice(by), ...items.slice(0, by)].reverse();
      const result = admit(drawn);
      const other = admit({ ...drawn, descriptors: turn(drawn.descriptors), last: { nodes: turn(drawn.last.nodes) } });
      if (sorted(result) !== sorted(other)) return false;
      const numbers = [...result.maxClients.values()];
      return numbers.every((n) => Number.isInteger(n) && n >= LEAST_CLIENTS && n <= MAX_CLIENTS);
    }),
    RUNS,
  );
});

t.test(
  'whatever one mix says, the numbers stay between those of networks in which it says what another one does',
  async () => {
    fc.assert(
      fc.property(networks, fc.nat(), capacities, sheds, (drawn, pick, capacity, shed) => {
        const mixes = drawn.descriptors.filter((node) => node.role === 'mixnode' && node.capacity !== undefined);
        const liar = mixes[pick % Math.max(1, mixes.length)];
        if (liar === undefined || liar.role !== 'mixnode') return true;
        const peers = mixes.filter((node) => node !== liar && 'layer' in node && node.layer === liar.layer);
        if (peers.length < 2) return true;
        const withWords = (words: object) =>
          admit({
            ...drawn,
            descriptors: drawn.descriptors.map((node) => (node === liar ? { ...node, ...words } : node)),
          });
        const words = peers.map((peer) =>
          withWords({ capacity: 'capacity' in peer ? peer.capacity : 1, shed: 'shed' in peer ? peer.shed : 0 }),
        );
        return [...withWords({ capacity, shed }).maxClients].every(([gateway, number]) => {
          const fair = words.map(({ maxClients }) => maxClients.get(gateway) ?? 0);
          return number >= Math.min(...fair) && number <= Math.max(...fair);
        });
      }),
      RUNS,
    );
  },
);

t.test('with the same words each epoch the numbers settle, and so do the marks', async () => {
  fc.assert(
    fc.property(networks, (drawn) => {
      let { last } = drawn;
      let before = '';
      for (let epoch = 0; epoch < 100; epoch++) {
        const result = admit({ ...drawn, last });
        const now = sorted(result);
        if (now === before)
          return [...drawn.candidates].every((id) => result.marked.has(id as never)) || result.maxClients.size === 0;
        before = now;
        last = {
          nodes: drawn.last.nodes.map((node) => ({
            ...node,
            maxClients: result.maxClients.get(node.identity),
            lossy: result.marked.has(node.identity) || undefined,
          })) as Consensus['nodes'],
        };
      }
      return false;
    }),
    RUNS,
  );
});
