/** An exit is about to stop: what is open goes on to its end, and what is opened goes elsewhere. */
import t from 'tap';
import { DEFAULT_SESSION_PARAMS } from '../../lib/core/session-params.ts';
import { MAX_KEPT_BYTES } from '../../lib/session/proxy/hub-stream.ts';
import { streamsEnded } from '../../lib/session/requester/drain.ts';
import { UdpExits } from '../../proxy/udp/udp-exits.ts';
import { type Arrived, type Asked, HubWorld } from '../support/sim/hub-world.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const DRAIN_MS = 30_000;

/** Lets time pass until the condition holds, for a minute at most. */
async function until(world: HubWorld, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 600 && !condition(); i++) {
    world.run(100);
    await Promise.resolve();
  }
}

/** A stream of `bytes` more from the application, which the exit has in the end. */
async function uploads(world: HubWorld, { asked, arrived }: { asked: Asked; arrived: Arrived }, bytes: number) {
  const before = arrived.bytes;
  asked.stream.write(new Uint8Array(bytes), world.clock.nowMs());
  await until(world, () => arrived.bytes === before + bytes);
  return arrived.bytes === before + bytes && asked.reset === undefined;
}

t.test('streams at an exit that drains live, and new ones of the same and of other users go to another', async (t) => {
  const world = new HubWorld({ requesters: 2 });
  const first = await world.connect('first.example', 'a');
  const { requester } = first.arrived;
  world.drain(requester);
  const late = await Promise.all(['a', 'a', 'b'].map((token, i) => world.open(`${i}.example`, token)));
  await until(world, () => late.every(({ opened }) => opened));
  t.strictSame(
    late.map(({ opened, refused }) => [opened, refused]),
    late.map(() => [true, undefined]),
  );
  t.ok(
    world.arrived.slice(1).every((one) => one.requester !== requester),
    'at the other exit',
  );
  t.ok(await uploads(world, first, 50_000), 'the stream at the exit that drains has all its bytes');
  let isDrained = false;
  const sessions = () => world.tables.get(requester)?.sessions() ?? [];
  const drained = streamsEnded(sessions, world.clock, DRAIN_MS).then(() => {
    isDrained = true;
  });
  world.run(1000);
  await Promise.resolve();
  t.notOk(isDrained, 'it waits for the stream');
  world.close(first);
  await until(world, () => isDrained);
  await drained;
  t.ok(isDrained, 'and for nothing else');
});

t.test('bytes that were written with OPEN go to the other exit, once', async (t) => {
  const world = new HubWorld({ requesters: 2 });
  const { requester } = (await world.connect('first.example', 'a')).arrived;
  world.drain(requester);
  const [said, toldMuch] = [await world.open('said.example', 'a'), await world.open('much.example', 'a')];
  said.stream.write(new Uint8Array(1000), world.clock.nowMs());
  said.stream.end(world.clock.nowMs());
  toldMuch.stream.write(new Uint8Array(MAX_KEPT_BYTES + 1), world.clock.nowMs());
  await until(world, () => said.opened && toldMuch.refused !== undefined);
  world.run(2000);
  t.strictSame(
    world.arrived.filter(({ host }) => host === 'said.example').map(({ bytes }) => bytes),
    [1000],
  );
  t.equal(toldMuch.refused, 'SESSION_CLOSED', 'more than is kept');
});

t.test('two exits that restart one after the other lose no stream, and are asked in turn', async (t) => {
  const world = new HubWorld({ requesters: 2 });
  for (let round = 0; round < 4; round++) {
    const open = await world.connect(`${round}.example`, 'a');
    const { requester } = open.arrived;
    world.drain(requester);
    const next = await world.connect(`${round}.next.example`, 'a');
    t.not(next.arrived.requester, requester, `round ${round}`);
    t.ok(await uploads(world, open, 10_000));
    world.close(open);
    world.run(1000);
    for (const session of world.tables.get(requester)?.sessions() ?? []) session.close('shutdown', world.clock.nowMs());
    world.restart(requester);
    world.run(1000);
    t.ok(await uploads(world, next, 10_000));
    world.close(next);
  }
});

t.test('an association at an exit that drains stays until it stops, then goes on at another', async (t) => {
  const world = new HubWorld({ requesters: 2 });
  const said: string[] = [];
  const exits = new UdpExits({
    opener: {
      times: DEFAULT_SESSION_PARAMS,
      open: (target, handlers) => world.hub.open(target, handlers, 'a'),
      suits: (stream, port) => world.hub.suits(stream, port),
    },
    ...{ clock: world.clock, isolation: 'a', onDatagram: () => {} },
    ...{ onOpened: () => said.push('opened'), onRefused: (code) => said.push(code), onEnded: () => said.push('ended') },
  });
  exits.start();
  await until(world, () => said.length > 0);
  for (let round = 1; round <= 3; round++) {
    const requester = world.arrived.at(-1)?.requester as string;
    world.drain(requester);
    world.run(DRAIN_MS);
    t.equal(world.arrived.length, round, 'it stays');
    for (const session of world.tables.get(requester)?.sessions() ?? []) session.close('shutdown', world.clock.nowMs());
    await until(world, () => world.arrived.length > round);
    world.restart(requester);
    t.not(world.arrived.at(-1)?.requester, requester, `round ${round}`);
  }
  t.strictSame(said, ['opened']);
});

t.test('the only exit drains: what is opened waits until it has restarted', async (t) => {
  const world = new HubWorld();
  await world.connect('first.example', 'a');
  world.drain('r0');
  const asked = await world.open('late.example', 'a');
  world.run(4000);
  t.strictSame([asked.opened, asked.refused], [false, undefined]);
  world.restart('r0');
  await until(world, () => asked.opened || asked.refused !== undefined);
  t.ok(asked.opened);
});

t.test(
  'an exit that says for ever that it is about to stop is not hammered, and ends no wait later than its time',
  async (t) => {
    const world = new HubWorld();
    await world.connect('first.example', 'a');
    const before = world.sessionsAt('r0');
    world.drain('r0');
    const asked = await world.open('late.example', 'a');
    const seen = new Set<unknown>();
    for (let i = 0; i < 6000; i++) {
      world.run(10);
      for (const session of world.hub.sessions()) seen.add(session);
    }
    t.equal(asked.refused, 'SESSION_CLOSED');
    t.ok(world.sessionsAt('r0') <= before, 'it takes no session');
    t.ok(seen.size <= 60 / 5 + 2, `${seen.size} sessions in a minute`);
  },
);

t.test('a drain ends at its bound, whatever streams there are; without streams at once', async (t) => {
  const clock = new VirtualClock();
  const session = { stats: () => ({ streamsOpen: 1 }) } as never;
  let ended = false;
  const done = streamsEnded(() => [session], clock, DRAIN_MS).then(() => {
    ended = true;
  });
  for (let ms = 0; ms < DRAIN_MS; ms += 100) {
    if (ended) t.fail('too early');
    clock.advance(100);
    for (let i = 0; i < 4; i++) await Promise.resolve();
  }
  await done;
  await streamsEnded(() => [], clock, DRAIN_MS);
  t.ok(ended);
});
