import t from 'tap';
import { maxMin } from '../../lib/core/max-min.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { stagesThatShed, type Topology } from '../../lib/directory/index.ts';
import { rateMeter } from '../../lib/mixing/accepted-rate.ts';
import { FairPolicer } from '../../lib/mixing/index.ts';
import { linkWeights } from '../../lib/node/link-weights.ts';
import { nodeEntry, smallTopology } from '../support/nodes.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const RATE = 1000;

function policerOf(weights: Record<string, number>) {
  const policer = new FairPolicer<string>(RATE, monotonic(-2000));
  policer.setWeights(new Map(Object.entries(weights)));
  /** How many of `packets` over a link are accepted at this time. */
  const burst = (name: string, packets: number, nowMs: number) => {
    let accepted = 0;
    for (let i = 0; i < packets; i++) if (policer.admits(policer.link(name), monotonic(nowMs))) accepted += 1;
    return accepted;
  };
  return { policer, burst };
}

t.test('what there is is shared max-min, by weight', (t) => {
  t.strictSame(maxMin([1, 2, 3], 10), [1, 2, 3]);
  t.strictSame(maxMin([10, 1, 10], 11), [5, 1, 5]);
  t.strictSame(maxMin([10, 10, 10, 10], 20), [5, 5, 5, 5]);
  t.strictSame(maxMin([], 20), []);
  t.strictSame(maxMin([10, 10, 1], 9, [1, 3, 1]), [2, 6, 1]);
  t.strictSame(maxMin([10, 2], 9, [1, 8]), [7, 2], 'a great weight is no claim to what is not wanted');
  t.end();
});

t.test('a link that bursts alone has half of the depth or more, and in a crowd its part', (t) => {
  const names = Array.from({ length: 10 }, (_, i) => `${i}`);
  const crowd = policerOf(Object.fromEntries(names.map((name) => [name, 1])));
  const depth = RATE / 2 + 160;
  t.equal(crowd.burst('0', 1e5, 0), depth / 2);
  for (const name of names) crowd.burst(name, 1e5, 0);
  t.ok(crowd.burst('9', 1, 10), 'in the next moment there is room for each');
  t.equal(policerOf({ '0': 1 }).burst('0', 1e5, 0), (RATE / 2 + 16) / 2);
  t.end();
});

t.test('a node that is listed no more has nothing; listed again, it has no more than before', (t) => {
  const { policer, burst } = policerOf({ a: 1, b: 1 });
  const stays = policer.link('a');
  t.ok(burst('a', 1e5, 0) > 0);
  const before = stays.count;
  policer.setWeights(new Map(Object.entries({ a: 1, c: 3 })));
  t.equal(policer.link('a'), stays);
  t.equal(stays.count, before, 'a change of the list is no pardon');
  t.equal(stays.weight, 0.5);
  t.equal(burst('b', 100, 1), 0);
  t.ok(burst('c', 1, 1) > 0);
  t.end();
});

t.test('weights are those of the consensus: exits count at the gateways that they name', (t) => {
  const topology = smallTopology(3);
  const [first, second] = topology.gateways;
  const ids = (nodes: readonly { id: string }[]) => nodes.map(({ id }) => id);
  for (const [position, before] of [
    [2, topology.layers[0]],
    [3, topology.layers[1]],
    ['gateway', topology.layers[2]],
    [1, topology.gateways],
  ] as const) {
    const weights = linkWeights(topology, position);
    t.strictSame([...weights.keys()], ids(before ?? []));
    t.ok(
      [...weights.values()].every((weight) => weight === 1),
      `all alike before ${position}`,
    );
  }
  const exits = [
    nodeEntry(900, { role: 'requester', gateways: ids(topology.gateways) as never }),
    nodeEntry(901, { role: 'requester', gateways: [first?.id as never] }),
  ];
  const weights = linkWeights({ ...topology, requesters: exits } as unknown as Topology, 1);
  const repliesPerPacket = 500 / 206; // class fast
  t.equal(weights.get(first?.id as never), 1 + repliesPerPacket * 1.5);
  t.equal(weights.get(second?.id as never), 1 + repliesPerPacket * 0.5);
  const numbered = [40, 120].map((maxClients, i) => ({ ...topology.gateways[i], maxClients }));
  const byNumber = linkWeights({ ...topology, gateways: numbered } as unknown as Topology, 1);
  t.strictSame([...byNumber.values()], [0.5, 1.5], 'a gateway weighs as many clients as it may admit');
  const fallen = [4, 396].map((maxClients, i) => ({ ...topology.gateways[i], maxClients }));
  const byFallen = linkWeights({ ...topology, gateways: fallen } as unknown as Topology, 1);
  t.strictSame([...byFallen.values()], [0.25, 1.98], 'and a quarter of the mean when its number has fallen');
  const silent = { mainRate: 0, loopRate: 0, dropRate: 0, replyRate: 0, deliveryRate: 0 };
  const params = { ...DEFAULT_PARAMS, classes: { standard: silent } };
  const none = linkWeights({ ...topology, params, requesters: exits } as unknown as Topology, 1);
  t.strictSame([...none.values()], [1, 1], 'a class without clocks says nothing');
  t.end();
});

t.test('a stage sheds when half of its nodes say so, two of them at least where there are two', (t) => {
  const stage = (...sheds: number[]) => sheds.map((shed, i) => ({ ...nodeEntry(700 + i, { role: 'mixnode' }), shed }));
  const count = (...sheds: number[]) =>
    stagesThatShed({ layers: [stage(...sheds), stage(0), stage(0, 0)], gateways: stage(0, 0) });
  t.strictSame(
    [count(1), count(5, 0), count(5, 5), count(5, 0, 0), count(1, 1, 0), count(1, 1, 0, 0, 0)],
    [1, 0, 1, 0, 1, 0],
  );
  t.end();
});

/** A clock on which each look takes half a millisecond, and every tenth a long one. */
class SlowClock extends VirtualClock {
  looks = 0;

  override nowMs() {
    this.advance(++this.looks % 10 === 0 ? 20 : 0.5);
    return super.nowMs();
  }
}

t.test('the rate follows from the time of an undisturbed unwrap; a clock that stands still bounds nothing', (t) => {
  const crypto = createCrypto('fastest');
  const rateOn = (clock: VirtualClock) =>
    rateMeter({ crypto, rng: seededRng(1), payloadBytes: 2048, nowMs: () => clock.nowMs() })(100);
  t.equal(rateOn(new SlowClock()), 1200);
  t.equal(rateOn(new VirtualClock()), Number.POSITIVE_INFINITY);
  t.end();
});
