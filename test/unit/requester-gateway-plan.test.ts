import t from 'tap';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import { ANNOUNCE_ANOTHER_AFTER_MS, GatewayPlan } from '../../network-requester/gateway-plan.ts';
import { nodeEntry } from '../support/nodes.ts';
import { seededRng } from '../support/seeded-rng.ts';

const [one, two, three, four] = [1, 2, 3, 4].map((seed) => nodeEntry(seed, { role: 'gateway' })) as [
  NodeEntry,
  NodeEntry,
  NodeEntry,
  NodeEntry,
];
const SELF = 9;
const self = nodeEntry(SELF, { role: 'requester' });
const listedAt = (...gateways: readonly NodeEntry[]) =>
  nodeEntry(SELF, { role: 'requester', gateways: gateways.map(({ id }) => id) });

function topology(gateways: readonly NodeEntry[], ...named: readonly NodeEntry[]): Topology {
  const nodes = named.length > 0 ? [...gateways, listedAt(...named)] : gateways;
  const byId = (id: string) => nodes.find((node) => node.id === id);
  return { gateways, soundGateways: gateways, byId } as unknown as Topology;
}
const plan = (...fixed: readonly NodeEntry[]) =>
  new GatewayPlan({
    self: self.id,
    rng: seededRng(1),
    ...(fixed.length === 0 ? {} : { fixed: fixed.map(({ id }) => id) }),
  });
const ids = (...gateways: readonly NodeEntry[]) => gateways.map(({ id }) => id);
const sorted = (list: readonly (string | undefined)[]) => [...list].sort();

t.test('the gateways it is known by, else two that there are', (t) => {
  const known = plan();
  t.ok(known.settle(topology([one, two, three], one, two), ids(three)));
  t.strictSame(sorted(known.announced), sorted(ids(one, two)));
  const half = plan();
  half.settle(topology([two, three], one, two), ids(three));
  t.strictSame(sorted(half.announced), sorted(ids(two, three)), 'one of its own is gone');
  const fresh = plan();
  t.ok(fresh.settle(undefined, ids(three)));
  t.strictSame(fresh.announced, ids(three), 'there is one');
  t.ok(fresh.settle(undefined, ids(three, four)));
  t.strictSame(fresh.announced, ids(three, four), 'another has come');
  t.notOk(plan().settle(undefined, []));
  const configured = plan(two);
  configured.settle(topology([one, two], one), ids(one));
  t.strictSame(configured.announced, ids(two), 'configured');
  t.end();
});

t.test('before there is a consensus: a gateway that is announced no more is given up', (t) => {
  const requester = plan();
  requester.settle(undefined, ids(one, two));
  t.notOk(requester.resettle(ids(one, two, three)), 'still there');
  t.notOk(requester.resettle([]), 'there is no other');
  t.ok(requester.resettle(ids(two, three)));
  t.strictSame(sorted(requester.announced), sorted(ids(two, three)));
  const configured = plan(two);
  t.notOk(configured.resettle(ids(one)), 'configured');
  t.strictSame(configured.announced, ids(two));
  t.end();
});

t.test('the consensus has the last word on where to link to', (t) => {
  const requester = plan();
  requester.settle(undefined, ids(two));
  t.strictSame(sorted(requester.choose(topology([one, two])).map((node) => node?.id)), sorted(ids(one, two)));
  t.strictSame(sorted(requester.announced), sorted(ids(one, two)), 'a second one is announced as soon as there is one');
  const named = requester.choose(topology([one, two, three, four], three, four)).map((node) => node?.id);
  t.strictSame(sorted(named), sorted(ids(three, four)), 'there the packets come');
  t.strictSame(
    requester.choose(topology([one, two, three, four], four, three)).map((node) => node?.id),
    named,
    'each stays at its place',
  );
  const alone = requester.choose(topology([one], three, four)).map((node) => node?.id);
  t.strictSame(
    alone.filter((id) => id !== undefined),
    ids(one),
    'both are gone, and there is one',
  );
  t.ok(requester.announced.includes(one.id));
  t.strictSame(requester.choose(topology([])), [undefined, undefined]);

  const configured = plan(two);
  t.strictSame(configured.choose(topology([one, three])), [undefined], 'never another than the configured one');
  t.end();
});

t.test('a gateway that stays away is replaced in the announcement, until it is back', (t) => {
  const requester = plan();
  const known = topology([one, two, three], one, two);
  requester.settle(known, []);
  requester.choose(known);
  t.notOk(requester.review(known, one.id, ANNOUNCE_ANOTHER_AFTER_MS - 1));
  t.ok(requester.review(known, one.id, ANNOUNCE_ANOTHER_AFTER_MS));
  t.strictSame(sorted(requester.announced), sorted(ids(two, three)));
  t.notOk(requester.review(known, one.id, 2 * ANNOUNCE_ANOTHER_AFTER_MS), 'once');
  t.strictSame(
    sorted(requester.choose(known).map((node) => node?.id)),
    sorted(ids(one, two)),
    'but packets still go to the old one',
  );
  t.ok(requester.review(known, one.id, 0), 'it is back');
  t.strictSame(sorted(requester.announced), sorted(ids(one, two)));

  requester.review(known, one.id, ANNOUNCE_ANOTHER_AFTER_MS);
  const moved = requester.choose(topology([one, two, three], two, three)).map((node) => node?.id);
  t.strictSame(sorted(moved), sorted(ids(two, three)), 'the next consensus names it');

  const small = topology([one, two], one, two);
  const without = plan();
  without.settle(small, []);
  without.choose(small);
  t.notOk(without.review(small, one.id, ANNOUNCE_ANOTHER_AFTER_MS), 'there is no other');
  const configured = plan(one);
  configured.choose(known);
  t.notOk(configured.review(known, one.id, ANNOUNCE_ANOTHER_AFTER_MS), 'configured');
  t.end();
});

t.test('one that is to be announced and does not countersign is given up', (t) => {
  const requester = plan();
  const known = topology([one, two, three], one, two);
  requester.settle(known, []);
  requester.choose(known);
  requester.review(known, one.id, ANNOUNCE_ANOTHER_AFTER_MS);
  requester.giveUp((id: IdentityHex) => id === two.id);
  t.ok(requester.announced.includes(three.id) && requester.announced.includes(two.id), 'one that is linked stays');
  requester.giveUp((id) => id === three.id);
  t.strictSame(sorted(requester.announced), sorted(ids(one, two)));
  t.ok(requester.review(known, one.id, ANNOUNCE_ANOTHER_AFTER_MS), 'and another try is made');
  t.end();
});
