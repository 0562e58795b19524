/**
 * Attack: lies about capacity. Nodes say what they carry, and the consensus admits as many clients as the network carries by that. A mix that
 * says that it carries nothing would close the network to newcomers; one that says that it carries everything would have it admit more than
 * the others carry; a gateway that claims much would draw clients to itself; and a mix could say that it sheds everything.
 *
 * Defence: the lower quartile of each layer counts, of three nodes or more never the least; gateways share what the mixes carry, and none gets
 * more than its part; routes and guards are drawn whatever capacity is claimed; numbers move by a fifth an epoch, and nobody is disconnected.
 * What remains: in a layer of two a liar can lower the numbers, to four for each gateway at worst, unless `minCapacity` keeps him out; and so
 * can whoever has most of a layer. A gateway that says little closes itself.
 */
import t from 'tap';
import { CAPACITY_STEPS, type Descriptor, LEAST_CLIENTS, MAX_CAPACITY, stepAtMost } from '../../lib/directory/index.ts';
import { numbersOf, threePerStage } from '../support/capacities.ts';

t.test('one liar in each layer of three, low or high, changes nothing', async (t) => {
  const honest = numbersOf(threePerStage(2172));
  for (const lie of [1, 10, MAX_CAPACITY]) {
    const capacity = stepAtMost(CAPACITY_STEPS, lie);
    const liars = Object.fromEntries([0, 11, 22].map((n) => [n, { capacity }]));
    t.same(numbersOf(threePerStage(2172, liars)), honest, `${lie} packets/s`);
    t.same(numbersOf(threePerStage(2172, { 0: { capacity }, 11: { capacity: 1 }, 22: { capacity: 1 } })), honest);
  }
  const shedding = Object.fromEntries([0, 11, 22].map((n) => [n, { shed: 100 }]));
  t.same(numbersOf(threePerStage(2172, shedding)), honest, 'nor one that says that it sheds everything');
  const silent = Object.fromEntries([0, 11, 22].map((n) => [n, { capacity: undefined }]));
  t.same(numbersOf(threePerStage(2172, silent)), honest, 'nor one that says nothing');
});

t.test('a gateway that says much gets no more than the others, one that says little loses its own only', async (t) => {
  const strong = Object.fromEntries([30, 31, 32].map((n) => [n, { capacity: 8282 }]));
  const honest = numbersOf(threePerStage(2172, strong)) as number[];
  const high = numbersOf(
    threePerStage(2172, { ...strong, 30: { capacity: stepAtMost(CAPACITY_STEPS, MAX_CAPACITY) } }),
  );
  t.same(high, honest);
  const [low = 0, ...others] = numbersOf(threePerStage(2172, { ...strong, 30: { capacity: 1 } })) as number[];
  t.equal(low, LEAST_CLIENTS);
  for (const [i, number] of others.entries()) t.ok(number > (honest[i + 1] as number), 'the others take its part');
});

/** As if something else than the quartile of a layer counted: every mix of it is taken to say that. */
function countingInstead(pick: (said: readonly number[]) => number, descriptors: readonly Descriptor[]): Descriptor[] {
  return descriptors.map((node) => {
    if (node.role !== 'mixnode') return node;
    const layer = descriptors.flatMap((one) => (one.role === 'mixnode' && one.layer === node.layer ? one : []));
    return { ...node, capacity: pick(layer.map(({ capacity = 1 }) => capacity)) };
  });
}

t.test('if the least counted one liar would close the network, if the mean did one would inflate it', async (t) => {
  const strong = Object.fromEntries([30, 31, 32].map((n) => [n, { capacity: 8282 }]));
  const honest = numbersOf(threePerStage(2172, strong)) as number[];
  const low = threePerStage(2172, { ...strong, 0: { capacity: 1 } });
  const closed = numbersOf(countingInstead((said) => Math.min(...said), low));
  t.same(closed, [LEAST_CLIENTS, LEAST_CLIENTS, LEAST_CLIENTS]);
  const capacity = stepAtMost(CAPACITY_STEPS, MAX_CAPACITY);
  const high = threePerStage(2172, { ...strong, 0: { capacity }, 10: { capacity }, 20: { capacity } });
  const mean = (said: readonly number[]) => Math.floor(said.reduce((sum, one) => sum + one, 0) / said.length);
  const inflated = numbersOf(countingInstead(mean, high)) as number[];
  for (const [i, number] of inflated.entries()) t.ok(number > 2 * (honest[i] as number));
});
