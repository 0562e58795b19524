/**
 * Datagrams of streams of kind udp on the simulated mixnet: whole, unrepeated, in time, and never at the cost of the
 * streams beside them.
 */

import t from 'tap';
import type { AcceptedStream, AcceptHandler, SessionStream } from '../../lib/session/index.ts';
import { DEFAULT_SESSION_LIMITS } from '../../lib/transport/limits.ts';
import { LossClock } from '../../lib/transport/recovery/loss-clock.ts';
import { DatagramQueue, maxDatagramBytes } from '../../lib/transport/streams/datagrams.ts';
import { SessionFlow } from '../../lib/transport/streams/session-flow.ts';
import { PacketBuilder } from '../../lib/transport/wire/packet-builder.ts';
import { clientEnd, hostOf, server } from '../support/sim/apps.ts';
import { SessionSim, type SimOptions } from '../support/sim/session-sim.ts';
import { monotonic } from '../support/units.ts';

interface Got {
  readonly host: string;
  readonly port: number;
  readonly bytes: Buffer;
  readonly atMs: number;
}

const HOST = '255.255.255.255';
/** UDP over IPv4 in an Ethernet frame. */
const LARGEST_USUAL_BYTES = 1472;

/** A session with one association, whose far end echoes, and bulk streams on demand. */
function world(options: Omit<SimOptions, 'accept' | 'seed'> = {}) {
  const bulk = server(() => sim.events);
  const far: { stream?: AcceptedStream; got: Got[] } = { got: [] };
  const accept: AcceptHandler = (stream, kind, host, port, session) => {
    if (kind !== 'udp') return bulk.accept(stream, kind, host, port, session);
    far.stream = stream;
    stream.opened({ host: '0.0.0.0', port: 0 }, monotonic(sim.nowMs));
    return {
      onData: () => {},
      onFin: () => {},
      onReset: () => {},
      onDrain: () => {},
      onDatagram: (toHost, toPort, bytes) => {
        far.got.push({ host: toHost, port: toPort, bytes: Buffer.from(bytes), atMs: sim.nowMs });
        stream.sendDatagram(toHost, toPort, bytes, monotonic(sim.nowMs));
      },
    };
  };
  const sim: SessionSim = new SessionSim({ seed: 1, ...options, accept });
  const near: { opened: boolean; got: Got[] } = { opened: false, got: [] };
  const stream: SessionStream = sim.proxy.open(
    { kind: 'udp', host: '0.0.0.0', port: 0 },
    {
      onOpened: () => {
        near.opened = true;
      },
      onRefused: () => {},
      onData: () => {},
      onFin: () => {},
      onReset: () => {},
      onDrain: () => {},
      onDatagram: (host, port, bytes) => near.got.push({ host, port, bytes: Buffer.from(bytes), atMs: sim.nowMs }),
    },
    monotonic(sim.nowMs),
  );
  const send = (bytes: Uint8Array, port = 53) => stream.sendDatagram(HOST, port, bytes, monotonic(sim.nowMs));
  const open = () => sim.until(() => near.opened, 10_000);
  let seed = 0;
  const download = (bytes: number) => {
    seed += 10;
    const plan = { up: 0, down: bytes, seed };
    const end = clientEnd(sim.events, plan, 0);
    end.stream = sim.proxy.open({ kind: 'tcp', host: hostOf(plan), port: 443 }, end, monotonic(sim.nowMs));
    end.pump();
    return end;
  };
  return { sim, near, far, stream, send, open, download };
}

t.test('as many tiny datagrams as can wait go there and back in the largest packets', async (t) => {
  const { sim, near, far, send, open } = world({ payloadBytes: 32_768 });
  open();
  const count = 990; // nearly all fit one packet, and all that it may have in frames
  for (let i = 0; i < count; i++) send(Buffer.from([i >> 8, i & 0xff]));
  sim.run(10_000);
  t.equal(far.got.length, count);
  t.equal(near.got.length, count);
  t.equal(sim.closedReason, undefined);
});

for (const downlink of ['steady', 'burst'] as const) {
  t.test(`datagrams of any size that fits go there and back, ${downlink}`, async (t) => {
    const { sim, near, far, send, open } = world({ downlink });
    open();
    const sizes = [0, 1, 100, 512, 1200, LARGEST_USUAL_BYTES];
    for (const size of sizes) t.ok(send(Buffer.alloc(size, size), size), `${size} bytes`);
    sim.until(() => near.got.length === sizes.length, 10_000);
    for (const { host, port, bytes } of [...far.got, ...near.got]) {
      t.same([host, bytes.byteLength], [HOST, port]);
      t.ok(bytes.every((byte) => byte === (port & 0xff)));
    }
    t.same([near.got.length, far.got.length], [sizes.length, sizes.length]);
    t.equal(sim.closedReason, undefined);
  });
}

t.test('one that is too large is not taken, and nothing is sent', async (t) => {
  const { sim, far, send, open } = world();
  open();
  const largest = maxDatagramBytes(2048, HOST.length);
  t.ok(largest >= LARGEST_USUAL_BYTES, `${largest}`);
  t.equal(send(Buffer.alloc(largest)), true);
  t.equal(send(Buffer.alloc(largest + 1)), false);
  sim.run(3000);
  t.equal(far.got.length, 1);
});

t.test('lost packets take their datagrams along: nothing comes twice, nothing waits for what is lost', async (t) => {
  const { sim, near, far, send, open } = world({ lossUp: 0.0345, lossDown: 0.0345 }); // per mix
  open();
  const COUNT = 400;
  const sentMs = new Map<number, number>();
  for (let i = 0; i < COUNT; i++) {
    sentMs.set(i, sim.nowMs);
    send(Buffer.alloc(1000), i);
    sim.run(60);
  }
  sim.run(5000);
  for (const [got, share] of [
    [far.got, 0.9],
    [near.got, 0.81],
  ] as const) {
    t.equal(new Set(got.map(({ port }) => port)).size, got.length, 'none twice');
    t.ok(Math.abs(got.length / COUNT - share) < 0.06, `${got.length} of ${COUNT}`);
  }
  const times = far.got.map(({ port, atMs }) => atMs - (sentMs.get(port) ?? 0)).sort((a, b) => a - b);
  const p99 = times[Math.floor(times.length * 0.99)] ?? Number.NaN;
  t.ok(p99 < 350, `one way in ${p99.toFixed(0)} ms at most, mostly`);
  t.equal(sim.proxy.stats().bytesRetransmitted, 0);
});

t.test('datagrams come out of order as packets do', async (t) => {
  const { sim, far, send, open } = world({ meanDelayMs: 60, mainRate: 200 });
  open();
  for (let i = 0; i < 50; i++) send(Buffer.alloc(1200), i);
  sim.until(() => far.got.length === 50, 10_000);
  const ports = far.got.map(({ port }) => port);
  t.notSame(
    ports,
    [...ports].sort((a, b) => a - b),
  );
});

t.test('too many at once: the oldest are lost, and memory stays bounded', async (t) => {
  const { sim, far, send, open } = world();
  open();
  for (let i = 0; i < 1000; i++) send(Buffer.alloc(1200), i);
  t.ok(sim.proxy.stats().bytesQueued <= 64 * 1024);
  t.ok(sim.proxy.stats().datagramsDropped > 900);
  sim.run(20_000);
  const last = far.got.map(({ port }) => port).sort((a, b) => a - b);
  t.equal(last.length, 1000 - sim.proxy.stats().datagramsDropped);
  t.same(
    last.slice(-20),
    Array.from({ length: 20 }, (_, i) => 980 + i),
    'the latest are there',
  );
  t.equal(sim.proxy.stats().bytesQueued, 0);
});

for (const downlink of ['steady', 'burst'] as const) {
  t.test(`datagrams and a download beside them both get their share, ${downlink}`, async (t) => {
    const { sim, far, near, send, open, download } = world({ downlink });
    open();
    const alone = download(500_000);
    const aloneMs = sim.until(() => alone.over, 60_000);
    const end = download(500_000);
    let sent = 0;
    // The far end sends two for each of ours.
    const stop = sim.nowMs + 60_000;
    let ms = 0;
    for (; !end.over && sim.nowMs < stop; ms += 20) {
      send(Buffer.alloc(1200), sent++);
      far.stream?.sendDatagram(HOST, 9, Buffer.alloc(1200), monotonic(sim.nowMs));
      sim.run(20);
    }
    t.ok(ms < 5 * aloneMs, `${ms} ms beside datagrams, ${aloneMs.toFixed(0)} ms alone`);
    const share = near.got.length / (2 * sent);
    t.ok(share > 0.4, `${(100 * share).toFixed(0)} % of the datagrams came`);
    t.equal(sim.closedReason, undefined);
  });
}

t.test('full-sized ones get through beside an upload and its reply blocks', async (t) => {
  const { sim, far, send, open, stream } = world();
  open();
  stream.write(Buffer.alloc(100_000), monotonic(sim.nowMs));
  for (let i = 0; i < 20; i++) send(Buffer.alloc(LARGEST_USUAL_BYTES), i);
  const ms = sim.until(() => far.got.length === 20, 10_000);
  t.ok(ms < 3000, `${ms.toFixed(0)} ms`);
});

t.test('datagrams before the stream is open and after its end are lost', async (t) => {
  const { sim, near, far, stream, send, open } = world();
  t.equal(send(Buffer.alloc(10)), true);
  open();
  sim.run(1000);
  t.equal(far.got.length, 0);
  for (let i = 0; i < 5; i++) send(Buffer.alloc(1200), i);
  stream.reset('RESET', monotonic(sim.nowMs));
  t.equal(sim.proxy.stats().bytesQueued, 0, 'what waited is given up');
  send(Buffer.alloc(10));
  far.stream?.sendDatagram(HOST, 1, Buffer.alloc(10), monotonic(sim.nowMs));
  sim.run(3000);
  t.equal(near.got.length, 0);
  t.ok(far.got.length <= 5);
  t.equal(sim.closedReason, undefined, 'a datagram for a stream that is over breaks no rule');
  t.equal(sim.proxy.stats().streamsOpen, 0);
});

t.test('the queue keeps copies, at least one, and tells what it holds', async (t) => {
  const clock = new LossClock({ delay: { meanDelayMs: 15, mixHops: 3 }, slotGapMs: 20, ackDelayMs: 50 });
  const flow = new SessionFlow(DEFAULT_SESSION_LIMITS, clock);
  const queue = new DatagramQueue(flow, 100);
  const bytes = Buffer.from('before');
  queue.push(Buffer.from('h'), 1, bytes);
  bytes.write('after!');
  const out = new Uint8Array(100);
  const written = queue.writeTo(new PacketBuilder(out, 0), { frameAcked() {}, frameLost() {} }, 0);
  t.equal(written, 6);
  t.match(Buffer.from(out).toString('latin1'), 'before');
  queue.push(Buffer.from('h'), 1, bytes);
  t.equal(queue.push(Buffer.from('h'), 1, Buffer.alloc(1000)), 1, 'the older one was dropped');
  t.equal(queue.empty, false);
  t.equal(queue.writeTo(new PacketBuilder(out, 0), { frameAcked() {}, frameLost() {} }, 0), undefined, 'no room');
  t.equal(flow.queuedBytes, queue.bytes);
  queue.clear();
  t.same([queue.empty, queue.bytes, flow.queuedBytes], [true, 0, 0]);
});
