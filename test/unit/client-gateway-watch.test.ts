import t from 'tap';
import { GATEWAY_PATIENCE_MS, type GatewayAdvice, GatewayWatch, SILENCE_MS } from '../../lib/client/gateway-watch.ts';

const STEP_MS = 250;

/** A watch that is asked four times a second, with five loops a second. */
class Watched {
  readonly watch = new GatewayWatch(0);
  nowMs = 0;
  loops = 0;
  loopsPerSecond = 5;

  /** The advice of the next `ms`, with its times from now. */
  pass(ms: number, hears = false): [number, GatewayAdvice][] {
    const given: [number, GatewayAdvice][] = [];
    const startMs = this.nowMs;
    while (this.nowMs < startMs + ms) {
      this.nowMs += STEP_MS;
      this.loops += (this.loopsPerSecond * STEP_MS) / 1000;
      if (hears) this.watch.heard();
      const advice = this.watch.advise(this.loops, this.nowMs);
      if (advice !== undefined) given.push([this.nowMs - startMs, advice]);
    }
    return given;
  }

  up(): this {
    this.watch.onState('up', this.nowMs);
    return this;
  }
}

t.test('a gateway that cannot be reached is left, and the next one too', (t) => {
  const watched = new Watched();
  t.strictSame(watched.pass(20_000), [
    [GATEWAY_PATIENCE_MS, 'move'],
    [2 * GATEWAY_PATIENCE_MS, 'move'],
  ]);
  watched.up();
  t.strictSame(watched.pass(60_000, true), []);
  t.equal(watched.watch.onState('down', watched.nowMs), true);
  t.strictSame(watched.pass(5000), [], 'it may come back');
  t.equal(watched.watch.onState('down', watched.nowMs), false, 'attempts fail');
  t.equal(watched.watch.downMs(watched.nowMs), 5000);
  t.strictSame(watched.pass(5000), [[3000, 'move']], 'failed attempts do not prolong the patience');
  watched.up();
  t.equal(watched.watch.downMs(watched.nowMs), 0);
  t.end();
});

t.test('a silent link is dialled anew, then left, ever more slowly', (t) => {
  const watched = new Watched().up();
  t.strictSame(watched.pass(10_000, true), []);
  t.strictSame(watched.pass(40_000), [
    [SILENCE_MS, 'redial'],
    [3 * SILENCE_MS, 'move'],
    [7 * SILENCE_MS, 'move'],
  ]);
  t.strictSame(watched.pass(STEP_MS, true), []);
  t.strictSame(watched.pass(SILENCE_MS), [[SILENCE_MS, 'redial']], 'patience is as before once something was heard');
  t.end();
});

t.test('silence says nothing while no loops leave, or in sleep', (t) => {
  const quiet = new Watched().up();
  quiet.loopsPerSecond = 0;
  t.strictSame(quiet.pass(60_000), []);

  const sleeper = new Watched().up();
  sleeper.pass(1000, true);
  sleeper.nowMs += 3_600_000;
  sleeper.loops += 100;
  t.strictSame(sleeper.pass(2000), [], 'awake for two seconds');

  const absent = new Watched();
  absent.nowMs += 3_600_000;
  t.strictSame(absent.pass(4000), []);
  t.end();
});
