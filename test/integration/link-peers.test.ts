import { once } from 'node:events';
import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import { addressKeyOf, type IdentityHex } from '../../lib/core/bytes.ts';
import { packetBytes as packetBytesOf } from '../../lib/core/params.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { SUSPICION_MS } from '../../lib/link/frame-socket.ts';
import { frameShape } from '../../lib/link/framing.ts';
import { encodeHello } from '../../lib/link/hello.ts';
import { createIdentity, type InboundLink, LinkMetrics } from '../../lib/link/index.ts';
import { ALPN, secureOptionsOf } from '../../lib/link/tls.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import {
  NETWORK_ID,
  PACKET_BYTES,
  type Relay,
  recordingRelay,
  testListener,
  testPeerLinks,
  until,
} from '../support/link-fixtures.ts';
import { reservedPort } from '../support/ports.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const packet = (fill: number, bytes = PACKET_BYTES) => new Uint8Array(bytes).fill(fill);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Collects the last byte of each packet of node links. */
function collect(into: number[]) {
  return (link: InboundLink) => {
    if (link.kind === 'node') link.onFrame((received) => into.push(received[received.byteLength - 1] ?? -1));
  };
}

t.test('packets cross a link in order, those sent before it is up included', async (t) => {
  const got: number[] = [];
  const listener = await testListener({ onLink: collect(got) });
  const identity = await createIdentity(systemRng);
  const peers = await testPeerLinks({ identity });
  t.teardown(() => Promise.all([peers.stop(), listener.close()]));
  peers.setPeers([listener.target()]);
  const { addressKey } = listener.target();
  const outcomes = upTo(50).map((i) => peers.send(addressKey, packet(i)));
  t.strictSame(new Set(outcomes), new Set(['held']), 'none counts as sent before it is');
  await until(() => peers.status()[0]?.state === 'up');
  for (const i of upTo(50)) t.equal(peers.send(addressKey, packet(50 + i)), 'sent');
  await until(() => got.length === 100);
  t.strictSame(got, upTo(100));
  t.strictSame(peers.results, Array(100).fill('sent'), 'each is reported once');
  t.equal(listener.links[0]?.peer, identity.id);
  const [status] = peers.status();
  t.match(status?.group, /^X25519/, 'the group that both ends agreed on');
  const good = { state: 'up', queued: 0, attempts: 0, lastReason: '', version: 2 };
  t.strictSame(peers.status(), [{ id: listener.identity.id, ...good, group: status?.group }]);
});

/** What an observer may see of a link from the handshake to the close: everything in records of one size. */
function checkRecords(t: Test, relay: Relay, recordBytes: number, least: number): void {
  // Node's TLS sends two tickets (which admit nobody) as the end of the handshake; nothing turns that off.
  for (const [reader, handshakeRecords] of [
    [relay.up, 5],
    [relay.down, 9],
  ] as const) {
    const sizes = reader.records.slice(handshakeRecords).map(({ bytes }) => bytes);
    t.ok(sizes.length >= least, `${sizes.length} records`);
    t.strictSame(new Set(sizes), new Set([recordBytes + 17]), 'one size: the fragment, its type and the tag');
    const kinds = new Set(reader.records.slice(handshakeRecords).map(({ type }) => type));
    t.strictSame(kinds, new Set([23]), 'application data only');
  }
}

for (const payloadBytes of [2048, 8192, 16384, 32768]) {
  t.test(`payloads of ${payloadBytes} bytes: every record has one size, both ways`, async (t) => {
    const packetBytes = packetBytesOf(payloadBytes);
    const { recordBytes, wireBytes } = frameShape(packetBytes);
    const perFrame = wireBytes / recordBytes;
    const got: number[] = [];
    const listener = await testListener({ packetBytes, onLink: collect(got) });
    const relay = await recordingRelay(listener.port);
    const peers = await testPeerLinks({ packetBytes });
    t.teardown(() => Promise.all([peers.stop(), listener.close(), relay.close()]));
    peers.setPeers([{ ...listener.target(), port: relay.port }]);
    const { addressKey } = listener.target();
    for (const i of upTo(50)) peers.send(addressKey, packet(i, packetBytes)); // corked into few writes
    await until(() => got.length === 50);
    for (const i of upTo(20)) {
      peers.send(addressKey, packet(50 + i, packetBytes)); // one by one
      listener.links[0]?.send(packet(i, packetBytes));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => got.length === 70 && relay.down.records.length >= 9 + 21 * perFrame);
    t.strictSame(got, upTo(70));
    checkRecords(t, relay, recordBytes, 21 * perFrame);
  });
}

t.test('a node that comes back is found again', async (t) => {
  const got: number[] = [];
  const first = await testListener({ port: await reservedPort(), onLink: collect(got) });
  const peers = await testPeerLinks();
  t.teardown(() => peers.stop());
  const { addressKey } = first.target();
  peers.setPeers([first.target()]);
  await until(() => peers.status()[0]?.state === 'up');
  await first.close();
  await until(() => peers.status()[0]?.lastReason === 'ECONNREFUSED');
  const second = await testListener({ identity: first.identity, port: first.target().port, onLink: collect(got) });
  t.teardown(() => second.close());
  await until(() => peers.status()[0]?.state === 'up');
  t.equal(peers.send(addressKey, packet(7)), 'sent');
  await until(() => got.includes(7));
});

t.test('packets for a link that is down wait a moment in a bounded queue, then are dropped', async (t) => {
  const clock = new VirtualClock();
  const metrics = new LinkMetrics(new Metrics());
  const peers = await testPeerLinks({ clock, queueFrames: 3, metrics });
  t.teardown(() => peers.stop());
  const id = (await createIdentity(systemRng)).id;
  const addressKey = addressKeyOf(id);
  peers.setPeers([{ id, addressKey, host: '127.0.0.1', port: 1 }]);
  const send = () => peers.send(addressKey, packet(1));
  t.strictSame([send(), send(), send(), send()], ['held', 'held', 'held', 'link-down']);
  clock.advance(1001);
  peers.find(addressKey)?.send(packet(1));
  t.equal(peers.status()[0]?.queued, 1, 'what is stale has made room');
  t.strictSame(peers.results, Array(4).fill('link-down'), 'one did not fit, three went stale');
  peers.setPeers([]);
  t.equal(peers.results.length, 5, 'the last went with its peer');
  const { values } = await metrics.dropped.get();
  t.strictSame(values, [{ labels: { reason: 'link-down' }, value: 5 }]);
  t.strictSame((await metrics.framesOut.get()).values, [], 'nothing was sent');
});

t.test('a peer that stops reading fills the queue, and is given up when it stays so', async (t) => {
  const clock = new VirtualClock();
  const listener = await testListener();
  const relay = await recordingRelay(listener.port);
  const peers = await testPeerLinks({ clock, queueFrames: 16, stallTimeoutMs: 1000 });
  t.teardown(() => Promise.all([peers.stop(), listener.close(), relay.close()]));
  const { addressKey } = listener.target();
  peers.setPeers([{ ...listener.target(), port: relay.port }]);
  await until(() => peers.status()[0]?.state === 'up');
  relay.stopReading();
  let outcome: string = 'sent';
  await until(() => {
    for (let i = 0; i < 16 && outcome === 'sent'; i++) outcome = peers.send(addressKey, packet(1));
    return outcome !== 'sent';
  });
  t.equal(outcome, 'link-queue-full');
  t.equal(peers.status()[0]?.queued, 16);
  clock.advance(900);
  t.equal(peers.send(addressKey, packet(1)), 'link-queue-full');
  clock.advance(200);
  t.equal(peers.send(addressKey, packet(1)), 'link-queue-full', 'it may be this process that stood still');
  clock.advance(SUSPICION_MS);
  t.equal(peers.send(addressKey, packet(1)), 'held');
  t.equal(peers.status()[0]?.lastReason, 'stalled');
});

t.test('a link that closes sends what is queued, but does not wait for ever', async (t) => {
  const clock = new VirtualClock();
  const got: number[] = [];
  const listener = await testListener({ onLink: collect(got) });
  const relay = await recordingRelay(listener.port);
  const [polite, stuck] = [await testPeerLinks({ clock }), await testPeerLinks({ clock, queueFrames: 4 })];
  t.teardown(() => Promise.all([listener.close(), relay.close()]));
  polite.setPeers([listener.target()]);
  await until(() => polite.status()[0]?.state === 'up');
  for (const i of upTo(500)) polite.send(listener.target().addressKey, packet(i % 256));
  await polite.stop();
  await until(() => got.length === 500);

  const target = { ...listener.target(), port: relay.port };
  stuck.setPeers([target]);
  await until(() => stuck.status()[0]?.state === 'up');
  relay.stopReading();
  let fullPolls = 0; // in a row: full for good, not for the moment
  await until(() => {
    for (let i = 0; i < 4; i++) stuck.send(target.addressKey, packet(1));
    fullPolls = stuck.send(target.addressKey, packet(1)) === 'link-queue-full' ? fullPolls + 1 : 0;
    return fullPolls === 20;
  });
  let stopped = false;
  const stopping = stuck.stop().then(() => {
    stopped = true;
  });
  clock.advance(499);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(stopped, false);
  clock.advance(1);
  await stopping;
});

t.test('when the set of peers changes, those that stay keep their links', async (t) => {
  const [a, b, c] = await Promise.all([testListener(), testListener(), testListener()]);
  const peers = await testPeerLinks();
  t.teardown(() => Promise.all([peers.stop(), a.close(), b.close(), c.close()]));
  const allUp = () => peers.status().every(({ state }) => state === 'up');
  peers.setPeers([a.target(), b.target()]);
  await until(allUp);
  const closed: string[] = [];
  for (const listener of [a, b])
    listener.links[0]?.onClose((reason) => closed.push(`${listener === a ? 'a' : 'b'} ${reason}`));
  peers.setPeers([b.target(), c.target()]);
  await until(() => allUp() && closed.length === 1);
  t.strictSame(closed, ['a peer-closed']);
  t.equal(b.links.length, 1);
  t.equal(peers.send(a.target().addressKey, packet(1)), 'unknown-peer');
  const moved = await testListener({ identity: b.identity });
  t.teardown(() => moved.close());
  peers.setPeers([moved.target(), c.target()]);
  await until(() => moved.links.length === 1 && closed.length === 2);
  t.strictSame(closed, ['a peer-closed', 'b peer-closed'], 'a peer with a new address is dialled there');
});

t.test('a peer that dials again replaces its old link', async (t) => {
  const identity = await createIdentity(systemRng);
  const listener = await testListener();
  const [first, second] = [await testPeerLinks({ identity }), await testPeerLinks({ identity })];
  t.teardown(() => Promise.all([first.stop(), second.stop(), listener.close()]));
  first.setPeers([listener.target()]);
  await until(() => listener.links.length === 1);
  const reasons: string[] = [];
  listener.links[0]?.onClose((reason) => reasons.push(reason));
  second.setPeers([listener.target()]);
  await until(() => listener.links.length === 2 && reasons.length === 1);
  t.strictSame(reasons, ['replaced']);
});

t.test('who is no longer admitted is closed when the topology changes', async (t) => {
  const unwanted = new Set<IdentityHex>();
  const listener = await testListener({ admit: (peer) => !unwanted.has(peer) });
  const [a, b] = [await testPeerLinks(), await testPeerLinks()];
  t.teardown(() => Promise.all([a.stop(), b.stop(), listener.close()]));
  for (const peers of [a, b]) peers.setPeers([listener.target()]);
  await until(() => listener.links.length === 2);
  const closed: string[] = [];
  for (const link of listener.links) link.onClose((reason) => closed.push(`${link.peer} ${reason}`));
  const [one] = listener.links;
  unwanted.add(one?.peer as IdentityHex);
  listener.recheck();
  t.strictSame(closed, [`${one?.peer} not-admitted`]);
});

t.test('a link that ends inside a frame is an end like any other, with its reason', async (t) => {
  const identity = await createIdentity(systemRng);
  const got: number[] = [];
  const listener = await testListener({ onLink: collect(got) });
  t.teardown(() => listener.close());
  const socket = connect({
    host: '127.0.0.1',
    port: listener.port,
    ...secureOptionsOf(identity, 'any'),
    rejectUnauthorized: false,
    ALPNProtocols: [ALPN],
  });
  await once(socket, 'secureConnect');
  socket.on('error', () => {});
  socket.resume();
  const hello = Buffer.alloc(PACKET_BYTES);
  encodeHello('node', { networkId: NETWORK_ID, packetBytes: PACKET_BYTES }).copy(hello);
  socket.end(Buffer.concat([hello, packet(5), packet(6).subarray(1)]));
  const reasons: string[] = [];
  await until(() => listener.links.length === 1);
  listener.links[0]?.onClose((reason) => reasons.push(reason));
  await until(() => reasons.length === 1);
  t.strictSame(reasons, ['truncated-frame']);
  t.strictSame(got, [5]);
});

t.test('an address that is taken is named', async (t) => {
  const listener = await testListener();
  t.teardown(() => listener.close());
  await t.rejects(testListener({ port: listener.port }), {
    code: 'LISTEN',
    message: `cannot listen on 127.0.0.1:${listener.port}: the port is in use`,
  });
});
