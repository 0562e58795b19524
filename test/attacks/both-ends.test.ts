/**
 * Attack: whoever runs one gateway waits for users who are his clients and whose exit is his client too. He sees both ends of their traffic, and
 * can tell by times and counts who is at which exit.
 *
 * Defence: an exit is at two gateways, and a proxy uses the one that is not its own. What remains: in a network with one gateway there is
 * no choice. Then the proxy works, and its status says so.
 */
import t from 'tap';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import { ExitGateways, MAX_VAIN_CHANGES, sharesGateway } from '../../lib/endpoint/gateways/exit-gateways.ts';
import { GatewaySelector } from '../../lib/endpoint/gateways/gateway-selector.ts';
import { GuardSample } from '../../lib/endpoint/gateways/guard-sample.ts';
import { GatewayPlan } from '../../network-requester/gateway-plan.ts';
import { nodeEntry } from '../support/nodes.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic, unix } from '../support/units.ts';

const PROXIES = 100;

function topologyOf(gateways: readonly NodeEntry[], requesters: readonly NodeEntry[]): Topology {
  const nodes = [...gateways, ...requesters];
  const byId = (id: string) => nodes.find((node) => node.id === id);
  return { gateways, soundGateways: gateways, requesters, nodes, byId, validAfterMs: unix(1) } as unknown as Topology;
}

/** A network with one requester that has found its gateways by itself, as `mixsocks localnet` has. */
function network(gatewayCount: number, most = 2) {
  const gateways = Array.from({ length: gatewayCount }, (_, i) => nodeEntry(i + 1, { role: 'gateway' }));
  const bare = nodeEntry(99, { role: 'requester' });
  const plan = new GatewayPlan({ self: bare.id, rng: seededRng(4) });
  plan.settle(
    undefined,
    gateways.map(({ id }) => id),
  );
  const requester = { ...bare, gateways: plan.announced.slice(0, most) };
  return { requester, topology: topologyOf(gateways, [requester]) };
}

/** A fresh proxy: its guard, and the gateway through which its packets reach the requester. */
function fresh(seed: number, { requester, topology }: ReturnType<typeof network>) {
  const sample = new GuardSample(seededRng(seed));
  sample.follow(topology);
  const selector = new GatewaySelector((known) => sample.listedIn(known), monotonic(0));
  const guard = selector.first(topology);
  const exitGateways = new ExitGateways(seededRng(seed + 1000));
  const far = () => exitGateways.of(requester, topology, guard)?.id;
  return { guard, far, exitGateways };
}

const users = (world: ReturnType<typeof network>) => Array.from({ length: PROXIES }, (_, i) => fresh(i + 1, world));
const atBothEnds = (list: readonly { guard: NodeEntry; far: () => IdentityHex | undefined }[]) =>
  list.filter(({ guard, far }) => guard.id === far()).length;

t.test(
  'two gateways and one requester: of a hundred fresh proxies none has the gateway of its exit as guard',
  async (t) => {
    const world = network(2);
    const list = users(world);
    t.equal(world.requester.gateways.length, 2, 'the requester is at both');
    t.equal(atBothEnds(list), 0);
    t.notOk(list.some(({ guard }) => sharesGateway(world.requester, guard)));
    const first = list.filter(({ guard }) => guard.id === world.topology.gateways[0]?.id).length;
    t.ok(
      first > PROXIES / 4 && first < (3 * PROXIES) / 4,
      `the guards are drawn all the same: ${first} at the first gateway`,
    );
    // Mutant: a requester at one gateway, as before.
    t.not(atBothEnds(users(network(2, 1))), 0, 'the mutant is rejected');
  },
);

t.test('more gateways: the exit names two of them, and no proxy uses its guard', async (t) => {
  for (const count of [3, 10]) t.equal(atBothEnds(users(network(count))), 0, `${count} gateways`);
});

t.test('what goes to the exit does not move to the guard when nothing comes back', async (t) => {
  const world = network(2);
  for (const { guard, far, exitGateways } of users(world)) {
    const before = far();
    const moved = exitGateways.change(world.requester, world.topology, guard);
    if (moved || far() !== before || far() === guard.id) t.fail('a gateway that is closed drives packets to the guard');
  }
  const third = network(3);
  const moves = users(third).filter(({ guard, far, exitGateways }) => {
    const free = third.requester.gateways.every((id) => id !== guard.id);
    const before = far();
    const moved = exitGateways.change(third.requester, third.topology, guard);
    return moved !== free || (free && far() === before) || far() === guard.id;
  });
  t.equal(moves.length, 0, 'it moves to the other gateway where that is not the guard');
});

t.test(
  'a network whose other gateway is dead leaves no choice: after a while the guard is used, until the next consensus',
  async (t) => {
    const world = network(2);
    for (const { guard, far, exitGateways } of users(world)) {
      for (let i = 1; i < MAX_VAIN_CHANGES; i++) exitGateways.change(world.requester, world.topology, guard);
      if (far() === guard.id) t.fail('too early');
      exitGateways.change(world.requester, world.topology, guard);
      if (far() !== guard.id) t.fail('the proxy does not work');
      exitGateways.adopt(world.topology);
      if (far() === guard.id) t.fail('it stays there');
    }
  },
);

t.test('one gateway: the proxy works, and it is known that this gateway sees both ends', async (t) => {
  const world = network(1);
  const list = users(world);
  t.equal(atBothEnds(list), PROXIES);
  t.ok(list.every(({ guard }) => sharesGateway(world.requester, guard)));
});
