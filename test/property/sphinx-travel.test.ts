/**
 * Whatever is sent arrives, unchanged and at constant size; whatever is changed on the way is refused.
 */
import fc from 'fast-check';
import t from 'tap';
import { packetBytes } from '../../lib/core/params.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { gammaKeyOf, Sphinx, type SphinxVersion, unpad } from '../../lib/sphinx/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { makeRoute, type TestNode, travel, unwrap } from '../support/sphinx-route.ts';

const crypto = createCrypto('fastest');
const hops = fc.integer({ min: 1, max: 5 });
const seed = fc.integer({ min: 0, max: 2 ** 31 });
const payloadBytes = fc.constantFrom(16, 100, 2048, 8192, 16384, 32768);
const version = fc.constantFrom<SphinxVersion>(259, 260);
/** Share of the payload that the message fills. */
const fill = fc.double({ min: 0, max: 1, noNaN: true });
const options = { numRuns: 60, seed: 1 };

function start(seedValue: number, hopCount: number) {
  const rng = seededRng(seedValue);
  return { rng, sphinx: new Sphinx(crypto, rng), route: makeRoute(crypto, rng, hopCount) };
}

t.test('a packet arrives, each hop learns its own next hop and delay, and the size never changes', async (t) => {
  const property = fc.property(seed, hops, payloadBytes, version, fill, (s, n, size, v, share) => {
    const { rng, sphinx, route } = start(s, n);
    const [message, destination, identifier] = [rng.bytes(Math.round(share * size)), rng.bytes(32), rng.bytes(16)];
    const packet = sphinx.createPacket({ route, destination, identifier, message, payloadBytes: size, version: v });
    const steps = travel(sphinx, route, packet, v);
    const last = steps.at(-1);
    const forwards = steps.slice(0, -1).every((step, i) => {
      if (step.kind !== 'forward' || step.packet.byteLength !== packetBytes(size)) return false;
      return step.delayNs === route[i]!.delayNs && Buffer.compare(step.nextAddress, route[i + 1]!.address) === 0;
    });
    if (last?.kind !== 'final' || !forwards || steps.length !== n) return false;
    const plaintext = unpad(last.payload);
    return (
      packet.byteLength === packetBytes(size) &&
      Buffer.compare(plaintext!, message) === 0 &&
      Buffer.compare(last.destination, destination) === 0 &&
      Buffer.compare(last.identifier, identifier) === 0
    );
  });
  t.doesNotThrow(() => fc.assert(property, options));
});

t.test('a reply comes back to the maker of its block, known by gamma only there', async (t) => {
  const property = fc.property(seed, hops, payloadBytes, fill, (s, n, size, share) => {
    const { rng, sphinx, route } = start(s, n - 1);
    const self = { address: rng.bytes(32) };
    const message = rng.bytes(Math.round(share * size));
    const { surb, recovery } = sphinx.createSurb({ route, self });
    const { packet, firstHop } = sphinx.useSurb(surb, message, size);
    const knownEarly = n > 1 && gammaKeyOf(packet) === recovery.key;
    const steps = travel(sphinx, route, packet);
    const nexts = [...route.slice(1), self].slice(0, route.length);
    return (
      !knownEarly &&
      Buffer.compare(firstHop, (route[0] ?? self).address) === 0 &&
      steps.every((step, i) => step.kind === 'forward' && Buffer.compare(step.nextAddress, nexts[i]!.address) === 0) &&
      packet.byteLength === packetBytes(size) &&
      gammaKeyOf(packet) === recovery.key &&
      Buffer.compare(sphinx.recover(recovery, packet)!, message) === 0
    );
  });
  t.doesNotThrow(() => fc.assert(property, options));
});

t.test('a loop comes back to its maker', async (t) => {
  const property = fc.property(seed, hops, payloadBytes, fill, (s, n, size, share) => {
    const { rng, sphinx, route } = start(s, n - 1);
    const message = rng.bytes(Math.round(share * size));
    const self = { address: rng.bytes(32) };
    const { packet, recovery } = sphinx.createLoop({ route, self, message, payloadBytes: size });
    const steps = travel(sphinx, route, packet);
    return (
      steps.every((step) => step.kind === 'forward') &&
      packet.byteLength === packetBytes(size) &&
      gammaKeyOf(packet) === recovery.key &&
      Buffer.compare(sphinx.recover(recovery, packet)!, message) === 0
    );
  });
  t.doesNotThrow(() => fc.assert(property, options));
});

/** A packet of five hops as it arrives at hop `at`. */
function arriving(at: number): { sphinx: Sphinx; route: TestNode[]; packet: Uint8Array } {
  const { rng, sphinx, route } = start(at, 5);
  const [destination, identifier, message] = [rng.bytes(32), rng.bytes(16), rng.bytes(20)];
  const packet = sphinx.createPacket({ route, destination, identifier, message, payloadBytes: 32 });
  travel(sphinx, route.slice(0, at), packet);
  return { sphinx, route, packet };
}

function flipped(packet: Uint8Array, bit: number): Uint8Array {
  return packet.with(bit >> 3, packet[bit >> 3]! ^ (1 << (bit & 7)));
}

t.test('every flipped bit of the header is refused by the hop that gets it', async (t) => {
  for (const at of [0, 2, 4]) {
    const { sphinx, route, packet } = arriving(at);
    const secret = route[at]!.secret;
    t.type(sphinx.openHeader(secret, packet), 'object', 'sound without a flip');
    const accepted = [];
    for (let bit = 0; bit < 348 * 8; bit++) {
      const reason = sphinx.openHeader(secret, flipped(packet, bit));
      if (reason !== 'mac' && reason !== 'point') accepted.push(bit);
    }
    t.same(accepted, [], `hop ${at}`);
  }
});

t.test('every flipped bit of the payload is refused at the end', async (t) => {
  for (const at of [0, 3, 4]) {
    const { sphinx, route, packet } = arriving(at);
    const accepted = [];
    for (let bit = 348 * 8; bit < packet.byteLength * 8; bit++) {
      const last = travel(sphinx, route.slice(at), flipped(packet, bit)).at(-1);
      if (last?.kind !== 'final' || unpad(last.payload) !== undefined) accepted.push(bit);
    }
    t.same(accepted, [], `from hop ${at}`);
  }
});

t.test('every flipped payload bit of a reply or loop is refused by its creator', async (t) => {
  const { rng, sphinx, route } = start(9, 4);
  const self = { address: rng.bytes(32) };
  const block = sphinx.createSurb({ route, self });
  const loop = sphinx.createLoop({ route, self, message: rng.bytes(9), payloadBytes: 32 });
  const reply = sphinx.useSurb(block.surb, rng.bytes(9), 32).packet;
  for (const [packet, recovery] of [
    [reply, block.recovery],
    [loop.packet, loop.recovery],
  ] as const) {
    const accepted = [];
    for (let bit = 348 * 8; bit < packet.byteLength * 8; bit += 3) {
      const changed = flipped(packet, bit);
      travel(sphinx, route, changed);
      if (sphinx.recover(recovery, changed) !== undefined) accepted.push(bit);
    }
    t.same(accepted, []);
  }
});

t.test('a key that is not the hop’s never opens a header', async (t) => {
  const property = fc.property(seed, hops, fc.uint8Array({ minLength: 32, maxLength: 32 }), (s, n, secret) => {
    const { rng, sphinx, route } = start(s, n);
    const message = new Uint8Array(0);
    const [destination, identifier] = [rng.bytes(32), rng.bytes(16)];
    const packet = sphinx.createPacket({ route, destination, identifier, message, payloadBytes: 32 });
    return sphinx.openHeader(secret, packet) === 'mac';
  });
  t.doesNotThrow(() => fc.assert(property, options));
});

t.test('the replay tag is the same for the same packet, and for no other hop or packet', async (t) => {
  const tags = new Set<string>();
  let opened = 0;
  const property = fc.property(seed, hops, (s, n) => {
    const { rng, sphinx, route } = start(s, n);
    const [destination, identifier] = [rng.bytes(32), rng.bytes(16)];
    const packet = sphinx.createPacket({ route, destination, identifier, message: rng.bytes(3), payloadBytes: 32 });
    return route.every((node) => {
      const first = sphinx.openHeader(node.secret, packet.slice());
      // Another payload does not make it another packet.
      const again = sphinx.openHeader(node.secret, packet.slice().fill(0, 348));
      if (typeof first === 'string' || typeof again === 'string') return false;
      opened += 1;
      tags.add(Buffer.from(first.replayTag).toString('hex'));
      unwrap(sphinx, node.secret, packet);
      return first.replayTag.byteLength === 32 && Buffer.compare(first.replayTag, again.replayTag) === 0;
    });
  });
  t.doesNotThrow(() => fc.assert(property, { ...options, seed: 2 }));
  t.ok(tags.size > opened / 2, 'fast-check repeats some seeds, so not all differ');
});

t.test('bytes from anywhere are dropped without an exception', async (t) => {
  const { sphinx, route } = start(3, 1);
  const property = fc.property(fc.uint8Array({ maxLength: 800, size: 'max' }), (bytes) =>
    ['length', 'mac', 'point'].includes(String(sphinx.openHeader(route[0]!.secret, bytes))),
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 300, seed: 1 }));
});
