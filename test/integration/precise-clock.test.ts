/** The clock of mixes, with its thread: compiled code, since threads load no TypeScript. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';

const compiled = new URL('../../dist/lib/precise-clock.js', import.meta.url).href;
const { PreciseClock } = (await import(compiled)) as typeof import('../../lib/precise-clock.ts');

t.test('timers fire in order of their time, none before it, and none that was cancelled', async (t) => {
  const clock = new PreciseClock();
  t.ok(clock.grainMs < 1);
  const startMs = clock.nowMs();
  const fired: { name: string; lateMs: number }[] = [];
  const arm = (name: string, delayMs: number) =>
    clock.after(delayMs, () => fired.push({ name, lateMs: clock.nowMs() - startMs - delayMs }));
  arm('third', 9);
  arm('first', 1.3);
  const gone = arm('gone', 4);
  arm('second', 4.4);
  arm('together with the second', 4.4);
  gone.cancel();
  const done = new Promise<void>((resolve) => {
    clock.after(12, resolve);
  });
  const alive = setInterval(() => {}, 1000); // its timers do not keep the process alive
  await done;
  clearInterval(alive);
  t.strictSame(
    fired.map(({ name }) => name),
    ['first', 'second', 'together with the second', 'third'],
  );
  t.ok(
    fired.every(({ lateMs }) => lateMs >= 0),
    `${fired.map(({ lateMs }) => lateMs.toFixed(3))}`,
  );
});

t.test('a timer armed while others fire, in the past or later, fires too', async (t) => {
  const clock = new PreciseClock();
  const alive = setInterval(() => {}, 1000);
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    clock.after(1, () => {
      order.push('outer');
      clock.after(3, resolve);
      clock.after(-5, () => order.push('past'));
      clock.after(1, () => order.push('inner'));
    });
  });
  clearInterval(alive);
  t.strictSame(order, ['outer', 'past', 'inner']);
});

t.test('its thread does not keep a process alive', async (t) => {
  const program = `import { PreciseClock } from '${compiled}'; new PreciseClock().after(400, () => process.exit(3));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  t.equal(code, 0);
});
