/** Marks for loss are what comparing every report with the rest of its layer gives, one by one. */
import t from 'tap';
import { LOSSY_PER_MILLE, lossyNodes, MIN_LOOPS, type Reporter } from '../../directory/loss-marks.ts';
import { type Descriptor, mostLossy, RING_SIZE, ringOf } from '../../lib/directory/index.ts';
import { seededRng } from '../support/seeded-rng.ts';

const prefixOf = ({ identity }: { identity: string }) => identity.slice(0, 16);

/** By the words of docs/PROTOCOL.md 4.6, with no regard to the work. */
function marked(nodes: readonly Descriptor[]): string[] {
  const ring = ringOf(nodes.filter((node): node is Reporter => node.role !== 'requester'));
  const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 1000;
  return ring.flatMap((layer, position) => {
    const survivals = layer.map((node): [number, string] => {
      const at = (step: number) =>
        (ring[(position + step) % RING_SIZE] ?? [])
          .filter(({ family }) => family === undefined || family !== node.family)
          .map(({ loops = [] }) => {
            const over = (some: readonly Reporter[]) => {
              const found = some.flatMap((one) => loops.filter(([prefix]) => prefix === prefixOf(one)));
              return [1, 2].map((at) => found.reduce((sum, result) => sum + (result[at] as number), 0)) as [
                number,
                number,
              ];
            };
            const [own, peers] = [over([node]), over(layer.filter((peer) => peer !== node))];
            if (own[0] < MIN_LOOPS || peers[0] < MIN_LOOPS) return 1000;
            const [mine, usual] = [own, peers].map(([sent, back]) => Math.floor((1000 * back) / sent)) as [
              number,
              number,
            ];
            return mine >= usual ? 1000 : Math.floor((1000 * mine) / usual);
          });
      return [Math.max(median([1, 2, 3].flatMap(at)), median(at(1)), median(at(3))), node.identity];
    });
    const lossy = survivals.filter(([survival]) => survival <= LOSSY_PER_MILLE);
    const worst = lossy.sort(([a, one], [b, other]) => a - b || (one < other ? -1 : 1));
    return worst.slice(0, mostLossy(layer.length)).map(([, identity]) => identity);
  });
}

/** A network whose nodes report what they like; some lose packets, some are of one family, some report nothing. */
function drawn(seed: number): Descriptor[] {
  const rng = seededRng(seed);
  const ids = Array.from({ length: 6 + rng.int(40) }, () => Buffer.from(rng.bytes(32)).toString('hex'));
  const losers = new Set(ids.filter(() => rng.uniform() < 0.2));
  const result = (id: string) => {
    const sent = 1 + rng.int(200);
    const share = losers.has(id) ? 0.9 * rng.uniform() : 0.95 + 0.05 * rng.uniform();
    return [prefixOf({ identity: id }), sent, Math.floor(sent * share)];
  };
  return ids.map((identity, i) => ({
    identity,
    ...(i % 5 === 0 ? { role: 'gateway' } : { role: 'mixnode', layer: 1 + rng.int(3) }),
    ...(rng.uniform() < 0.5 ? { family: `family-${rng.int(4)}` } : {}),
    ...(rng.uniform() < 0.05 ? {} : { loops: ids.filter(() => rng.uniform() < 0.8).map(result) }),
  })) as never[];
}

t.test('in drawn networks the marks are those of the definition', async (t) => {
  let marks = 0;
  for (let seed = 1; seed <= 100; seed++) {
    const nodes = drawn(seed);
    const expected = marked(nodes);
    t.strictSame([...lossyNodes(nodes)].sort(), expected.sort(), `SEED ${seed}`);
    marks += expected.length;
  }
  t.ok(marks > 20, `${marks} marks: there is something to compare`);
});
