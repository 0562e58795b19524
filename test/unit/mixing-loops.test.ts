import t from 'tap';
import { addressKeyOf, type IdentityHex, toHex } from '../../lib/core/bytes.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import { drawRoute, type FinishedLoop, LOOP_GRACE_MS, LOOPS_IN_FLIGHT, NodeLoops } from '../../lib/mixing/index.ts';
import { Sphinx } from '../../lib/sphinx/index.ts';
import { nodeEntry, smallTopology } from '../support/nodes.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { epochNumber, monotonic } from '../support/units.ts';

const crypto = createCrypto('fastest');
const rng = seededRng(3);
const sphinx = new Sphinx(crypto, rng);

/** A small network whose nodes' secrets we know. */
function openNetwork(mixesPerLayer: number) {
  const secrets = new Map<string, Uint8Array>();
  const plain = smallTopology(mixesPerLayer);
  const withKey = (node: NodeEntry): NodeEntry => {
    const secret = rng.bytes(32);
    secrets.set(node.id, secret);
    const publicKey = crypto.x25519Base(secret);
    return { ...node, sphinxKey: (epoch) => (epoch === 5 ? publicKey : undefined) };
  };
  const topology = {
    ...plain,
    layers: plain.layers.map((layer) => layer.map(withKey)),
    gateways: plain.gateways.map(withKey),
  } as unknown as Topology;
  return { topology, secrets };
}

/** Unwraps at each hop, as the nodes would; the addresses passed and the delays asked for. */
function travel(packet: Uint8Array, route: readonly NodeEntry[], secrets: ReadonlyMap<string, Uint8Array>) {
  const addresses: string[] = [];
  let delayMs = 0;
  for (const node of route) {
    const opened = sphinx.openHeader(secrets.get(node.id) as Uint8Array, packet);
    if (typeof opened === 'string') throw new Error(`${node.name}: ${opened}`);
    const done = sphinx.finish(opened, packet);
    if (done.kind !== 'forward') throw new Error('ends on the way');
    addresses.push(toHex(done.nextAddress));
    delayMs += done.delayNs / 1e6;
  }
  return { addresses, delayMs };
}

t.test('a loop goes once around the ring of layers and gateways, from every place', (t) => {
  const topology = smallTopology(3);
  const rolesOf = (origin: 1 | 2 | 3 | 'gateway') =>
    drawRoute(topology, origin, rng)?.map((node) => node.layer ?? node.role);
  t.strictSame(rolesOf(1), [2, 3, 'gateway']);
  t.strictSame(rolesOf(2), [3, 'gateway', 1]);
  t.strictSame(rolesOf(3), ['gateway', 1, 2]);
  t.strictSame(rolesOf('gateway'), [1, 2, 3]);
  t.equal(drawRoute({ ...topology, gateways: [] } as unknown as Topology, 1, rng), undefined);
  t.end();
});

t.test('a key of small order on the route: no loop, and nothing thrown', (t) => {
  const { topology } = openNetwork(1);
  const layers = topology.layers.map((layer) =>
    layer.map((node) => ({ ...node, sphinxKey: () => new Uint8Array(32) })),
  );
  const loops = new NodeLoops({ sphinx, rng, address: nodeEntry(900, { role: 'gateway' }).address });
  t.ok(loops.make(topology, 'gateway', epochNumber(5), monotonic(0)));
  t.equal(
    loops.make({ ...topology, layers } as unknown as Topology, 'gateway', epochNumber(5), monotonic(0)),
    undefined,
  );
  t.equal(loops.counts.sent, 1);
  t.end();
});

t.test('routes are drawn anew and uniformly', (t) => {
  const topology = smallTopology(4);
  const seen = new Map<string, number>();
  for (let i = 0; i < 4000; i++) {
    const name = drawRoute(topology, 'gateway', rng)?.[1]?.name ?? '';
    seen.set(name, (seen.get(name) ?? 0) + 1);
  }
  t.equal(seen.size, 4);
  for (const [name, count] of seen) t.ok(Math.abs(count - 1000) < 140, `${name} ${count}`); // 5 sigma
  t.end();
});

t.test('a loop is recognised once, with its travel time; a copy of it is not', (t) => {
  const { topology, secrets } = openNetwork(2);
  const self = nodeEntry(900, { role: 'mixnode', layer: 2 });
  const results: FinishedLoop[] = [];
  const loops = new NodeLoops({ sphinx, rng, address: self.address, onResult: (result) => results.push(result) });
  t.equal(loops.make(topology, 2, epochNumber(6), monotonic(0)), undefined, 'no keys for that epoch');
  const made = loops.make(topology, 2, epochNumber(5), monotonic(1000));
  if (made === undefined) return t.fail('no loop');
  t.equal(made.packet.byteLength, topology.params.payloadBytes + 365);
  const route = [...topology.layers.flat(), ...topology.gateways];
  // the route is not told: follow the addresses
  const hops: NodeEntry[] = [];
  let next: string = made.firstHop;
  const packet = made.packet;
  let delayMs = 0;
  for (let hop = 0; hop < 3; hop++) {
    const node = route.find((one) => one.addressKey === next) as NodeEntry;
    hops.push(node);
    const passed = travel(packet, [node], secrets);
    delayMs += passed.delayMs;
    next = addressKeyOf(passed.addresses[0] as IdentityHex);
  }
  t.equal(next, self.addressKey, 'the fourth hop is the sender');
  const copy = packet.slice();
  const altered = packet.slice();
  altered[500] = (altered[500] as number) ^ 1;
  t.equal(loops.receive(altered, monotonic(1050)), 'altered');
  t.equal(loops.inFlight, 1, 'an altered copy does not use the loop up');
  t.equal(loops.receive(packet, monotonic(1000 + delayMs + 7)), 'returned');
  t.equal(loops.receive(copy, monotonic(1100)), undefined, 'a second arrival is nobody');
  t.strictSame(loops.counts, { sent: 1, returned: 1, lost: 0, altered: 1 });
  t.equal(results.length, 1);
  t.strictSame(
    results[0]?.route.map((node) => node.name),
    hops.map((node) => node.name),
  );
  t.ok(Math.abs((results[0]?.excessMs ?? 0) - 7) < 0.01, 'time beyond the delays');
  t.end();
});

t.test('a loop that does not come back is lost after its grace, one that flies is not', (t) => {
  const { topology } = openNetwork(1);
  const results: FinishedLoop[] = [];
  const address = rng.bytes(32);
  const loops = new NodeLoops({ sphinx, rng, address, onResult: (result) => results.push(result) });
  loops.make(topology, 'gateway', epochNumber(5), monotonic(0));
  loops.make(topology, 'gateway', epochNumber(5), monotonic(5000));
  loops.expire(monotonic(LOOP_GRACE_MS - 1));
  t.equal(loops.counts.lost, 0);
  loops.expire(monotonic(LOOP_GRACE_MS + 1000));
  t.equal(loops.counts.lost, 1);
  t.equal(loops.inFlight, 1);
  t.strictSame(
    results.map(({ returned, excessMs }) => ({ returned, excessMs })),
    [{ returned: false, excessMs: undefined }],
  );
  t.end();
});

t.test('loops in flight are bounded; the oldest gives way', (t) => {
  const { topology } = openNetwork(1);
  const fake = {
    createLoop: () => ({ packet: new Uint8Array(0), recovery: { key: rng.bytes(8).join() } }),
  } as unknown as Sphinx;
  const loops = new NodeLoops({ sphinx: fake, rng, address: rng.bytes(32) });
  for (let i = 0; i < LOOPS_IN_FLIGHT + 10; i++) loops.make(topology, 1, epochNumber(5), monotonic(i));
  t.equal(loops.inFlight, LOOPS_IN_FLIGHT);
  t.equal(loops.counts.lost, 10);
  t.end();
});
