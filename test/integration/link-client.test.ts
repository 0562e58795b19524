import t from 'tap';
import { clientFrameBytes, packetBytes as packetBytesOf } from '../../lib/core/params.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { downlinkFrame, frameShape } from '../../lib/link/framing.ts';
import {
  type ClientInboundLink,
  type ClientLinkOptions,
  createIdentity,
  type InboundLink,
  type Lane,
} from '../../lib/link/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import {
  builtLinks,
  NETWORK_ID,
  PACKET_BYTES,
  recordingRelay,
  type TestListener,
  testListener,
  until,
} from '../support/link-fixtures.ts';
import { reservedPort } from '../support/ports.ts';

const hop = (fill: number) => new Uint8Array(32).fill(fill);
const packet = (fill: number, bytes = PACKET_BYTES) => new Uint8Array(bytes).fill(fill);

interface Received {
  readonly hop: number;
  readonly first: number;
  readonly last: number;
}

/** Collects what clients send. */
function collect(into: Received[]) {
  return (link: InboundLink) => {
    if (link.kind !== 'client') return;
    link.onFrame((nextHop, received) => {
      into.push({ hop: nextHop[31] ?? -1, first: received[0] ?? -1, last: received.at(-1) ?? -1 });
    });
  };
}

async function clientOf(gateway: TestListener, options: Partial<ClientLinkOptions> = {}) {
  const { ClientLink } = await builtLinks();
  return ClientLink.open({
    identity: await createIdentity(systemRng),
    gateway: gateway.target(),
    networkId: NETWORK_ID,
    client: { trafficClass: 'standard', clocked: false },
    packetBytes: PACKET_BYTES,
    keyExchange: 'any',
    log: silentLog,
    ...options,
  });
}

/** Takes the room that there is now: the link's thread makes more at any moment. */
const fill = (lane: Lane, value: number) => {
  for (let room = lane.contentRoom(); room > 0; room--) lane.pushContent(hop(value), packet(value));
};

t.test('frames leave by the clock, content before idle, and packets come back', async (t) => {
  const got: Received[] = [];
  const gateway = await testListener({ onLink: collect(got) });
  const client = await clientOf(gateway);
  t.teardown(() => Promise.all([client.stop(), gateway.close()]));
  const lane = client.addLane({ name: 'main', ratePerSecond: 0, contentSlots: 8, idleSlots: 4 });
  t.equal(lane.contentRoom(), 8);
  t.equal(lane.pushIdle(hop(100), packet(100)), true);
  for (let i = 0; i < 8; i++) t.equal(lane.pushContent(hop(i), packet(i)), true);
  t.equal(lane.pushContent(hop(9), packet(9)), false, 'full');
  await until(() => client.state === 'up');
  lane.setRate(500);
  await until(() => got.length === 9 && lane.stats().missed > 0);
  t.strictSame(
    got.map((frame) => [frame.hop, frame.first, frame.last]),
    [0, 1, 2, 3, 4, 5, 6, 7, 100].map((value) => [value, value, value]),
  );
  t.match(lane.stats(), { set: 500, sentContent: 8, sentIdle: 1, discarded: 0 });
  t.equal(client.stats().lateness.count >= 9, true);

  const back: Uint8Array[] = [];
  client.onPacket((received) => back.push(received));
  for (let i = 0; i < 300; i++) gateway.links[0]?.send(packet(i % 256));
  await until(() => back.length === 300);
  t.strictSame(
    back.map((received) => received[PACKET_BYTES - 1]),
    Array.from({ length: 300 }, (_, i) => i % 256),
  );
  t.equal(back[0]?.byteLength, PACKET_BYTES);
  t.match(client.stats(), { received: 300, inboundDropped: 0, state: 'up', reconnects: 0 });
});

t.test('padding and frames of unknown kinds end on the link thread: main gets the packets between them', async (t) => {
  const gateway = await testListener();
  const client = await clientOf(gateway, { client: { trafficClass: 'fast', clocked: true } });
  t.teardown(() => Promise.all([client.stop(), gateway.close()]));
  const back: Uint8Array[] = [];
  client.onPacket((received) => back.push(received));
  await until(() => client.state === 'up' && gateway.links.length === 1);
  const link = gateway.links[0] as ClientInboundLink;
  t.strictSame(link.client, { trafficClass: 'fast', clocked: true });
  const ofKind9 = Buffer.alloc(PACKET_BYTES + 32);
  ofKind9[PACKET_BYTES] = 9;
  for (let i = 0; i < 50; i++) {
    link.sendPadding();
    link.send(packet(i));
    link.send(ofKind9);
  }
  await until(() => back.length === 50 && client.stats().unknownFrames === 50);
  t.match(client.stats(), { received: 50, padding: 50 });
  t.strictSame(
    back.map((received) => received[0]),
    Array.from({ length: 50 }, (_, i) => i),
  );
});

t.test(
  'pieces of a consensus come to their own handler, count as padding, and fill no place of a packet',
  async (t) => {
    const gateway = await testListener();
    const client = await clientOf(gateway);
    t.teardown(() => Promise.all([client.stop(), gateway.close()]));
    const got: string[] = [];
    client.onPacket((received) => got.push(`packet ${received[0]}`));
    client.onConsensus((piece) => got.push(`piece ${piece[0]} of ${piece.byteLength}`));
    await until(() => client.state === 'up' && gateway.links.length === 1);
    const link = gateway.links[0] as ClientInboundLink;
    link.send(packet(1));
    link.sendConsensus(downlinkFrame('consensus', PACKET_BYTES, packet(2)));
    link.send(packet(3));
    await until(() => got.length === 3);
    t.strictSame(got, ['packet 1', `piece 2 of ${PACKET_BYTES}`, 'packet 3']);
    t.match(client.stats(), { received: 2, padding: 1, unknownFrames: 0 });
  },
);

for (const payloadBytes of [2048, 16384]) {
  t.test(`payloads of ${payloadBytes} bytes: every record has one size, both ways`, async (t) => {
    const packetBytes = packetBytesOf(payloadBytes);
    const { recordBytes, wireBytes } = frameShape(clientFrameBytes(payloadBytes));
    const got: Received[] = [];
    const gateway = await testListener({ packetBytes, onLink: collect(got) });
    const relay = await recordingRelay(gateway.port);
    const client = await clientOf(gateway, { packetBytes, gateway: { ...gateway.target(), port: relay.port } });
    t.teardown(() => Promise.all([client.stop(), gateway.close(), relay.close()]));
    let back = 0;
    client.onPacket(() => (back += 1));
    const steady = client.addLane({ name: 'main', ratePerSecond: 300, contentSlots: 16, idleSlots: 16 });
    const burst = client.addLane({ name: 'burst', ratePerSecond: 0, contentSlots: 16, idleSlots: 0, immediate: true });
    // Each end is up when it has the other's hello: we may be so before the gateway is.
    await until(() => client.state === 'up' && gateway.links.length === 1);
    // Rings empty while they are filled: sixteen of each are pushed, whatever room there is then.
    for (let i = 0; i < 16; i++) {
      steady.pushContent(hop(1), packet(1, packetBytes));
      steady.pushIdle(hop(2), packet(2, packetBytes));
      burst.pushContent(hop(3), packet(3, packetBytes));
    }
    const down = gateway.links[0] as ClientInboundLink;
    for (let i = 0; i < 30; i++) down.send(packet(i, packetBytes));
    down.sendPadding();
    down.sendConsensus(downlinkFrame('consensus', packetBytes, packet(1, packetBytes)));
    await until(() => got.length === 48 && back === 30 && client.stats().padding === 2);
    t.strictSame(new Set(got.map((frame) => frame.hop)), new Set([1, 2, 3]));
    t.ok(got.every((frame) => frame.hop === frame.last));
    for (const [reader, handshakeRecords, frames] of [
      [relay.up, 5, 49],
      [relay.down, 9, 33],
    ] as const) {
      const records = reader.records.slice(handshakeRecords);
      t.equal(records.length, (frames * wireBytes) / recordBytes, 'hello and frames, nothing else');
      t.strictSame(new Set(records.map(({ type, bytes }) => `${type} ${bytes}`)), new Set([`23 ${recordBytes + 17}`]));
    }
  });
}

t.test('an immediate lane sends at once, more than any queue holds', async (t) => {
  const got: Received[] = [];
  const gateway = await testListener({ onLink: collect(got) });
  const client = await clientOf(gateway);
  t.teardown(() => Promise.all([client.stop(), gateway.close()]));
  const lane = client.addLane({ name: 'burst', ratePerSecond: 0, contentSlots: 32, idleSlots: 0, immediate: true });
  await until(() => client.state === 'up');
  let pushed = 0;
  const push = () => {
    while (pushed < 3000 && lane.pushContent(hop(1), packet(pushed % 256))) pushed += 1;
  };
  client.onRoom(push);
  push();
  await until(() => got.length === 3000);
  t.ok(
    got.every((frame, i) => frame.last === i % 256),
    'in order, none lost',
  );
  t.match(lane.stats(), { sentContent: 3000, discarded: 0 });
});

t.test('while the link is down clocks go on; what was due is gone and does not burst', async (t) => {
  const got: Received[] = [];
  const gateway = await testListener({ port: await reservedPort(), onLink: collect(got) });
  const client = await clientOf(gateway);
  t.teardown(() => client.stop());
  const states: string[] = [];
  client.onState((state, reason) => void states.push(`${state} ${reason}`));
  const lane = client.addLane({ name: 'main', ratePerSecond: 400, contentSlots: 64, idleSlots: 1 });
  const burst = client.addLane({ name: 'burst', ratePerSecond: 0, contentSlots: 4, idleSlots: 0, immediate: true });
  await until(() => client.state === 'up');
  await gateway.close();
  await until(() => client.state === 'down');
  const before = got.length;
  fill(lane, 1);
  fill(burst, 2);
  await until(() => lane.stats().discarded >= 60 && burst.stats().discarded === 4);
  t.equal(lane.stats().sentContent, before);
  const again = await testListener({ identity: gateway.identity, port: gateway.port, onLink: collect(got) });
  t.teardown(() => again.close());
  await until(() => client.state === 'up');
  await until(() => lane.contentRoom() === 64);
  fill(lane, 3);
  await until(() => got.filter((frame) => frame.hop === 3).length === 64);
  t.equal(got.filter((frame) => frame.hop === 2).length, 0);
  t.equal(client.stats().reconnects, 1);
  t.equal(states[0], 'up connected');
  t.equal(states[1], 'down peer-closed');
});

t.test('the gateway changes, and the identity, without restarting anything', async (t) => {
  const [toA, toB]: [Received[], Received[]] = [[], []];
  const [a, b] = [await testListener({ onLink: collect(toA) }), await testListener({ onLink: collect(toB) })];
  const [first, second] = [await createIdentity(systemRng), await createIdentity(systemRng)];
  const client = await clientOf(a, { identity: first });
  t.teardown(() => Promise.all([client.stop(), a.close(), b.close()]));
  const lane = client.addLane({ name: 'main', ratePerSecond: 500, contentSlots: 16, idleSlots: 0 });
  client.onRoom(() => fill(lane, 1));
  fill(lane, 1);
  await until(() => toA.length > 20);
  const { count } = client.stats().lateness;
  client.setGateway(b.target(), second);
  await until(() => toB.length > 20);
  t.strictSame([a.links[0]?.peer, b.links[0]?.peer], [first.id, second.id]);
  t.ok(client.stats().lateness.count > count, 'the clocks are the same');
  client.setGateway(a.target());
  await until(() => a.links.length === 2);
  t.equal(a.links[1]?.peer, second.id, 'the identity stays until changed');
});

t.test('an impostor of the gateway gets nothing', async (t) => {
  const got: Received[] = [];
  const impostor = await testListener({ onLink: collect(got) });
  const id = (await createIdentity(systemRng)).id;
  const client = await clientOf(impostor, { gateway: { ...impostor.target(), id } });
  t.teardown(() => Promise.all([client.stop(), impostor.close()]));
  const lane = client.addLane({ name: 'main', ratePerSecond: 1000, contentSlots: 64, idleSlots: 0 });
  const states: string[] = [];
  client.onState((state, reason) => void states.push(`${state} ${reason}`));
  fill(lane, 1);
  await until(() => states.length >= 2);
  t.strictSame(new Set(states), new Set(['down foreign-key']));
  t.strictSame(got, []);
});

t.test('hundreds of lanes come and go', async (t) => {
  const got: Received[] = [];
  const gateway = await testListener({ onLink: collect(got) });
  const client = await clientOf(gateway);
  t.teardown(() => Promise.all([client.stop(), gateway.close()]));
  await until(() => client.state === 'up');
  const lanes = Array.from({ length: 300 }, (_, i) =>
    client.addLane({ name: `session ${i}`, ratePerSecond: 5, contentSlots: 2, idleSlots: 2 }),
  );
  for (const [i, lane] of lanes.entries()) lane.pushContent(hop(i % 256), packet(i % 256));
  await until(() => got.length === 300);
  for (const lane of lanes) lane.remove();
  const [lane] = lanes;
  t.equal(lane?.pushContent(hop(1), packet(1)), false, 'a removed lane takes nothing');
  t.equal(lane?.contentRoom(), 0);
  const more = Array.from({ length: 1288 }, () =>
    client.addLane({ name: 'more', ratePerSecond: 0, contentSlots: 1, idleSlots: 0 }),
  );
  const full = () => client.addLane({ name: 'one too many', ratePerSecond: 0, contentSlots: 1, idleSlots: 0 });
  t.throws(full, { code: 'LIMIT', message: 'a link carries at most 1288 lanes' });
  more[0]?.remove();
  t.equal(full().name, 'one too many');
  t.throws(() => more[1]?.pushContent(hop(1), packet(1).subarray(1)), { code: 'INTERNAL' });
});

t.test('a main thread that is too slow loses packets beyond a bound', async (t) => {
  const packetBytes = 600;
  const gateway = await testListener({ packetBytes, limits: { queueFrames: 4096 } });
  const client = await clientOf(gateway, { packetBytes });
  t.teardown(() => Promise.all([client.stop(), gateway.close()]));
  await until(() => client.state === 'up' && gateway.links.length === 1);
  let handled = 0;
  client.onPacket(() => {
    handled += 1;
    const endMs = performance.now() + 1;
    while (client.stats().inboundDropped === 0 && performance.now() < endMs);
  });
  for (let i = 0; i < 3000; i++) gateway.links[0]?.send(packet(i % 256, packetBytes));
  await until(() => client.stats().received + client.stats().inboundDropped === 3000);
  await until(() => handled === client.stats().received);
  t.ok(client.stats().inboundDropped > 0, `${client.stats().inboundDropped} dropped`);
  t.ok(handled >= 1024, 'the ring holds 1024');
});

t.test('rates are cut to what a thread can serve, and refused when they are none', async (t) => {
  const gateway = await testListener();
  const client = await clientOf(gateway);
  t.teardown(() => Promise.all([client.stop(), gateway.close()]));
  const lane = client.addLane({ name: 'main', ratePerSecond: 1e9, contentSlots: 1, idleSlots: 0 });
  t.equal(lane.stats().set, 10_000);
  lane.setRate(Number.POSITIVE_INFINITY);
  t.equal(lane.stats().set, 10_000);
  for (const rate of [Number.NaN, -1]) t.throws(() => lane.setRate(rate), { code: 'INTERNAL' });
  lane.setRate(0);
  await until(() => client.state === 'up');
});

t.test('stopping ends the threads, at any moment', async (t) => {
  const gateway = await testListener();
  t.teardown(() => gateway.close());
  for (const moment of ['at once', 'when up'] as const) {
    const client = await clientOf(gateway);
    client.addLane({ name: 'main', ratePerSecond: 100, contentSlots: 1, idleSlots: 0 });
    if (moment === 'when up') await until(() => client.state === 'up');
    const stopped = client.stop();
    t.equal(client.stop(), stopped, 'stopping twice is stopping once');
    await stopped;
    t.equal(client.state, 'down', moment);
    client.setGateway(gateway.target());
  }
});
