import t from 'tap';
import { Departures } from '../../lib/link/thread/departures.ts';
import { LaneMemory } from '../../lib/link/thread/memory.ts';
import { PoissonClock } from '../../lib/link/thread/poisson-clock.ts';
import { seededRng } from '../support/seeded-rng.ts';

const noLateness = { record() {} };
const laneMemory = (contentSlots = 4, idleSlots = 4) => LaneMemory.allocate({ contentSlots, idleSlots, slotBytes: 8 });

function push(memory: LaneMemory, ring: 'content' | 'idle', value: number): void {
  memory[ring].reserve()?.fill(value);
  memory[ring].commit();
}

/** Kolmogorov-Smirnov distance of the samples to the exponential law of this mean. */
function distanceToExponential(samples: number[], mean: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return Math.max(
    ...sorted.map((x, i) => {
      const law = 1 - Math.exp(-x / mean);
      return Math.max(Math.abs(law - i / sorted.length), Math.abs((i + 1) / sorted.length - law));
    }),
  );
}

t.test('a clock ticks by the exponential law however irregularly it is served', async (t) => {
  const rng = seededRng(1);
  const clock = new PoissonClock(rng, 50, 0);
  const deadlines: number[] = [];
  // Served every 0 to 30 ms: often late, sometimes with several ticks due at once.
  for (let nowMs = 0; deadlines.length < 20_000; nowMs += rng.uniform() * 30) {
    for (let due = clock.deadlineMs; clock.tick(nowMs); due = clock.deadlineMs) deadlines.push(due);
  }
  const gaps = deadlines.slice(1).map((at, i) => at - (deadlines[i] ?? 0));
  const distance = distanceToExponential(gaps, 20);
  t.ok(distance < 0.0138, `distance ${distance}, of which 0.1 % of honest runs exceed 0.0138`);
  t.equal(clock.restarts, 0);
});

t.test('lateness does not accumulate; a tick is never early', async (t) => {
  const clock = new PoissonClock(seededRng(2), 100, 0);
  const due = clock.deadlineMs;
  t.equal(clock.tick(due - 0.001), false);
  t.equal(clock.tick(due + 5), true);
  t.equal(Math.round(clock.lateMs), 5);
  const next = clock.deadlineMs;
  const twin = new PoissonClock(seededRng(2), 100, 0);
  twin.tick(due);
  t.equal(twin.deadlineMs, next, 'the next deadline is the same as if it had been served in time');
});

t.test('a clock that was not served for more than 100 ms starts afresh', async (t) => {
  const clock = new PoissonClock(seededRng(3), 1000, 0);
  const due = clock.deadlineMs;
  t.equal(clock.tick(due + 100.001), false, 'no burst');
  t.equal(clock.restarts, 1);
  t.ok(clock.deadlineMs > due + 100.001);
  const again = clock.deadlineMs;
  let caughtUp = 0;
  while (clock.tick(again + 99)) caughtUp += 1;
  t.ok(caughtUp > 50, `${caughtUp} ticks of the last 99 ms are caught up`);
});

t.test('a changed rate counts from now; rate 0 stops', async (t) => {
  const clock = new PoissonClock(seededRng(4), 0, 0);
  t.equal(clock.deadlineMs, Number.POSITIVE_INFINITY);
  t.equal(clock.tick(1e9), false);
  clock.setRate(1000, 5000);
  t.ok(clock.deadlineMs > 5000 && clock.deadlineMs < 5020);
  const due = clock.deadlineMs;
  clock.setRate(1000, 5001);
  t.equal(clock.deadlineMs, due, 'the same rate changes nothing');
  clock.setRate(0, 5002);
  t.equal(clock.deadlineMs, Number.POSITIVE_INFINITY);
});

t.test('content first, then idle, then nothing; full rings, taken frames', async (t) => {
  const memory = laneMemory();
  const departures = new Departures(seededRng(5), noLateness);
  departures.add(1, memory, 10, 0);
  push(memory, 'idle', 100);
  push(memory, 'idle', 101);
  push(memory, 'content', 1);
  push(memory, 'content', 2);
  const sent: (number | undefined)[] = [];
  for (let i = 0; i < 5; i++) {
    departures.runDue(departures.nextDeadlineMs(), (frame) => {
      sent.push(frame[0]);
      return frame[0] !== 101;
    });
  }
  t.strictSame(sent, [1, 2, 100, 101]);
  t.match(memory.counters(), { sentContent: 2, sentIdle: 1, discarded: 1, missed: 1 });
  t.equal(memory.idle.length(), 0, 'a frame that could not be sent is gone with its tick');
});

t.test('when frames leave does not depend on what there is to send', async (t) => {
  /** Departure times of two lanes; lane 1 has content when told so and idle frames otherwise. */
  const times = (content: boolean, up: boolean): number[] => {
    const [first, second] = [laneMemory(), laneMemory()];
    const departures = new Departures(seededRng(6), noLateness);
    departures.add(1, first, 50, 0);
    departures.add(2, second, 7, 0);
    const at: number[] = [];
    for (let i = 0; i < 500; i++) {
      push(first, content ? 'content' : 'idle', 1);
      if (second.idle.room() > 0) push(second, 'idle', 2);
      const nowMs = departures.nextDeadlineMs();
      departures.runDue(nowMs, () => up);
      at.push(nowMs);
      if (first.content.room() === 0 || first.idle.room() === 0) first[content ? 'content' : 'idle'].release();
    }
    return at;
  };
  t.strictSame(times(true, true), times(false, true));
  t.strictSame(times(true, true), times(true, false), 'nor on whether the link is up');
});

t.test('lanes come and go, rates change, and the rings stay', async (t) => {
  const [a, b] = [laneMemory(), laneMemory()];
  const late: number[] = [];
  const departures = new Departures(seededRng(8), { record: (ms) => void late.push(ms) });
  t.equal(departures.nextDeadlineMs(), Number.POSITIVE_INFINITY);
  departures.add(1, a, 0, 0);
  departures.add(2, b, 10, 0);
  push(a, 'content', 1);
  const second = departures.nextDeadlineMs();
  t.equal(
    departures.runDue(second + 3, () => true),
    1,
  );
  t.strictSame(late.map(Math.round), [3]);
  t.equal(a.content.length(), 1);
  departures.setRate(1, 1000, second);
  departures.setRate(99, 5, second);
  departures.remove(2);
  departures.runDue(departures.nextDeadlineMs(), () => true);
  t.match(a.counters(), { sentContent: 1 });
  departures.remove(1);
  t.equal(departures.nextDeadlineMs(), Number.POSITIVE_INFINITY);
});

t.test('immediate lanes take turns, and stop when told', async (t) => {
  const [a, b] = [laneMemory(), laneMemory()];
  const departures = new Departures(seededRng(9), noLateness);
  departures.addImmediate(1, a);
  departures.addImmediate(2, b);
  for (const value of [1, 2, 3]) push(a, 'content', value);
  push(b, 'content', 10);
  const sent: (number | undefined)[] = [];
  const send = (frame: Buffer) => sent.push(frame[0]) > 0;
  t.equal(
    departures.runImmediate(send, () => sent.length < 3),
    3,
  );
  t.strictSame(sent, [1, 10, 2]);
  t.equal(departures.immediateWaiting(), true);
  t.equal(
    departures.runImmediate(send, () => true),
    1,
  );
  t.equal(departures.immediateWaiting(), false);
  t.equal(departures.nextDeadlineMs(), Number.POSITIVE_INFINITY, 'they have no clock');
  push(a, 'content', 4);
  t.equal(
    departures.runImmediate(
      () => false,
      () => true,
    ),
    1,
    'with the link down frames are taken all the same',
  );
  t.match(a.counters(), { sentContent: 3, discarded: 1 });
});

t.test('the measured rate', async (t) => {
  const memory = laneMemory();
  const departures = new Departures(seededRng(10), noLateness);
  departures.add(1, memory, 50, 0);
  const seconds = (from: number, to: number) => {
    for (let second = from; second < to; second++) {
      for (let ms = 0; ms < 1000; ms += 10) departures.runDue(second * 1000 + ms, () => true);
      departures.measure();
    }
  };
  seconds(0, 100);
  t.ok(Math.abs(memory.counters().measured - 50) < 10, `${memory.counters().measured}`);
  departures.setRate(1, 200, 100_000);
  seconds(100, 111);
  t.ok(Math.abs(memory.counters().measured - 200) < 20, 'only the last ten seconds count');
});

t.test('idle frames are forgotten from the oldest on, as far as there are any', async (t) => {
  const departures = new Departures(seededRng(1), noLateness);
  const memory = laneMemory(2, 4);
  departures.add(7, memory, 10, 0);
  for (const value of [1, 2, 3]) push(memory, 'idle', value);
  push(memory, 'content', 9);
  t.equal(departures.dropIdle(7, 2), 2);
  t.equal(memory.idle.peek()?.[0], 3);
  t.equal(departures.dropIdle(7, 2), 1);
  t.equal(departures.dropIdle(7, 2), 0);
  t.equal(departures.dropIdle(8, 2), 0, 'no such lane');
  t.equal(memory.content.length(), 1);
  t.equal(memory.counters().discarded, 0, 'nothing had its time');
});

t.test('waiting without sleep takes at most a twenty-fifth of the time, and 0.4 ms at once', async (t) => {
  const departures = new Departures(seededRng(1), noLateness);
  t.equal(departures.leadMs(), 0, 'without clocks nothing is waited for');
  departures.add(0, laneMemory(), 50, 0);
  departures.add(1, laneMemory(), 6, 0);
  t.equal(departures.leadMs(), 0.4);
  departures.setRate(0, 394, 0);
  t.ok(Math.abs(departures.leadMs() - 0.1) < 1e-9, 'at 400 departures a second');
});
