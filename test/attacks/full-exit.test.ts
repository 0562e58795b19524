/**
 * An exit takes sessions, and answers every stream with LIMIT: it is full, or pretends to be, to have its users without service. Its
 * proxies go over to another of their sample, in which nobody but the draw at their start has a say.
 */
import t from 'tap';
import { LEAST_MS, LEAST_REFUSALS, MOST_OPEN } from '../../lib/session/proxy/stream-refusals.ts';
import { HubWorld, type HubWorldOptions } from '../support/sim/hub-world.ts';

/** A program asks for a stream a second until one opens, for two minutes at most: how many were refused. */
async function asks(world: HubWorld, seconds = 120): Promise<number> {
  for (let refused = 0; refused < seconds; refused++) {
    const asked = await world.open(`${world.clock.nowMs()}.example`, 'a');
    world.run(1000);
    if (asked.opened) return refused;
  }
  return seconds;
}

async function worldOf(options: HubWorldOptions) {
  const world = new HubWorld(options);
  const { asked, arrived } = await world.connect('first.example', 'a');
  return { world, asked, arrived, exit: arrived.requester };
}

t.test('an exit that refuses all streams is left for another, and what is open there goes on', async (t) => {
  const { world, asked, exit } = await worldOf({ requesters: 3 });
  world.full.add(exit);
  const refused = await asks(world);
  t.ok(refused >= LEAST_REFUSALS && refused <= LEAST_MS / 1000 + 2, `after ${refused}`);
  t.not(world.arrived.at(-1)?.requester, exit);
  t.equal(asked.reset, undefined);
  world.close({ asked, arrived: world.arrived[0] as (typeof world.arrived)[0] });
  world.full.delete(exit);
  t.equal(await asks(world), 0);
});

t.test('all refuse: they are asked in turn, no other is, and one that has room again is found', async (t) => {
  const { world } = await worldOf({ requesters: 8 });
  for (const { name } of world.nodes) world.full.add(name);
  t.equal(await asks(world), 120);
  const asked = new Set(world.departures);
  asked.delete('drop');
  t.ok(asked.size <= 3, `${[...asked]} are the sample`);
  for (const name of asked) world.full.delete(name);
  t.ok((await asks(world)) <= 1);
});

t.test('the only exit is not left, nor one that opens a stream now and then, nor for other refusals', async (t) => {
  const { world, exit } = await worldOf({});
  world.full.add(exit);
  const before = world.hub.sessions();
  await asks(world, 30);
  t.strictSame(world.hub.sessions(), before);

  const some = await worldOf({ requesters: 3 });
  for (let i = 0; i < 6; i++) {
    some.world.full.add(some.exit);
    t.equal(await asks(some.world, 6), 6);
    some.world.full.delete(some.exit);
    t.equal(await asks(some.world), 0);
    t.equal(some.world.arrived.at(-1)?.requester, some.exit);
  }
});

t.test('a session with many streams may be at its own bound', async (t) => {
  const { world, exit } = await worldOf({ requesters: 3 });
  for (let i = 0; i <= MOST_OPEN; i++) await world.connect(`${i}.many.example`, 'a');
  world.full.add(exit);
  t.equal(await asks(world, 30), 30);
});
