import t from 'tap';
import { packetBytes } from '../../lib/core/params.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { cappedDelayMs, PacketPipeline, SphinxKeyRing } from '../../lib/mixing/index.ts';
import { Sphinx } from '../../lib/sphinx/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { epochNumber, unix } from '../support/units.ts';

const crypto = createCrypto('fastest');
const rng = seededRng(21);
const epochMs = 60_000;
const middleMs = 1000 * epochMs + epochMs / 2;
const payloadBytes = 2048;

/** A node's pipeline that notes how often payloads were worked on and headers opened. */
function testNode(t: { testdir(): string }, room = 10_000) {
  const sphinx = new Sphinx(crypto, rng);
  const work = { finished: 0, opened: 0 };
  const { finish, openHeader } = sphinx;
  sphinx.finish = (...args) => {
    work.finished += 1;
    return finish.apply(sphinx, args);
  };
  sphinx.openHeader = (...args) => {
    work.opened += 1;
    return openHeader.apply(sphinx, args);
  };
  const keys = SphinxKeyRing.open(
    { dir: t.testdir(), crypto, rng, log: silentLog, epochMs, bootId: 'boot', mostPackets: () => room },
    unix(middleMs),
  );
  return { keys, work, pipeline: new PacketPipeline({ sphinx, keys, packetBytes: packetBytes(payloadBytes) }) };
}

type Node = ReturnType<typeof testNode>;

/** A packet for the node under its key of `epoch`, with another hop behind it unless it is to end there. */
function packetFor(node: Node, epoch: number, { ends = false, version = 260 as 259 | 260, delayNs = 5e6 } = {}) {
  const publicKey = node.keys.publicKey(epochNumber(epoch), unix(middleMs)) as Uint8Array;
  const self = { address: rng.bytes(32), publicKey, delayNs };
  const behind = { address: rng.bytes(32), publicKey: crypto.x25519Base(rng.bytes(32)), delayNs: 0 };
  const packet = new Sphinx(crypto, rng).createPacket({
    route: ends ? [self] : [self, behind],
    destination: rng.bytes(32),
    identifier: rng.bytes(16),
    message: Buffer.from('message'),
    payloadBytes,
    version,
  });
  return { packet, next: behind.address };
}

t.test('a good packet goes on to its next hop with its delay', (t) => {
  const node = testNode(t);
  const { packet, next } = packetFor(node, 1000);
  const result = node.pipeline.process(packet, unix(middleMs));
  if (typeof result === 'string' || result.kind !== 'forward') return t.fail(`${result}`);
  t.same(Buffer.from(result.nextAddress), Buffer.from(next));
  t.equal(cappedDelayMs(result.delayNs, 10_000), 5);
  t.equal(cappedDelayMs(result.delayNs, 3), 3, 'cut far in the tail');
  t.end();
});

t.test('a packet that ends here is final', (t) => {
  const node = testNode(t);
  const result = node.pipeline.process(packetFor(node, 1000, { ends: true }).packet, unix(middleMs));
  t.match(result, { kind: 'final' });
  t.end();
});

t.test('each fault has its reason, and none costs work on a payload', (t) => {
  const node = testNode(t);
  const { packet } = packetFor(node, 1000);
  t.equal(node.pipeline.process(packet.subarray(1), unix(middleMs)), 'length');
  t.equal(node.pipeline.process(Buffer.concat([packet, Buffer.alloc(1)]), unix(middleMs)), 'length');
  t.equal(node.work.opened, 0, 'a wrong length costs nothing');
  const point = packet.slice();
  point.fill(0, 0, 32);
  t.equal(node.pipeline.process(point, unix(middleMs)), 'point');
  const mac = packet.slice();
  mac[200] = (mac[200] as number) ^ 4;
  t.equal(node.pipeline.process(mac, unix(middleMs)), 'mac');
  t.equal(node.pipeline.process(packetFor(node, 1000, { version: 259 }).packet, unix(middleMs)), 'version');
  t.equal(node.work.finished, 0);
  t.equal(typeof node.pipeline.process(packet.slice(), unix(middleMs)), 'object');
  t.equal(node.pipeline.process(packet.slice(), unix(middleMs)), 'replay');
  const disguised = packet.slice();
  disguised[2000] = (disguised[2000] as number) ^ 1;
  t.equal(node.pipeline.process(disguised, unix(middleMs)), 'replay', 'known by its tag, not by its bytes');
  t.equal(node.work.finished, 1);
  t.end();
});

t.test('a filter at capacity refuses new packets and still knows the old', (t) => {
  const node = testNode(t, 4);
  const packets = Array.from({ length: 5 }, () => packetFor(node, 1000).packet);
  const outcome = (packet: Uint8Array) => {
    const result = node.pipeline.process(packet.slice(), unix(middleMs));
    return typeof result === 'string' ? result : result.kind;
  };
  t.strictSame(packets.map(outcome), ['forward', 'forward', 'forward', 'forward', 'replay-full']);
  t.equal(outcome(packets[0] as Uint8Array), 'replay');
  t.end();
});

t.test('keys of neighbouring epochs count within Δ of the turn and not beyond', (t) => {
  const node = testNode(t);
  const packets = Array.from({ length: 4 }, () => packetFor(node, 1001).packet);
  const turnMs = 1001 * epochMs;
  const outcome = (packet: Uint8Array | undefined, wallMs: number) => {
    const result = node.pipeline.process((packet as Uint8Array).slice(), unix(wallMs));
    return typeof result === 'string' ? result : result.kind;
  };
  t.equal(outcome(packets[0], turnMs - epochMs / 6 - 1), 'mac');
  t.equal(outcome(packets[0], turnMs - epochMs / 6), 'forward');
  t.equal(outcome(packets[0], turnMs + 1), 'replay', 'one filter per key, on both sides of the turn');
  t.equal(outcome(packets[1], turnMs + epochMs / 2), 'forward');
  t.equal(outcome(packets[2], turnMs + epochMs + epochMs / 6 - 1), 'forward');
  t.equal(outcome(packets[3], turnMs + epochMs + epochMs / 6), 'mac');
  t.end();
});

t.test('in the middle of an epoch one key is tried, near the turn two', (t) => {
  const node = testNode(t);
  const { packet } = packetFor(node, 1002);
  node.pipeline.process(packet, unix(middleMs));
  t.equal(node.work.opened, 1);
  node.pipeline.process(packet, unix(1001 * epochMs - 1));
  t.equal(node.work.opened, 3);
  t.end();
});

t.test('without a key nothing is accepted', (t) => {
  const sphinx = new Sphinx(crypto, rng);
  const pipeline = new PacketPipeline({ sphinx, keys: { candidates: () => [] }, packetBytes: 2413 });
  t.equal(pipeline.process(new Uint8Array(2413), unix(0)), 'no-key');
  t.end();
});
