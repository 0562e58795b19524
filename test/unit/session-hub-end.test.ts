/** How sessions end when one of their ends stops: the other learns it at once, and nothing of it shows on the link. */
import t from 'tap';
import { LAST_CLOSES_MS } from '../../lib/session/proxy/last-closes.ts';
import { HubWorld, type HubWorldOptions } from '../support/sim/hub-world.ts';

const MAIN_RATE = 20;
const names = (world: HubWorld) => [...world.tables.keys()];
const sessions = (world: HubWorld) => names(world).reduce((sum, name) => sum + world.sessionsAt(name), 0);

/** A proxy with a stream for each of three tokens. */
async function busy(options: HubWorldOptions = {}): Promise<{ world: HubWorld; resets: string[] }> {
  const world = new HubWorld({ mainRate: MAIN_RATE, requesters: 2, spread: 2, ...options });
  world.run(2000);
  for (const token of ['a', 'b', 'c']) await world.connect(`${token}.example`, token);
  const resets: string[] = [];
  world.onReset = (host) => resets.push(host);
  return { world, resets };
}

/** Lets time pass until the proxy has left; how long it took. */
async function leave(world: HubWorld): Promise<number> {
  const startMs = world.clock.nowMs();
  let isPending = true;
  void world.hub.leave().then(() => {
    isPending = false;
  });
  for (; isPending; await new Promise((resolve) => setImmediate(resolve))) world.run(5);
  return world.clock.nowMs() - startMs;
}

t.test('exits learn at once that a proxy stops, over the slots of its clock', async (t) => {
  const { world, resets } = await busy();
  const before = { frames: world.departures.length, ms: world.clock.nowMs() };
  const tookMs = await leave(world);
  t.ok(tookMs < LAST_CLOSES_MS, `${tookMs} ms`);
  world.run(1000);
  t.equal(sessions(world), 0);
  t.same(resets.sort(), ['a.example', 'b.example', 'c.example']);
  const ticks = ((world.clock.nowMs() - before.ms) * MAIN_RATE) / 1000;
  t.ok(Math.abs(world.departures.length - before.frames - ticks) <= 1, 'no frame more than the clock sends');
  t.equal(world.missed, 0, 'and none less');
  await world.hub.stop();
});

t.test('without that they wait for time-outs', async (t) => {
  const { world, resets } = await busy();
  await world.hub.stop();
  world.run(5000);
  t.ok(sessions(world) >= 3);
  t.same(resets, []);
});

t.test('a slow clock ends it after a while, and sessions with streams go first', async (t) => {
  const { world, resets } = await busy({ mainRate: 2 });
  const tookMs = await leave(world);
  t.ok(tookMs >= LAST_CLOSES_MS && tookMs < LAST_CLOSES_MS + 50, `${tookMs} ms`);
  world.run(1000);
  t.ok(resets.length >= 1);
  await world.hub.stop();
});

t.test('a proxy whose link is down does not wait', async (t) => {
  const { world } = await busy();
  world.linkState = 'down';
  t.ok((await leave(world)) <= 10);
  await world.hub.stop();
});

t.test('when a requester stops, streams end and new ones go to another at once', async (t) => {
  const world = new HubWorld({ requesters: 3 });
  world.run(1000);
  const { asked, arrived } = await world.connect('a.example');
  world.tables.get(arrived.requester)?.closeAll('shutdown', world.clock.nowMs());
  world.run(200); // CLOSE is on its way
  world.dead.add(arrived.requester);
  t.type(asked.reset, 'string');
  const startMs = world.clock.nowMs();
  const next = await world.connect('b.example');
  t.not(next.arrived.requester, arrived.requester);
  t.ok(world.clock.nowMs() - startMs < 1000, `${world.clock.nowMs() - startMs} ms`);
  await world.hub.stop();
});
