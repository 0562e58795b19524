import t from 'tap';
import { SessionDriver } from '../../lib/session/session-driver.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** A driver whose every step is written down; `wants` feeds in a row miss something. */
function world(wants = 0) {
  const clock = new VirtualClock();
  const log: string[] = [];
  let left = wants;
  let deadlineMs = Number.POSITIVE_INFINITY;
  const machine = {
    nextDeadlineMs: () => deadlineMs,
    tick() {
      log.push('tick');
      deadlineMs = Number.POSITIVE_INFINITY;
    },
  };
  const driver = new SessionDriver(clock, machine, () => {
    log.push('feed');
    return left-- > 0;
  });
  const setDeadline = (atMs: number) => {
    deadlineMs = atMs;
  };
  return { clock, log, driver, setDeadline, nextTurn: () => clock.advance(0) };
}

t.test('a turn feeds once, however often it is asked for, and the next turn what is left', async (t) => {
  const { log, driver, nextTurn } = world();
  driver.run();
  driver.run();
  driver.run();
  t.strictSame(log, ['feed']);
  nextTurn();
  t.strictSame(log, ['feed', 'feed']);
  nextTurn();
  nextTurn();
  t.equal(log.length, 2, 'nothing more was wanted');
});

t.test('what is missing is made turn by turn', async (t) => {
  const { log, driver, nextTurn } = world(2);
  driver.run();
  t.equal(log.length, 1);
  for (let i = 0; i < 5; i++) nextTurn();
  t.equal(log.length, 3);
});

t.test('a batch is read whole before a packet is made', async (t) => {
  const { log, driver } = world();
  for (const packet of ['a', 'b', 'c']) {
    driver.afterTurn(() => {
      log.push(packet);
      driver.run(); // as a session does that has got something to say
    });
  }
  t.strictSame(log, ['a', 'b', 'c']);
  await Promise.resolve();
  t.strictSame(log, ['a', 'b', 'c', 'feed']);
});

t.test('work within work does not feed before the outer one is done', async (t) => {
  const { log, driver } = world();
  driver.afterTurn(() => {
    driver.afterTurn(() => log.push('inner'));
    driver.run();
    log.push('outer');
  });
  await Promise.resolve();
  t.strictSame(log, ['inner', 'outer', 'feed']);
});

t.test('the driver ticks at the deadline, and feeds then', async (t) => {
  const { clock, log, driver, setDeadline } = world();
  setDeadline(50);
  driver.run();
  clock.advance(49);
  t.strictSame(log, ['feed']);
  clock.advance(1);
  t.strictSame(log, ['feed', 'tick', 'feed']);
});

t.test('a stopped driver does nothing', async (t) => {
  const { clock, log, driver, setDeadline } = world(5);
  setDeadline(10);
  driver.run();
  driver.stop();
  driver.run();
  clock.advance(100);
  t.strictSame(log, ['feed']);
});
