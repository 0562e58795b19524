/**
 * A peer fills its packets with hundreds of small frames, each of which makes the other end work: acknowledgements that each name
 * thousands of packets, bytes of a record or for a site that come one by one, datagrams to a name with dozens of addresses; in the largest
 * packets thousands of them.
 */
import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import type { MemoryAccount } from '../../lib/core/memory-budget.ts';
import { DatagramChannel, MAX_DATAGRAM_BYTES } from '../../lib/relay/datagram-channel.ts';
import { StreamRelay } from '../../lib/relay/stream-relay.ts';
import type { AcceptedStream, SessionStream, StreamHandlers } from '../../lib/session/index.ts';
import { MAX_FRAMES_PER_PACKET } from '../../lib/transport/limits.ts';
import { RangeSet } from '../../lib/transport/recovery/ranges.ts';
import { FRAME } from '../../lib/transport/wire/frames.ts';
import { NOBODY, PacketBuilder } from '../../lib/transport/wire/packet-builder.ts';
import { decodeDownlink, decodeUplink } from '../../lib/transport/wire/payload.ts';
import { Egress } from '../../network-requester/egress/egress.ts';
import { ExitPolicy } from '../../network-requester/policy/exit-policy.ts';
import { eventually, RawClient, serve, testComponents } from '../support/front-world.ts';
import { idOf, PAYLOAD_BYTES, packet, verdict } from '../support/session-packets.ts';
import { UdpPeer } from '../support/udp.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** ACK of number 1 alone. */
const ACK_BYTES = [FRAME.ACK, 1, 0, 0];
const NO_ACCOUNT = [0, 0, 0, 0, 0];

function acks(count: number): (builder: PacketBuilder) => void {
  const bytes = Array.from({ length: count }, () => ACK_BYTES).flat();
  return (builder) => builder.bytes.set(bytes, builder.offset);
}

t.test('a packet with more than one acknowledgement ends the session', async (t) => {
  t.equal(verdict(acks(1)), 'fine');
  t.equal(verdict(acks(2)), 'protocol');
  t.equal(verdict(acks(300)), 'protocol');
});

t.test('nor is it read by a proxy, or where it only fills a slot', async (t) => {
  for (const number of [0, 7]) {
    const downlink = (count: number) =>
      Uint8Array.from([number, ...NO_ACCOUNT, ...Array.from({ length: count }, () => ACK_BYTES).flat()]);
    t.not(decodeDownlink(downlink(1)), undefined);
    t.equal(decodeDownlink(downlink(2)), undefined);
    const uplink = (count: number) => packet(idOf(1), number, acks(count), { hello: false });
    t.not(decodeUplink(uplink(1)), undefined);
    t.equal(decodeUplink(uplink(2)), undefined);
  }
});

const LARGEST_PAYLOAD_BYTES = 32_768;

t.test('a packet of more frames than there may be is not read, whatever they are', async (t) => {
  for (const frame of [
    [FRAME.PING],
    [FRAME.STOP, 0, 3],
    [FRAME.DATA, 0, 0, 1, 97],
    [FRAME.DATAGRAM, 0, 1, 97, 0, 53, 0],
  ]) {
    const uplink = (count: number) => {
      const bytes = new Uint8Array(LARGEST_PAYLOAD_BYTES);
      bytes.set([...idOf(1), 7, ...Array.from({ length: count }, () => frame).flat()]);
      return decodeUplink(bytes);
    };
    t.equal(uplink(MAX_FRAMES_PER_PACKET)?.frames.length, MAX_FRAMES_PER_PACKET);
    t.equal(uplink(MAX_FRAMES_PER_PACKET + 1), undefined, `${frame}`);
  }
});

t.test('an honest end with more to say than that puts the rest into its next packet', async (t) => {
  const received = new RangeSet();
  received.add(1, 9);
  /** A packet with an ACK and as many resets as there is room for. */
  const crowded = (Builder: typeof PacketBuilder) => {
    const bytes = new Uint8Array(LARGEST_PAYLOAD_BYTES);
    bytes.set([...idOf(1), 7]);
    const builder = new Builder(bytes, 17);
    builder.ack(received, 0, 100);
    let streams = 0;
    while (builder.reset(NOBODY, streams, 3, 1000)) streams += 1;
    t.equal(builder.dataRoom, 0);
    return { streams, read: decodeUplink(bytes) };
  };
  const { streams, read } = crowded(PacketBuilder);
  t.equal(streams, MAX_FRAMES_PER_PACKET - 1);
  t.equal(read?.frames.length, MAX_FRAMES_PER_PACKET);
  class Unbounded extends PacketBuilder {
    override get room() {
      return this.bytes.byteLength - this.offset;
    }
  }
  t.equal(crowded(Unbounded).read, undefined, 'as many as fit: rejected');
  const small = new PacketBuilder(new Uint8Array(PAYLOAD_BYTES), 17);
  let bytes = 0;
  while (small.stop(NOBODY, 1, 3)) bytes += 3;
  t.equal(bytes, 3 * Math.floor((PAYLOAD_BYTES - 17) / 3), 'in small packets room is what bounds them');
});

t.test('a record that comes byte by byte is moved a few times, not with each byte', async (t) => {
  const sizes = new Set<number>();
  const memory = { set: (bytes: number) => sizes.add(bytes) } as unknown as MemoryAccount;
  const got: Uint8Array[] = [];
  const channel = new DatagramChannel({
    clock: new VirtualClock(),
    memory,
    onDatagram: (_host, _port, bytes) => got.push(bytes),
    onMalformed: () => t.fail('malformed'),
  });
  channel.attach({ consume() {} } as unknown as SessionStream);
  const datagram = Buffer.alloc(MAX_DATAGRAM_BYTES).fill('mixed ');
  const record = Buffer.concat([Buffer.alloc(4), Buffer.from('\u0001x\u0000\u0035'), datagram]);
  record.writeUInt32BE(record.length - 4);
  for (const byte of record) channel.onData(Uint8Array.of(byte));
  t.same(got.map(Buffer.from), [datagram]);
  t.ok(sizes.size < 10, `${sizes.size} sizes`);
});

t.test('bytes that come one by one in a packet leave together', async (t) => {
  const received: Buffer[] = [];
  const server = await serve((peer) => peer.on('data', (bytes) => received.push(bytes)));
  t.teardown(() => server.close());
  const { socket } = await RawClient.connect(server.port);
  t.teardown(() => socket.destroy());
  const calls = countWrites(socket);
  const limits = { idleMs: 1000, halfClosedIdleMs: 1000 };
  const relay = new StreamRelay({ clock: new VirtualClock(), limits, onEnded() {} });
  relay.join(socket, { consume() {} } as unknown as SessionStream);
  relay.startWriting();
  const text = 'a packet of many frames'.repeat(15);
  for (const byte of Buffer.from(text)) relay.onData(Uint8Array.of(byte));
  await eventually(() => Buffer.concat(received).length === text.length);
  t.equal(Buffer.concat(received).toString(), text);
  t.equal(calls(), 1);
  relay.release();
});

/** How often something is handed to the system, from now on. */
function countWrites(socket: Socket): () => number {
  let calls = 0;
  for (const name of ['_write', '_writev'] as const) {
    const original = socket[name] as (...given: unknown[]) => void;
    Object.assign(socket, {
      [name]: (...given: unknown[]) => {
        calls += 1;
        original.apply(socket, given);
      },
    });
  }
  return () => calls;
}

/** Counts what it judges. */
class CountingPolicy extends ExitPolicy {
  judged = 0;
  override speakable(addresses: readonly string[]) {
    this.judged += addresses.length;
    return super.speakable(addresses);
  }
}

/** An association at an exit, for which every name has these addresses. */
function association(t: Test, addresses: readonly string[]) {
  const components = testComponents();
  const policy = new CountingPolicy({ clock: components.clock, allowPrivate: true });
  const resolve = () => Promise.resolve(addresses);
  const egress = new Egress({ components, allowPrivate: true, policy, resolver: { resolve, reverse: resolve } });
  t.teardown(() => egress.stop());
  const stream: Partial<AcceptedStream> = { id: 1, opened: () => {}, reset: () => {} };
  const handlers = egress.accept(stream as AcceptedStream, 'udp', '0.0.0.0', 0, 'one') as StreamHandlers;
  const send = (port: number, text: string) => handlers.onDatagram?.('crowd.example', port, Buffer.from(text));
  return { policy, send };
}

t.test('the addresses of a name are judged once, however many datagrams go there', async (t) => {
  const site = await UdpPeer.open(t);
  const others = Array.from({ length: 31 }, (_, i) => `2001:db8::${i + 1}`);
  const { policy, send } = association(t, [...others, '127.0.0.1']);
  const datagrams = 50;
  for (let i = 0; i < datagrams; i++) send(site.port, `${i}`);
  await eventually(() => site.received.length === datagrams);
  t.equal(policy.judged, 32 + datagrams);
});

t.test('neither do addresses that are refused cost more', async (t) => {
  const { policy, send } = association(
    t,
    Array.from({ length: 32 }, () => '0.0.0.1'),
  );
  for (let i = 0; i < 50; i++) send(1000 + i, 'x');
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(policy.judged, 64);
});
