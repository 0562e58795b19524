import t from 'tap';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import { ANNOUNCE_ANOTHER_AFTER_MS, GatewayPlan } from '../../network-requester/gateway-plan.ts';
import { nodeEntry } from '../support/nodes.ts';
import { seededRng } from '../support/seeded-rng.ts';

const [one, two, three] = [1, 2, 3].map((seed) => nodeEntry(seed, { role: 'gateway' })) as [
  NodeEntry,
  NodeEntry,
  NodeEntry,
];
const self = nodeEntry(9, { role: 'requester', gateway: one.id });

function topology(gateways: readonly NodeEntry[], requesters: readonly NodeEntry[] = []): Topology {
  const nodes = [...gateways, ...requesters];
  const byId = (id: string) => nodes.find((node) => node.id === id);
  return { gateways, soundGateways: gateways, requesters, byId } as unknown as Topology;
}
const plan = (fixed?: NodeEntry) =>
  new GatewayPlan({ self: self.id, rng: seededRng(1), ...(fixed === undefined ? {} : { fixed: fixed.id }) });

t.test('the gateway it is known by, else any that there is', (t) => {
  t.equal(plan().settle(topology([two, one], [self]), [two.id]), one.id);
  t.equal(plan().settle(topology([two], [self]), [two.id]), two.id, 'its own is gone');
  t.equal(plan().settle(undefined, [three.id]), three.id);
  t.equal(plan().settle(undefined, []), undefined);
  t.equal(plan(two).settle(topology([one, two], [self]), [one.id]), two.id, 'configured');
  t.end();
});

t.test('before there is a consensus: a gateway that is announced no more is given up', (t) => {
  const requester = plan();
  t.notOk(requester.resettle([one.id]), 'none was chosen yet');
  requester.settle(undefined, [one.id]);
  t.notOk(requester.resettle([one.id, two.id]), 'still there');
  t.notOk(requester.resettle([]), 'there is no other');
  t.equal(requester.announced, one.id);
  t.ok(requester.resettle([two.id]));
  t.equal(requester.announced, two.id);
  const configured = plan(two);
  t.notOk(configured.resettle([one.id]), 'configured');
  t.equal(configured.announced, two.id);
  t.end();
});

t.test('the consensus has the last word on where to link to', (t) => {
  const requester = plan();
  requester.settle(undefined, [two.id]);
  t.equal(requester.choose(topology([one, two])), two, 'not listed yet');
  t.equal(requester.choose(topology([one, two], [self])), one, 'there the packets come');
  t.equal(requester.choose(topology([three], [self])), three, 'both are gone');
  t.equal(requester.announced, three.id);
  t.equal(requester.choose(topology([])), undefined);

  const configured = plan(two);
  t.equal(configured.choose(topology([one, three])), undefined, 'never another than the configured one');
  t.end();
});

t.test('a gateway that stays away is replaced in the announcement, until it is back', (t) => {
  const requester = plan();
  const known = topology([one, two], [self]);
  requester.settle(known, []);
  t.notOk(requester.review(known, one.id, ANNOUNCE_ANOTHER_AFTER_MS - 1));
  t.ok(requester.review(known, one.id, ANNOUNCE_ANOTHER_AFTER_MS));
  t.equal(requester.announced, two.id);
  t.notOk(requester.review(known, one.id, 2 * ANNOUNCE_ANOTHER_AFTER_MS), 'once');
  t.equal(requester.choose(known), one, 'but packets still go to the old one');
  t.ok(requester.review(known, one.id, 0), 'it is back');
  t.equal(requester.announced, one.id);
  t.notOk(requester.review(topology([one], [self]), one.id, ANNOUNCE_ANOTHER_AFTER_MS), 'there is no other');
  t.notOk(plan(one).review(known, one.id, ANNOUNCE_ANOTHER_AFTER_MS), 'configured');
  t.end();
});
