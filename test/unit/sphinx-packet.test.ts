/**
 * What Sphinx refuses, drops and promises at its edges.
 */
import t from 'tap';
import { createCrypto } from '../../lib/crypto/index.ts';
import { compactSurb, expandSurb, gammaKeyOf, Sphinx, type SphinxHop, unpad } from '../../lib/sphinx/index.ts';
import { expandSecret, macKeyOf, streamKeyOf } from '../../lib/sphinx/keys.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { makeRoute, type TestNode, travel, unwrap } from '../support/sphinx-route.ts';

const crypto = createCrypto('fastest');
const rng = seededRng(7);
const sphinx = new Sphinx(crypto, rng);
const message = Buffer.from('to whom it may concern');

function request(route: readonly SphinxHop[], more: object = {}) {
  return { route, destination: rng.bytes(32), identifier: rng.bytes(16), message, payloadBytes: 256, ...more };
}

/** The packet with its routing block changed by one who knows the hop's secret, MAC made anew. */
function withBlock(node: TestNode, packet: Uint8Array, change: (block: Uint8Array) => void): Uint8Array {
  const forged = packet.slice();
  const keys = expandSecret(crypto, crypto.x25519(node.secret, forged.slice(0, 32)));
  const beta = forged.subarray(48, 348);
  const stream = crypto.aes128CtrKeystream(streamKeyOf(keys), 300);
  const mask = () =>
    beta.forEach((byte, i) => {
      beta[i] = byte ^ stream[i]!;
    });
  mask();
  change(beta);
  mask();
  forged.set(crypto.hmacSha256(macKeyOf(keys), beta).subarray(0, 16), 32);
  return forged;
}

t.test('requests that are not valid', async (t) => {
  const route = makeRoute(crypto, rng, 6);
  const [hop] = route as [TestNode];
  const invalid = { code: 'INTERNAL' };
  t.throws(() => sphinx.createPacket(request([])), invalid, 'no hop');
  t.throws(() => sphinx.createPacket(request(route)), invalid, 'six hops');
  t.throws(() => sphinx.createPacket(request([hop], { identifier: new Uint8Array(16) })), invalid, 'zero identifier');
  t.throws(() => sphinx.createPacket(request([hop], { identifier: rng.bytes(15) })), invalid, 'short identifier');
  t.throws(() => sphinx.createPacket(request([hop], { destination: rng.bytes(33) })), invalid, 'long destination');
  t.throws(() => sphinx.createPacket(request([hop], { message: rng.bytes(257) })), invalid, 'message too long');
  t.throws(() => sphinx.createPacket(request([hop], { payloadBytes: 15 })), invalid, 'payload within the left half');
  t.throws(() => sphinx.createPacket(request([hop], { payloadBytes: 256.5 })), invalid, 'half a byte');
  t.throws(() => sphinx.createPacket(request([{ ...hop, address: rng.bytes(31) }, hop])), invalid, 'short address');
  t.throws(() => sphinx.createPacket(request([{ ...hop, publicKey: rng.bytes(31) }])), invalid, 'short key');
  t.throws(() => sphinx.createPacket(request([{ ...hop, publicKey: new Uint8Array(32) }])), { code: 'CRYPTO' });
  for (const delayNs of [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 64, -1n, 2n ** 64n]) {
    t.throws(() => sphinx.createPacket(request([{ ...hop, delayNs }, hop])), invalid, `delay ${delayNs}`);
  }
  t.throws(() => sphinx.createSurb({ route: route.slice(0, 5), self: hop }), invalid, 'five hops before oneself');
  t.throws(() => sphinx.createSurb({ route: [hop], self: { address: rng.bytes(20) } }), invalid, 'own address');
  const loop = { route: [hop], self: hop, payloadBytes: 256 };
  t.throws(() => sphinx.createLoop({ ...loop, message: rng.bytes(257) }), invalid, 'loop message too long');
  t.throws(() => sphinx.openHeader(rng.bytes(31), new Uint8Array(700)), invalid, 'short node secret');
});

t.test('each kind of bad packet is dropped for its reason', async (t) => {
  const [node, next] = makeRoute(crypto, rng, 2) as [TestNode, TestNode];
  const packet = sphinx.createPacket(request([node, next]));
  const reasonOf = (bytes: Uint8Array) => sphinx.openHeader(node.secret, bytes);
  t.equal(reasonOf(new Uint8Array(0)), 'length');
  t.equal(reasonOf(packet.subarray(0, 348 + 32)), 'length');
  t.equal(sphinx.openHeader(next.secret, packet), 'mac', 'a foreign key');
  t.equal(reasonOf(packet.with(0, 0).fill(0, 0, 32)), 'point', 'alpha of small order');
  t.equal(reasonOf(packet.with(31, packet[31]! | 0x80)), 'point', 'the bit that X25519 ignores');
  const nonCanonical = packet.slice().fill(0xff, 0, 31).with(31, 0x7f);
  t.equal(reasonOf(nonCanonical.with(0, 0xed + 9)), 'point', 'alpha = p + 9');
  t.equal(reasonOf(nonCanonical.with(0, 0xec - 1)), 'mac', 'alpha = p - 2 is a point, and not ours');

  const seen = withBlock(node, packet, () => {});
  t.type(reasonOf(seen), 'object', 'the forger below makes valid headers');
  for (const [at, value] of [
    [1, 1],
    [2, 0],
    [2, 2],
    [3, 3],
    [3, 2],
    [3, 5],
  ] as const) {
    t.equal(
      reasonOf(withBlock(node, packet, (block) => block.fill(value, at, at + 1))),
      'version',
      `byte ${at} = ${value}`,
    );
  }
  for (const flag of [0, 3, 255]) {
    t.equal(reasonOf(withBlock(node, packet, (block) => block.fill(flag, 0, 1))), 'routing', `flag ${flag}`);
  }
  t.equal(reasonOf(sphinx.createPacket(request([node], { version: 259 }))), 'version', '259 on the wire');
});

t.test('openHeader leaves the packet alone, and its result stands for itself', async (t) => {
  const [node, next] = makeRoute(crypto, rng, 2) as [TestNode, TestNode];
  const packet = sphinx.createPacket(request([node, next]));
  const before = packet.slice();
  const first = sphinx.openHeader(node.secret, packet);
  sphinx.openHeader(node.secret, sphinx.createPacket(request([node])));
  t.same(packet, before);
  if (typeof first === 'string') throw new Error(first);
  const forward = sphinx.finish(first, packet);
  t.match(forward, { kind: 'forward', nextAddress: next.address, delayNs: node.delayNs });
  t.equal(forward.kind === 'forward' && forward.packet, packet, 'unwrapped in place');
  t.notSame(packet.subarray(348), before.subarray(348));
});

t.test('delays are carried as whole nanoseconds', async (t) => {
  const [node, next] = makeRoute(crypto, rng, 2) as [TestNode, TestNode];
  for (const [delayNs, seen] of [
    [0, 0],
    [0.4, 0],
    [1.6, 2],
    [2 ** 40 + 1, 2 ** 40 + 1],
    [2n ** 63n, 2 ** 63],
    [12n, 12],
  ]) {
    const packet = sphinx.createPacket(request([{ ...node, delayNs: delayNs! }, next]));
    t.match(unwrap(sphinx, node.secret, packet), { kind: 'forward', delayNs: seen });
  }
});

t.test('the last hop reads destination, identifier and payload', async (t) => {
  const [node] = makeRoute(crypto, rng, 1) as [TestNode];
  const sent = request([node]);
  const result = unwrap(sphinx, node.secret, sphinx.createPacket(sent));
  t.match(result, { kind: 'final', destination: sent.destination, identifier: sent.identifier });
  t.same(result.kind === 'final' && Buffer.from(unpad(result.payload)!), message);
});

t.test('packets of one request share no byte string', async (t) => {
  const route = makeRoute(crypto, rng, 5);
  const sent = request(route);
  const [a, b] = [sphinx.createPacket(sent), sphinx.createPacket(sent)];
  for (const [from, to] of [
    [0, 32],
    [32, 48],
    [48, 348],
    [348, 380],
  ])
    t.notSame(a.slice(from, to), b.slice(from, to));
  const keys = route.map((node) => sphinx.openHeader(node.secret, a));
  t.same(keys.slice(1), ['mac', 'mac', 'mac', 'mac'], 'only the first hop opens it');
});

t.test('a reply block carries a reply to its maker', async (t) => {
  const route = makeRoute(crypto, rng, 4);
  const self = { address: rng.bytes(32) };
  const { surb, recovery } = sphinx.createSurb({ route, self });
  t.equal(surb.byteLength, 396);
  const compact = compactSurb(surb);
  t.equal(compact.byteLength, 372);
  const [first] = route as [TestNode];
  const resolve = (prefix: Uint8Array) =>
    Buffer.compare(prefix, first.address.subarray(0, 8)) === 0 ? first.address : undefined;
  t.same(expandSurb(compact, resolve), surb);
  t.equal(
    expandSurb(compact, () => undefined),
    undefined,
    'nobody of that prefix',
  );
  t.equal(expandSurb(compact.subarray(1), resolve), undefined, 'a wrong length');
  t.throws(() => compactSurb(surb.subarray(1)), { code: 'MALFORMED' });
  for (const length of [0, 380, 395, 397, 380 + 96]) {
    t.throws(() => sphinx.useSurb(new Uint8Array(length), message, 256), { code: 'MALFORMED' }, `${length} bytes`);
  }

  const { packet, firstHop } = sphinx.useSurb(surb, message, 256);
  t.same(firstHop, first.address);
  t.not(gammaKeyOf(packet), recovery.key, 'not recognisable before its last hop');
  t.match(travel(sphinx, route, packet).at(-1), { kind: 'forward', nextAddress: self.address });
  t.equal(gammaKeyOf(packet), recovery.key);
  t.same(packet.slice(32, 48), recovery.gamma);
  const foreign = sphinx.createSurb({ route, self }).recovery;
  t.equal(sphinx.recover(foreign, packet.slice()), undefined, 'foreign recovery material');
  t.equal(sphinx.recover(recovery, packet.slice(0, 380)), undefined, 'too short');
  t.same(Buffer.from(sphinx.recover(recovery, packet)!), message);
});

t.test('the replier holds no key of the hops before the last', async (t) => {
  const route = makeRoute(crypto, rng, 4);
  const { surb, recovery } = sphinx.createSurb({ route, self: { address: rng.bytes(32) } });
  t.same(surb.slice(380), recovery.seeds.slice(-16));
  for (let i = 0; i < 4; i++) {
    t.equal(Buffer.from(surb).indexOf(recovery.seeds.subarray(16 * i, 16 * i + 16)), -1, `seed of hop ${i}`);
  }
});
