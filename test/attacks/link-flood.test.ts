/**
 * Attack: packets by the hundred thousand over one link, or over many. Clients cost nothing: a hundred of them at one gateway send ten
 * times their class; or the gateway is the attacker's own and lets them; or most neighbours are his. A mix that takes
 * what comes first has no time, and no room in its replay filter, for what honest neighbours send.
 *
 * Defence: a gateway holds each client to its class, and a node shares what it accepts max-min among its incoming links, by what
 * the consensus lets each carry, before it does any work on a packet. What remains: the packets of honest clients at a gateway that
 * sends more than its share are dropped like all others of that link.
 */
import t from 'tap';
import { clientPacketsPerSecond } from '../../gateway/index.ts';
import { DEFAULT_PARAMS, uplinkRate } from '../../lib/core/params.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import { TokenBucket } from '../../lib/mixing/index.ts';
import { linkWeights } from '../../lib/node/link-weights.ts';
import { DeliveryWorld, STANDARD } from '../support/delivery-world.ts';
import { alike, FloodedNode, type Flow, namesOf } from '../support/flooded-node.ts';
import { nodeEntry, smallTopology } from '../support/nodes.ts';
import { monotonic } from '../support/units.ts';

/** Packets that the node accepts per second. */
const ACCEPTED = 10_000;
const CLASS_RATE = uplinkRate(STANDARD);
const CHEATS = 100;
const SECONDS = 4;
const GATEWAYS = namesOf('gateway-', 10);
const [ATTACKED = '', ...OTHERS] = GATEWAYS;

const steady = (link: string, perSecond: number): Flow => ({ link, perSecond: () => perSecond });
/** A policer that takes what comes first, at the same rate: no sharing. */
const firstCome = () => {
  const bucket = new TokenBucket(ACCEPTED, ACCEPTED / 2, monotonic(0));
  return {
    admits: (_link: unknown, nowMs: number) => bucket.take(monotonic(nowMs)),
    link: () => ({ weight: 1, count: 0 }),
    setWeights: () => {},
  };
};

/**
 * A hundred clients of one gateway send ten times their class, one keeps to it, and so do those of nine other gateways; all to one
 * mix. `holds`: whether the gateway holds its clients to their class.
 */
function cheating(holds: boolean, policer?: typeof firstCome) {
  const world = new DeliveryWorld({}, {}, holds ? clientPacketsPerSecond(DEFAULT_PARAMS, 'standard') : 1e9);
  const node = new FloodedNode({ perSecond: ACCEPTED, weights: alike(...GATEWAYS), ...(policer && { policer }) });
  node.run(1_000, []); // what a new process may accept at once has to be earned
  world.run(1_000);
  const client = (n: number, perSecond: number): Flow => {
    const link = world.connect(n, { trafficClass: 'standard', clocked: false });
    return {
      ...steady(ATTACKED, perSecond),
      passes: (nowMs) => world.clients.mayRelay(link, monotonic(nowMs)),
    };
  };
  const honest = client(0, CLASS_RATE);
  const cheats = Array.from({ length: CHEATS }, (_, i) => client(1 + i, 10 * CLASS_RATE));
  const others = OTHERS.map((link) => steady(link, 5 * CLASS_RATE));
  const flows = [honest, ...cheats, ...others];
  node.run(1_000, flows);
  const atFirst = node.lost([honest]);
  node.run(SECONDS * 1000, flows);
  const lostLater = node.lost([honest]) - atFirst;
  return { node, honest, lostLater, cheats, others };
}

t.test('a hundred clients that send ten times their class cost nobody else a packet', async (t) => {
  const { node, lostLater, cheats, others } = cheating(true);
  t.equal(node.lost(others), 0, 'at other gateways');
  t.equal(lostLater, 0, 'at their own, once their first bursts are over');
  const relayed = cheats.reduce((sum, flow) => sum + node.tally(flow).sent, 0);
  t.ok(relayed <= CHEATS * ((SECONDS + 1) * 1.1 * CLASS_RATE + 33), `${relayed} packets leave their gateway`);
});

t.test('if the gateway is an accomplice, other gateways lose nothing, and its own clients do', async (t) => {
  const { node, honest, others } = cheating(false);
  t.equal(node.lost(others), 0);
  const { sent, accepted } = node.tally(honest);
  t.ok(
    accepted < 0.5 * sent,
    `${accepted} of ${sent} packets of an honest client there: no class bound, no protection`,
  );
  t.ok(node.acceptedRate > 0.75 * ACCEPTED, 'all that the node can do is used');
});

t.test('a node that takes what comes first loses most packets of everybody', async (t) => {
  const { node, others } = cheating(false, firstCome);
  const sent = others.reduce((sum, flow) => sum + node.tally(flow).sent, 0);
  t.ok(node.lost(others) > 0.5 * sent, `${node.lost(others)} of ${sent}`);
});

/** A flood over some of the links, and honest traffic of so much of a fair share over the others. */
function flooded(links: readonly string[], evil: number, load: number, policer?: typeof firstCome) {
  const node = new FloodedNode({ perSecond: ACCEPTED, weights: alike(...links), ...(policer && { policer }) });
  node.run(1_000, []);
  const flows = links.map((link, i) =>
    steady(link, i < evil ? (4 * ACCEPTED) / evil : (load * ACCEPTED) / links.length),
  );
  node.run(SECONDS * 1000, flows);
  return { node, honest: flows.slice(evil), flood: flows.slice(0, evil) };
}

t.test('one mix of three, and ninety gateways of a hundred, take nothing from the others', async (t) => {
  for (const [links, evil] of [
    [namesOf('mix-1-', 3), 1],
    [namesOf('mix-1-', 3), 2],
    [namesOf('gateway-', 100), 90],
  ] as const) {
    const { node, honest } = flooded(links, evil, 0.9);
    t.equal(node.lost(honest), 0, `${evil} of ${links.length}`);
    const rest = flooded(links, evil, 0.9, firstCome);
    t.ok(rest.node.lost(rest.honest) > 0, 'what comes first');
  }
});

t.test('what the others do not use is the flood’s, in equal parts', async (t) => {
  const { node, flood } = flooded(namesOf('gateway-', 10), 2, 0.5);
  const rates = flood.map((flow) => node.tally(flow).accepted / SECONDS);
  for (const rate of rates) t.ok(Math.abs(rate - 0.3 * ACCEPTED) < 0.05 * ACCEPTED, `${rate}`);
});

t.test('a flood in bursts, from links that are opened anew each time, does no better', async (t) => {
  const links = namesOf('gateway-', 10);
  const node = new FloodedNode({ perSecond: ACCEPTED, weights: alike(...links) });
  node.run(1_000, []);
  for (const periodMs of [20, 200, 2_000]) {
    const flows = links.map((link, i): Flow => {
      const inBursts = (nowMs: number) => (nowMs % periodMs < periodMs / 4 ? 4 * ACCEPTED : 0);
      return i < 5 ? { link, perSecond: inBursts } : steady(link, (0.9 * ACCEPTED) / links.length);
    });
    node.run(2_000, flows);
    t.equal(node.lost(flows.slice(5)), 0, `every ${periodMs} ms`);
  }
});

/** Ten gateways and an exit at two of them, as a consensus lists them. */
function withPopularExit(): { topology: Topology; exitGateways: readonly NodeEntry[]; others: readonly NodeEntry[] } {
  const gateways = Array.from({ length: 10 }, (_, i) => nodeEntry(500 + i, { role: 'gateway' }));
  const exitGateways = gateways.slice(0, 2);
  const exit = nodeEntry(900, { role: 'requester', gateways: exitGateways.map(({ id }) => id) });
  const topology = { ...smallTopology(3), gateways, requesters: [exit] } as unknown as Topology;
  return { topology, exitGateways, others: gateways.slice(2) };
}

t.test('the gateways of a popular exit have a share for its replies while all others flood', async (t) => {
  const { topology, exitGateways, others } = withPopularExit();
  const weights = linkWeights(topology, 1);
  const run = (weights: ReadonlyMap<string, number>) => {
    const node = new FloodedNode({ perSecond: ACCEPTED, weights });
    node.run(1_000, []);
    const replies = exitGateways.map(({ id }) => steady(id, 0.3 * ACCEPTED));
    node.run(SECONDS * 1000, [...replies, ...others.map(({ id }) => steady(id, 0.5 * ACCEPTED))]);
    return node.lost(replies) / (SECONDS * 0.6 * ACCEPTED);
  };
  t.equal(run(weights), 0);
  t.ok(run(alike(...weights.keys())) > 0.5, 'where all gateways count alike, most replies are lost');
});

t.test('a gateway that may admit next to nobody any more has a share for the clients that it has', async (t) => {
  const gateways = Array.from({ length: 10 }, (_, i) =>
    nodeEntry(500 + i, { role: 'gateway', maxClients: i === 0 ? 4 : 500 }),
  );
  const weights = linkWeights({ ...smallTopology(3), gateways } as unknown as Topology, 1);
  const [fallen, ...others] = [...weights.keys()];
  const run = (weights: ReadonlyMap<string, number>) => {
    const node = new FloodedNode({ perSecond: ACCEPTED, weights });
    node.run(1_000, []);
    const clients = steady(fallen as string, 0.02 * ACCEPTED);
    node.run(SECONDS * 1000, [clients, ...others.map((id) => steady(id, 0.5 * ACCEPTED))]);
    return node.lost([clients]) / (SECONDS * 0.02 * ACCEPTED);
  };
  t.equal(run(weights), 0);
  const byNumberAlone = new Map([...weights].map(([id, weight]) => [id, id === fallen ? 4 / 450.4 : weight]));
  t.ok(run(byNumberAlone) > 0.5, 'where the number alone counts, most of their packets are lost');
});

t.test('a popular exit’s gateway has what others leave, also beyond its share', async (t) => {
  const node = new FloodedNode({ perSecond: ACCEPTED, weights: alike(...GATEWAYS) });
  node.run(1_000, []);
  const popular = steady(ATTACKED, 0.35 * ACCEPTED);
  const flood = steady('gateway-1', 5 * ACCEPTED);
  node.run(SECONDS * 1000, [popular, flood, ...OTHERS.slice(1).map((link) => steady(link, 0.02 * ACCEPTED))]);
  t.equal(node.lost([popular]), 0);
});

t.test(
  'what layer 1 has taken in can be aimed at one mix of layer 2, and there honest packets are lost like others',
  async (t) => {
    const links = namesOf('mix-1-', 3);
    const node = new FloodedNode({ perSecond: ACCEPTED, weights: alike(...links) });
    node.run(1_000, []);
    const honest = links.map((link) => steady(link, 0.1 * ACCEPTED)); // a load of 0.3
    node.run(SECONDS * 1000, [...honest, ...links.map((link) => steady(link, 0.7 * ACCEPTED))]);
    const share = node.lost(honest) / (SECONDS * 0.3 * ACCEPTED);
    t.ok(share > 0.45 && share < 0.6, `${share} of them`);
  },
);

t.test('who takes a new identity for each burst, or names a faster class, gets little for it', async (t) => {
  const world = new DeliveryWorld({}, {}, clientPacketsPerSecond(DEFAULT_PARAMS, 'fast'));
  let relayed = 0;
  for (let n = 0; n < 1_000; n++) {
    world.run(1);
    const link = world.connect(n, { trafficClass: 'fast', clocked: false });
    for (let i = 0; i < 300; i++) if (world.frameFrom(link)) relayed += 1;
    link.close();
  }
  t.ok(relayed <= 32_000, `${relayed} packets for a thousand handshakes; a full bucket each would be 256,000`);
});

t.test('the bound of a client outlives its connections', async (t) => {
  const world = new DeliveryWorld({}, {}, clientPacketsPerSecond(DEFAULT_PARAMS, 'standard'));
  let relayed = 0;
  for (let n = 0; n < 1_000; n++) {
    world.run(10);
    const link = world.connect(1, { trafficClass: 'standard', clocked: false });
    for (let i = 0; i < 10; i++) if (world.frameFrom(link)) relayed += 1;
    link.close();
  }
  t.ok(relayed <= 10 * 1.1 * CLASS_RATE + 33, `${relayed} in 10 s`);
});
