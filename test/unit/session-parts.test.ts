/** The smaller machines of the transport, one by one. */

import t from 'tap';
import { erlangQuantile } from '../../lib/core/delay-law.ts';
import { exponential } from '../../lib/core/rng.ts';
import { AckTracker } from '../../lib/transport/recovery/acks.ts';
import { LossClock } from '../../lib/transport/recovery/loss-clock.ts';
import { LossDetection } from '../../lib/transport/recovery/loss-detection.ts';
import { Pacer } from '../../lib/transport/recovery/pacer.ts';
import { SentPackets } from '../../lib/transport/recovery/sent-packets.ts';
import { ReceiveWindow } from '../../lib/transport/streams/receive-window.ts';
import { SurbStock } from '../../lib/transport/surbs/surb-stock.ts';
import { SurbSupply } from '../../lib/transport/surbs/surb-supply.ts';
import { decodeFrames, FRAME } from '../../lib/transport/wire/frames.ts';
import { PacketBuilder } from '../../lib/transport/wire/packet-builder.ts';
import { errorCode, errorNumber } from '../../lib/transport/wire/reasons.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { soundPath } from '../support/sim/own-loops.ts';
import { monotonic } from '../support/units.ts';

t.test('quantiles of the delay law', async (t) => {
  t.ok(Math.abs(erlangQuantile(1, 0.999) - Math.log(1000)) < 1e-6, 'one exponential');
  // chi-squared with 12 degrees of freedom, halved: 32.909 / 2
  t.ok(Math.abs(erlangQuantile(6, 0.999) - 16.4547) < 1e-3, 'six');
  t.equal(erlangQuantile(0, 0.999), 0);
});

t.test('the loss threshold gives up few packets that still come', async (t) => {
  for (const meanDelayMs of [5, 15, 100]) {
    const rng = seededRng(meanDelayMs);
    const clock = new LossClock({ delay: { meanDelayMs, mixHops: 3 }, slotGapMs: 20, ackDelayMs: 50 });
    let late = 0;
    for (let i = 0; i < 20_000; i++) {
      let rttMs = 40 + exponential(rng, 20) + exponential(rng, 10) + 50 * rng.uniform();
      for (let hop = 0; hop < 6; hop++) rttMs += exponential(rng, meanDelayMs);
      if (i > 100 && rttMs > clock.thresholdMs) late++;
      clock.sample(rttMs);
    }
    t.ok(late < 20, `${late} of 20000 at ${meanDelayMs} ms`);
    t.ok(clock.thresholdMs < 6 * meanDelayMs * 6 + 500, `threshold ${clock.thresholdMs}`);
  }
});

t.test('knowing its delays makes a packet lost sooner or later', async (t) => {
  const clock = new LossClock({ delay: { meanDelayMs: 15, mixHops: 3 }, slotGapMs: 20, ackDelayMs: 50 });
  for (let i = 0; i < 100; i++) clock.sample(150);
  t.ok(clock.thresholdAtDelayMs(20) < clock.thresholdMs);
  t.ok(clock.thresholdAtDelayMs(200) > clock.thresholdMs);
  t.ok(clock.leastThresholdMs <= clock.thresholdAtDelayMs(0));
});

t.test('an ACK is due after the delay, or at once after ten packets, a FIN, or a packet given up', async (t) => {
  const acks = new AckTracker(50);
  t.equal(acks.dueMs, Number.POSITIVE_INFINITY);
  acks.onReceived(5, false, false, 500, monotonic(0));
  t.equal(acks.dueMs, Number.POSITIVE_INFINITY, 'not for a packet that asks for none');
  acks.onReceived(6, true, false, 500, monotonic(100));
  acks.onReceived(7, true, false, 500, monotonic(120));
  t.equal(acks.dueMs, 150, 'fifty milliseconds after the first');
  for (let n = 8; n < 16; n++) acks.onReceived(n, true, false, 500, monotonic(121));
  t.equal(acks.dueMs, Number.NEGATIVE_INFINITY, 'at once after ten');
  acks.writeTo(new PacketBuilder(new Uint8Array(200), 0), 100, monotonic(122));
  t.equal(acks.dueMs, Number.POSITIVE_INFINITY);
  acks.onReceived(16, true, true, 500, monotonic(130));
  t.equal(acks.dueMs, Number.NEGATIVE_INFINITY, 'at once on FIN');
  acks.writeTo(new PacketBuilder(new Uint8Array(200), 0), 100, monotonic(131));
  acks.onReceived(30, true, false, 500, monotonic(700));
  acks.onReceived(31, true, false, 500, monotonic(1300));
  acks.writeTo(new PacketBuilder(new Uint8Array(200), 0), 100, monotonic(1301));
  acks.onReceived(17, true, false, 500, monotonic(1900));
  t.equal(acks.dueMs, Number.NEGATIVE_INFINITY, 'at once for one that was surely given up');
});

t.test('duplicates, also of numbers that were forgotten', async (t) => {
  const acks = new AckTracker(50);
  for (let n = 0; n < 5000; n += 2) acks.onReceived(n, true, false, 500, monotonic(n));
  t.equal(acks.isDuplicate(4998), true);
  t.equal(acks.isDuplicate(4999), false);
  t.equal(acks.isDuplicate(1), true, 'too old to tell');
});

t.test('an ACK names what came lately, and one in eight all it can', async (t) => {
  const acks = new AckTracker(50);
  for (let n = 0; n < 200; n += 2) acks.onReceived(n, true, false, 500, monotonic(10 * n));
  const written = Array.from({ length: 8 }, () => {
    const builder = new PacketBuilder(new Uint8Array(400), 0);
    acks.onReceived(200, true, false, 500, monotonic(2000));
    acks.writeTo(builder, 400, monotonic(2000));
    return ackedRanges(builder.bytes);
  });
  t.ok(
    written.slice(0, 7).every((ranges) => ranges > 24 && ranges < 52),
    'one to two thresholds of 25 ranges each',
  );
  t.equal(written[7], 101);
  const repeated = new PacketBuilder(new Uint8Array(400), 0);
  acks.repeatTo(repeated, 400);
  t.equal(ackedRanges(repeated.bytes), 101, 'where room is free, all');
});

t.test('a dummy may repeat an ACK but settles nothing', async (t) => {
  const acks = new AckTracker(50);
  acks.onReceived(1, true, false, 500, monotonic(0));
  const builder = new PacketBuilder(new Uint8Array(200), 0);
  t.equal(acks.repeatTo(builder, 100), true);
  t.equal(acks.dueMs, 50);
});

function ackedRanges(packet: Uint8Array): number {
  const [ack] = decodeFrames(packet, 0) ?? [];
  return ack?.type === FRAME.ACK ? ack.ranges.length / 2 : 0;
}

function blocks(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => new Uint8Array(372).fill(i));
}

t.test('the stock keeps its account', async (t) => {
  const stock = new SurbStock(20);
  const balance = () => {
    const { received, used, expired, evicted, held } = stock.stats();
    t.equal(received, used + expired + evicted + held);
  };
  const first = blocks(5);
  stock.add(0, 1000, first, monotonic(0));
  t.equal(stock.take(monotonic(0))?.[0], 0, 'oldest first');
  balance();
  stock.add(0, 1000, blocks(5), monotonic(500));
  t.equal(stock.held(monotonic(999)), 9);
  t.equal(stock.held(monotonic(1000)), 5, 'the first batch expired');
  t.equal(stock.stats().expired, 4);
  balance();
  for (let i = 0; i < 5; i++) stock.add(0, 10_000, blocks(5), monotonic(600));
  t.equal(stock.stats().held, 20, 'bounded');
  t.equal(stock.stats().evicted, 10);
  balance();
  stock.add(2, 10_000, blocks(3), monotonic(700));
  t.equal(stock.held(monotonic(700)), 3, 'a newer generation makes the older worthless');
  stock.add(1, 10_000, blocks(3), monotonic(700));
  t.equal(stock.held(monotonic(700)), 3, 'an older one comes too late');
  balance();
  for (let i = 0; i < 3; i++) t.ok(stock.take(monotonic(700)));
  t.equal(stock.take(monotonic(700)), undefined);
  balance();
});

t.test('blocks are kept without the packets that brought them, and for an hour at most', async (t) => {
  const packet = new Uint8Array(33_000);
  const stock = new SurbStock(20);
  stock.add(0, Number.MAX_SAFE_INTEGER, [packet.subarray(100, 472), packet.subarray(472, 844)], monotonic(0));
  const kept = stock.take(monotonic(0));
  t.equal(kept?.byteLength, 372);
  t.equal(kept?.buffer.byteLength, 744);
  t.equal(stock.held(monotonic(3_599_999)), 1);
  t.equal(stock.held(monotonic(3_600_000)), 0, 'whatever life the proxy names');
});

t.test('blocks that are not worth a reply are dropped when their turn comes, and accounted for', async (t) => {
  const given = blocks(5);
  const stock = new SurbStock(20, (block) => block[0] === 1 || block[0] === 3);
  stock.add(0, 1000, given, monotonic(0));
  t.equal(stock.take(monotonic(0))?.[0], 1);
  t.equal(stock.take(monotonic(0))?.[0], 3);
  t.equal(stock.take(monotonic(0)), undefined, 'the last is none either');
  t.match(stock.stats(), { received: 5, used: 2, expired: 3, held: 0 });
});

function supplyOf(downlink: 'steady' | 'burst'): SurbSupply {
  const supply = new SurbSupply(
    {
      downlink,
      payloadBytes: 2048,
      blocksPerPacket: 5,
      mainRatePerSecond: 50,
      replyRatePerSecond: 100,
      surbLifeMs: 60_000,
      ownPath: () => soundPath,
    },
    monotonic(0),
  );
  supply.aim(600, monotonic(0));
  return supply;
}

const view = { arriveShare: 1, roundMs: 600, streamsOpen: true, uploading: false, outstanding: 0 };

t.test('supply fills up to its target and stops', async (t) => {
  const supply = supplyOf('steady');
  let packets = 0;
  while (supply.wanted(view, monotonic(0)).worthPacket) {
    supply.onCreated(5, monotonic(0));
    packets++;
  }
  t.equal(packets, Math.ceil((supply.target - 10) / 5), 'to the target, short of what is worth a packet');
  t.ok(supply.target >= 160, 'rate times round trip and margin');
});

t.test('supply steers by absolute figures, whatever order they come in', async (t) => {
  const supply = supplyOf('steady');
  supply.onCreated(400, monotonic(0));
  supply.onSettled(400);
  const account = { expired: 0, evicted: 0, demandBytes: 0 };
  supply.onAccount({ ...account, received: 350, used: 200 }, monotonic(10));
  supply.onAccount({ ...account, received: 300, used: 100 }, monotonic(20));
  t.equal(supply.position(1, 600, true, monotonic(20)), 150);
  t.equal(supply.lies({ ...account, received: 401, used: 0 }), true);
  t.equal(supply.lies({ ...account, received: 10, used: 11 }), true);
});

t.test('supply does not trust silence, and does not flood', async (t) => {
  const supply = supplyOf('steady');
  supply.onCreated(170, monotonic(0));
  supply.onSettled(170);
  supply.onAccount({ received: 170, used: 0, expired: 0, evicted: 0, demandBytes: 0 }, monotonic(100));
  t.equal(supply.wanted(view, monotonic(100)).worthPacket, false, 'full');
  let made = 0;
  for (let nowMs = 100; nowMs < 30_100; nowMs += 20) {
    supply.aim(600, monotonic(nowMs));
    const wanted = supply.wanted(view, monotonic(nowMs));
    if (!wanted.worthPacket) continue;
    supply.onCreated(5, monotonic(nowMs));
    supply.onSettled(5); // never acknowledged
    made += 5;
  }
  t.ok(made > 100, `${made} in 30 s: a requester that is back finds blocks to answer with`);
  t.ok(made < 600, `${made} in 30 s: what lacks, a target, a hundred in the first five seconds, then two a second`);
});

t.test('blocks that must have expired do not count', async (t) => {
  const supply = supplyOf('burst');
  supply.onCreated(64, monotonic(0));
  supply.onSettled(64);
  supply.onAccount({ received: 64, used: 0, expired: 0, evicted: 0, demandBytes: 0 }, monotonic(100));
  t.equal(supply.wanted({ ...view, streamsOpen: false }, monotonic(10_000)).worthPacket, false);
  t.equal(supply.position(1, 600, false, monotonic(58_000)), 0);
  supply.aim(600, monotonic(58_000));
  t.equal(supply.wanted({ ...view, streamsOpen: false }, monotonic(58_000)).worthPacket, true);
});

t.test('burst: demand raises the target', async (t) => {
  const supply = supplyOf('burst');
  t.equal(supply.target, 64);
  supply.onCreated(64, monotonic(0));
  supply.onAccount({ received: 64, used: 20, expired: 0, evicted: 0, demandBytes: 5000 }, monotonic(100));
  supply.aim(600, monotonic(100));
  t.ok(supply.target > 300);
  supply.aim(600, monotonic(10_000));
  t.equal(supply.target, 64);
});

/** A session with memory for any window. */
const UNBOUNDED = Number.POSITIVE_INFINITY;

t.test('a window grows while it is what holds the sender back', async (t) => {
  const window = new ReceiveWindow(1000, 8000, monotonic(0));
  t.equal(window.consume(400, 100, monotonic(10), UNBOUNDED), false, 'less than half gone');
  t.equal(window.consume(200, 100, monotonic(20), UNBOUNDED), true);
  t.equal(window.windowBytes, 2000, 'fast: doubled');
  t.equal(window.limit, 2600);
  t.equal(window.consume(1500, 100, monotonic(10_000), UNBOUNDED), true);
  t.equal(window.windowBytes, 2000, 'slow: not');
  t.equal(window.limit, 4100);
  for (let i = 0; i < 10; i++) window.consume(4000, 100, monotonic(20_000 + i), UNBOUNDED);
  t.equal(window.windowBytes, 8000, 'bounded');
});

t.test('a window grows when holes keep the sender from going on', async (t) => {
  const window = new ReceiveWindow(1000, 8000, monotonic(0));
  t.equal(window.onReached(700, UNBOUNDED), false, 'still credit');
  t.equal(window.onReached(800, UNBOUNDED), true);
  t.equal(window.limit, 2000);
  t.equal(window.onReached(1900, UNBOUNDED), true);
  t.equal(window.onReached(3900, UNBOUNDED), true);
  t.equal(window.onReached(7900, UNBOUNDED), false, 'bounded');
  t.equal(window.limit, 8000);
});

t.test('a wider window gives credit at once', async (t) => {
  const window = new ReceiveWindow(1000, 1_000_000, monotonic(0));
  t.equal(window.widen(100_000, UNBOUNDED), true);
  t.equal(window.limit, 100_000);
  t.equal(window.widen(50_000, UNBOUNDED), false);
});

t.test('a window gets no more credit than its session has memory for', async (t) => {
  const window = new ReceiveWindow(1000, 8000, monotonic(0));
  t.equal(window.widen(8000, 3000), true);
  t.equal(window.limit, 3000);
  t.equal(window.consume(1000, 100, monotonic(10_000), 1000), false, 'as wide as is allowed now');
  t.equal(window.consume(1600, 100, monotonic(20_000), 1000), true);
  t.equal(window.limit, 3600, 'narrower than before');
  t.equal(window.consume(1000, 100, monotonic(30_000), UNBOUNDED), true);
  t.equal(window.limit, 11_600, 'and wide again');
});

/** Runs a pacer over a path with capacity and loss; returns packets delivered per second in the second half. */
function deliver(capacityPerSecond: number, loss: number): { sent: number; delivered: number } {
  const rng = seededRng(3);
  const pacer = new Pacer(100, monotonic(0));
  const total = { sent: 0, delivered: 0 };
  const news: { atMs: number; acked: boolean; round: number }[] = [];
  let busyUntilMs = 0;
  for (let nowMs = 0; nowMs < 40_000; nowMs += 1) {
    while ((news[0]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs) {
      const first = news.shift();
      if (first?.acked === true) {
        pacer.onAcked(first.round);
        if (nowMs > 20_000) total.delivered++;
      } else if (first !== undefined) {
        pacer.onLost(first.round);
      }
    }
    pacer.advance(200, monotonic(nowMs));
    while (pacer.nextMs(monotonic(nowMs)) <= nowMs) {
      const round = pacer.onSent(monotonic(nowMs));
      if (nowMs > 20_000) total.sent++;
      // A queue of 100 ms in front of the bottleneck.
      const queued = busyUntilMs - nowMs > 100;
      if (!queued) busyUntilMs = Math.max(busyUntilMs, nowMs) + 1000 / capacityPerSecond;
      news.push({ atMs: nowMs + 200, acked: !queued && rng.uniform() >= loss, round });
    }
  }
  return { sent: total.sent / 20, delivered: total.delivered / 20 };
}

t.test('the pace follows delivery, not loss', async (t) => {
  for (const loss of [0, 0.14, 0.49]) {
    const { sent, delivered } = deliver(400, loss);
    t.ok(delivered > 0.8 * 400 * (1 - loss), `${delivered} per second delivered at loss ${loss}`);
    t.ok(sent < 1.4 * 400, `${sent} per second sent into 400 at loss ${loss}`);
  }
});

t.test('reasons travel as numbers', async (t) => {
  for (const code of ['POLICY', 'REFUSED', 'NOT_FOUND', 'TIMEOUT', 'RESET', 'LIMIT', 'HOST_UNREACHABLE'] as const) {
    t.equal(errorCode(errorNumber(code)), code);
  }
  t.equal(errorCode(999), 'INTERNAL', 'unknown ones have a general meaning');
});

t.test('to look for losses costs the same however many packets were acknowledged before', (t) => {
  const { oldestFrom } = SentPackets.prototype;
  t.teardown(() => {
    SentPackets.prototype.oldestFrom = oldestFrom;
  });
  let from = 0;
  SentPackets.prototype.oldestFrom = function (first) {
    from = first;
    return oldestFrom.call(this, first);
  };
  const clock = new LossClock({ delay: { meanDelayMs: 15, mixHops: 3 }, slotGapMs: 20, ackDelayMs: 20 });
  const loss = new LossDetection(clock, 1);
  const open = {
    fate: 'flying',
    paceRound: undefined,
    delayMs: undefined,
    sentAgain: 'none',
    surbsSettled: false,
  } as const;
  for (let number = 1; number <= 3000; number++) {
    loss.onSent({ number, sentMs: monotonic(10 * number), frames: [], ...open });
    if (number > 10) loss.onAck([number - 10, number - 10], number + 1, monotonic(10 * number));
    else loss.onAck([number, number], number + 1, monotonic(10 * number));
    loss.detect(monotonic(10 * number));
  }
  t.ok(from > 2900, `it begins at packet ${from} of 3000`);
  t.end();
});
