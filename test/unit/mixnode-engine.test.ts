import t from 'tap';
import { type AddressKey, addressKeyAt } from '../../lib/bytes.ts';
import { Metrics } from '../../lib/metrics.ts';
import { DelayQueue } from '../../lib/mixing/index.ts';
import { FaultInjector, NodeMetrics, PacketEngine, type PooledPacket, parseFault } from '../../lib/node/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** A packet whose first byte is its name, second its delay in ms, and the rest its next hop. */
function packet(name: number, delayMs: number, next = 7): Uint8Array {
  return Uint8Array.of(name, delayMs, ...new Uint8Array(32).fill(next));
}

function testEngine({ poolPackets = 100, maxDelayMs = 10_000, fault = '' } = {}) {
  const clock = new VirtualClock();
  const sent: { name: number; atMs: number; flushes: number }[] = [];
  const state = { flushes: 0, diskWorks: true };
  const metrics = new NodeMetrics(new Metrics());
  const drops: string[] = [];
  metrics.drop = (reason) => drops.push(reason);
  const pool = new DelayQueue<PooledPacket>(poolPackets);
  const refused = addressKeyAt(new Uint8Array(32).fill(9), 0);
  const engine = new PacketEngine({
    clock,
    pool,
    metrics,
    loops: { receive: (bytes) => (bytes[0] === 99 ? 'returned' : bytes[0] === 98 ? 'altered' : undefined) },
    pipeline: {
      process: (bytes) => {
        if (bytes.byteLength < 34) return 'length';
        return { kind: 'forward', packet: bytes, delayNs: (bytes[1] as number) * 1e6, nextAddress: bytes.subarray(2) };
      },
    },
    flushTags: () => {
      state.flushes += 1;
      return state.diskWorks;
    },
    ...(fault === '' ? {} : { faults: new FaultInjector(parseFault(fault), seededRng(1), new Metrics()) }),
    maxDelayMs: () => maxDelayMs,
    role: {
      refuses: (next: AddressKey) => (next === refused ? 'next-hop' : undefined),
      forward: (_next, bytes) => {
        sent.push({ name: bytes[0] as number, atMs: clock.nowMs(), flushes: state.flushes });
        return undefined;
      },
      ends: () => 'not-an-endpoint',
    },
  });
  return { clock, engine, sent, drops, state, pool, names: () => sent.map((one) => one.name) };
}

t.test('packets leave when their own delay is over, not in order of arrival', (t) => {
  const { clock, engine, sent, names } = testEngine();
  engine.receive(packet(1, 50));
  engine.receive(packet(2, 10));
  engine.receive(packet(3, 30));
  clock.advance(9);
  t.strictSame(names(), []);
  clock.advance(100);
  t.strictSame(names(), [2, 3, 1]);
  for (const [i, dueMs] of [10, 30, 50].entries()) t.ok(Math.abs((sent[i]?.atMs ?? 0) - dueMs) <= 0.5, `due ${dueMs}`);
  t.end();
});

t.test('packets without a delay leave together at the end of the turn, behind one write of their tags', async (t) => {
  const { engine, sent } = testEngine();
  for (const name of [1, 2, 3]) engine.receive(packet(name, 0));
  t.equal(sent.length, 0);
  await Promise.resolve();
  t.strictSame(
    sent.map(({ name, flushes }) => [name, flushes]),
    [
      [1, 1],
      [2, 1],
      [3, 1],
    ],
  );
});

t.test('what is due while the disk refuses tags is dropped; the rest goes on when it works again', (t) => {
  const { clock, engine, drops, state, names } = testEngine();
  engine.receive(packet(1, 10));
  engine.receive(packet(2, 20));
  state.diskWorks = false;
  clock.advance(15);
  t.strictSame(drops, ['journal']);
  state.diskWorks = true;
  clock.advance(15);
  t.strictSame(names(), [2]);
  t.end();
});

t.test('a full pool drops what comes, whatever it is', (t) => {
  const { clock, engine, drops, names } = testEngine({ poolPackets: 2 });
  for (const name of [1, 2, 3, 4]) engine.receive(packet(name, 10));
  t.strictSame(drops, ['queue-full', 'queue-full']);
  clock.advance(11);
  engine.receive(packet(5, 10));
  clock.advance(11);
  t.strictSame(names(), [1, 2, 5]);
  t.end();
});

t.test('a delay far in the tail is cut', (t) => {
  const { clock, engine, names } = testEngine({ maxDelayMs: 40 });
  engine.receive(packet(1, 255));
  clock.advance(41);
  t.strictSame(names(), [1]);
  t.end();
});

t.test('drops have the reason of who dropped; own loops never reach the pool', (t) => {
  const { engine, drops, pool } = testEngine();
  engine.receive(new Uint8Array(3));
  engine.receive(packet(1, 0, 9));
  engine.receive(packet(98, 0));
  engine.receive(packet(99, 0));
  t.strictSame(drops, ['length', 'next-hop', 'loop-altered']);
  t.equal(pool.size, 0);
  t.end();
});

t.test('a stopped engine sends nothing and keeps no timer', async (t) => {
  const { clock, engine, sent } = testEngine();
  engine.receive(packet(1, 10));
  engine.receive(packet(2, 0));
  engine.stop();
  engine.receive(packet(3, 0));
  await Promise.resolve();
  clock.advance(100);
  t.strictSame(sent, []);
  t.equal(clock.pending, 0);
});

t.test('one timer is armed however many packets wait', (t) => {
  const { clock, engine } = testEngine();
  for (let delayMs = 90; delayMs > 10; delayMs--) engine.receive(packet(1, delayMs));
  t.equal(clock.pending, 1);
  t.end();
});

t.test('faults strike what leaves, whether it was in the pool or not, once', (t) => {
  const twice = testEngine({ fault: 'duplicate=1,delay-ms=30' });
  twice.engine.receive(packet(1, 10));
  twice.engine.leave(addressKeyAt(new Uint8Array(32).fill(7), 0), packet(2, 0));
  twice.clock.advance(29);
  t.strictSame(twice.names(), [], 'all wait out the delay of the fault');
  twice.clock.advance(15);
  t.strictSame(twice.names(), [2, 2, 1, 1]);
  for (const [i, dueMs] of [30, 30, 40, 40].entries()) {
    t.ok(Math.abs((twice.sent[i]?.atMs ?? 0) - dueMs) <= 1, `due ${dueMs}`);
  }
  twice.clock.advance(1000);
  t.equal(twice.sent.length, 4);

  const gone = testEngine({ fault: 'drop=1' });
  gone.engine.receive(packet(1, 10));
  t.equal(gone.engine.leave(addressKeyAt(new Uint8Array(32).fill(7), 0), packet(2, 0)), undefined);
  gone.clock.advance(100);
  t.strictSame(gone.names(), []);
  t.strictSame(gone.drops, [], 'counted as faults, not as drops');
  t.end();
});

t.test('a pool that is full of delayed packets refuses more', (t) => {
  const { engine } = testEngine({ poolPackets: 2, fault: 'delay-ms=1000' });
  const send = () => engine.leave(addressKeyAt(new Uint8Array(32).fill(7), 0), packet(1, 0));
  t.strictSame([send(), send(), send()], [undefined, undefined, 'queue-full']);
  t.end();
});
