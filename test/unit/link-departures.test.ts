import t from 'tap';
import { Departures } from '../../lib/link/thread/departures.ts';
import { LaneMemory } from '../../lib/link/thread/memory.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic } from '../support/units.ts';

const noLateness = { record() {} };
const laneMemory = (contentSlots = 4, idleSlots = 4) => LaneMemory.allocate({ contentSlots, idleSlots, slotBytes: 8 });

function push(memory: LaneMemory, ring: 'content' | 'idle', value: number): void {
  memory[ring].reserve()?.fill(value);
  memory[ring].commit();
}

t.test('content first, then idle, then nothing; full rings, taken frames', async (t) => {
  const memory = laneMemory();
  const departures = new Departures(seededRng(5), noLateness);
  departures.add(1, memory, 10, monotonic(0));
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
    departures.add(1, first, 50, monotonic(0));
    departures.add(2, second, 7, monotonic(0));
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
  departures.add(1, a, 0, monotonic(0));
  departures.add(2, b, 10, monotonic(0));
  push(a, 'content', 1);
  const second = departures.nextDeadlineMs();
  t.equal(
    departures.runDue(monotonic(second + 3), () => true),
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

t.test('the measured rate follows the departures', async (t) => {
  const memory = laneMemory();
  const departures = new Departures(seededRng(10), noLateness);
  departures.add(1, memory, 50, monotonic(0));
  const seconds = (from: number, to: number) => {
    for (let second = from; second < to; second++) {
      for (let ms = 0; ms < 1000; ms += 10) departures.runDue(monotonic(second * 1000 + ms), () => true);
      departures.measure();
    }
  };
  seconds(0, 100);
  t.ok(Math.abs(memory.counters().measured - 50) < 10, `${memory.counters().measured}`);
  departures.setRate(1, 200, monotonic(100_000));
  seconds(100, 111);
  t.ok(Math.abs(memory.counters().measured - 200) < 20, 'only the last ten seconds count');
});

t.test('idle frames are forgotten from the oldest on, as far as there are any', async (t) => {
  const departures = new Departures(seededRng(1), noLateness);
  const memory = laneMemory(2, 4);
  departures.add(7, memory, 10, monotonic(0));
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

t.test('waiting without sleep takes at most a twenty-fifth of the time, and 0.2 ms at once', async (t) => {
  const departures = new Departures(seededRng(1), noLateness);
  t.equal(departures.leadMs(), 0, 'without clocks nothing is waited for');
  departures.add(0, laneMemory(), 50, monotonic(0));
  departures.add(1, laneMemory(), 6, monotonic(0));
  t.equal(departures.leadMs(), 0.2);
  departures.setRate(0, 394, monotonic(0));
  t.ok(Math.abs(departures.leadMs() - 0.1) < 1e-9, 'at 400 departures a second');
});
