/** Streams of a session that all have more to send than the clock takes get equal shares of it. */
import t from 'tap';
import { clientEnd, hostOf, type StreamEnd, server } from '../support/sim/apps.ts';
import { SessionSim } from '../support/sim/session-sim.ts';
import { monotonic } from '../support/units.ts';

const BULK_BYTES = 10_000_000;
/** More than a stream may send with priority. */
const SETTLED_BYTES = 100_000;
const COUNTS = [2, 3, 4, 6];

/** Bytes that each of `count` streams brought while the first of them brought its last half. */
function shares(direction: 'up' | 'down', count: number): number[] {
  let sim: SessionSim | undefined;
  const { accept, ends } = server(() => (sim as SessionSim).events);
  const world = new SessionSim({ seed: 1, accept });
  sim = world;
  world.run(3_000);
  const plans = Array.from({ length: count }, (_, i) => ({
    up: 0,
    down: 0,
    [direction]: BULK_BYTES,
    seed: 10 * i + 10,
  }));
  const near = plans.map((plan) => {
    const end = clientEnd(world.events, plan);
    end.stream = world.proxy.open({ kind: 'tcp', host: hostOf(plan), port: 443 }, end, monotonic(world.nowMs));
    end.pump();
    return end;
  });
  const readers = () => (direction === 'down' ? near : plans.map(({ seed }) => ends.get(seed))) as StreamEnd[];
  const most = () => Math.max(0, ...readers().map((end) => end?.received ?? 0));
  world.until(() => most() >= SETTLED_BYTES, 60_000);
  const before = readers().map(({ received }) => received);
  world.until(() => most() >= 3 * SETTLED_BYTES, 60_000);
  return readers().map(({ received }, i) => received - (before[i] ?? 0));
}

for (const direction of ['down', 'up'] as const) {
  t.test(`streams that send all the time share the clock equally, ${direction}`, async (t) => {
    for (const count of COUNTS) {
      const got = shares(direction, count);
      const least = Math.min(...got) / Math.max(...got);
      t.ok(least > 0.75, `${count} streams: ${got.map((bytes) => Math.round(bytes / 1000)).join(', ')} kB`);
    }
  });
}
