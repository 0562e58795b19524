import t from 'tap';
import { LanePump } from '../../lib/session/lane-pump.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** A pump whose every step is written down; `wants` feeds in a row miss something. */
function world(wants = 0) {
  const clock = new VirtualClock();
  const log: string[] = [];
  let left = wants;
  let deadlineMs = Number.POSITIVE_INFINITY;
  const pump = new LanePump(clock, {
    feed() {
      log.push('feed');
      return left-- > 0;
    },
    nextDeadlineMs: () => deadlineMs,
    tick() {
      log.push('tick');
      deadlineMs = Number.POSITIVE_INFINITY;
    },
  });
  const setDeadline = (atMs: number) => {
    deadlineMs = atMs;
  };
  return { clock, log, pump, setDeadline, nextTurn: () => clock.advance(0) };
}

t.test('a turn feeds once, however often it is asked for, and the next turn what is left', async (t) => {
  const { log, pump, nextTurn } = world();
  pump.run();
  pump.run();
  pump.run();
  t.strictSame(log, ['feed']);
  nextTurn();
  t.strictSame(log, ['feed', 'feed']);
  nextTurn();
  nextTurn();
  t.equal(log.length, 2, 'nothing more was wanted');
});

t.test('what is missing is made turn by turn', async (t) => {
  const { log, pump, nextTurn } = world(2);
  pump.run();
  t.equal(log.length, 1);
  for (let i = 0; i < 5; i++) nextTurn();
  t.equal(log.length, 3);
});

t.test('a batch is read whole before a packet is made', async (t) => {
  const { log, pump } = world();
  for (const packet of ['a', 'b', 'c']) {
    pump.afterTurn(() => {
      log.push(packet);
      pump.run(); // as a session does that has got something to say
    });
  }
  t.strictSame(log, ['a', 'b', 'c']);
  await Promise.resolve();
  t.strictSame(log, ['a', 'b', 'c', 'feed']);
});

t.test('work within work does not feed before the outer one is done', async (t) => {
  const { log, pump } = world();
  pump.afterTurn(() => {
    pump.afterTurn(() => log.push('inner'));
    pump.run();
    log.push('outer');
  });
  await Promise.resolve();
  t.strictSame(log, ['inner', 'outer', 'feed']);
});

t.test('ticks at the deadline, and feeds then', async (t) => {
  const { clock, log, pump, setDeadline } = world();
  setDeadline(50);
  pump.run();
  clock.advance(49);
  t.strictSame(log, ['feed']);
  clock.advance(1);
  t.strictSame(log, ['feed', 'tick', 'feed']);
});

t.test('after its end it does nothing', async (t) => {
  const { clock, log, pump, setDeadline } = world(5);
  setDeadline(10);
  pump.run();
  pump.stop();
  pump.run();
  clock.advance(100);
  t.strictSame(log, ['feed']);
});
