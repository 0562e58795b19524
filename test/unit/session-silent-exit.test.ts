/** The exit, or the way to it, does not answer: what is opened waits, and what is open stays. */
import t from 'tap';
import { MAX_WAITING_STREAMS } from '../../lib/session/proxy/waiting-streams.ts';
import { HubWorld } from '../support/sim/hub-world.ts';

for (const downlink of ['steady', 'burst'] as const) {
  t.test(
    `an exit is silent for 20 s, ${downlink}: what is opened meanwhile waits, and opens when it answers`,
    async (t) => {
      const world = new HubWorld({ downlink });
      const { arrived } = await world.connect('before.example', 'a');
      t.ok(world.hub.ready);
      world.dead.add('r0');
      const early = await world.open('early.example', 'a');
      world.run(10_000);
      t.notOk(world.hub.ready);
      const late = await world.open('late.example', 'a');
      const other = await world.open('other.example', 'b');
      const packets = world.departures.length;
      world.run(10_000);
      t.equal(world.departures.length - packets, 10 * world.mainRate, 'the clock shows nothing of it');
      t.strictSame(
        [early, late, other].map(({ refused, opened }) => [refused, opened]),
        [early, late, other].map(() => [undefined, false]),
      );
      world.dead.delete('r0');
      for (let i = 0; i < 200 && !(early.opened && late.opened && other.opened); i++) world.run(100);
      t.ok(early.opened && late.opened && other.opened);
      t.ok(world.hub.ready);
      arrived.stream.write(Buffer.from('still here'), world.clock.nowMs());
      t.equal(
        arrived.session,
        world.arrived.find(({ host }) => host === 'late.example')?.session,
        'the session has waited',
      );
      t.equal(new Set(world.arrived.map(({ host }) => host)).size, world.arrived.length, 'each was opened once');
    },
  );

  t.test(
    `an exit is silent for longer, ${downlink}: what waits is refused, and what comes at once, until it is back`,
    async (t) => {
      const world = new HubWorld({ downlink });
      await world.connect('before.example', 'a');
      world.dead.add('r0');
      const sent = await world.open('sent.example', 'a');
      world.run(10_000);
      const waiting = await world.open('waiting.example', 'a');
      world.run(15_000);
      t.strictSame([sent.refused, waiting.refused], [undefined, undefined]);
      world.run(15_000);
      t.strictSame([sent.refused, waiting.refused], ['NO_REQUESTER', 'NO_REQUESTER']);
      t.equal((await world.open('late.example', 'a')).refused, 'NO_REQUESTER', 'at once');
      world.dead.delete('r0');
      world.run(2_000);
      await world.connect('after.example', 'a');
    },
  );
}

t.test('an exit of two is gone: what waits for it, and what was asked of it in vain, opens at the other', async (t) => {
  const world = new HubWorld({ requesters: 2 });
  const { arrived } = await world.connect('before.example', 'a');
  world.dead.add(arrived.requester);
  const sent = await world.open('sent.example', 'a');
  world.run(10_000);
  const waiting = await world.open('waiting.example', 'a');
  world.run(40_000);
  t.strictSame([sent.opened, waiting.opened], [true, true]);
  const at = world.arrived.slice(1).map(({ requester }) => requester);
  t.strictSame(
    at,
    world.nodes
      .map(({ name }) => name)
      .filter((name) => name !== arrived.requester)
      .concat(at.slice(1)),
  );
});

t.test(
  'no wait is longer than the time to connect, however an exit takes turns at silence; and only so many wait',
  async (t) => {
    const world = new HubWorld({ openTimeoutMs: 12_000 });
    await world.connect('before.example', 'a');
    world.dead.add('r0');
    world.run(10_000);
    const waiting = await world.open('waiting.example', 'a');
    const crowd = await Promise.all(
      Array.from({ length: MAX_WAITING_STREAMS }, (_, i) => world.open(`${i}.example`, 'a')),
    );
    t.strictSame(
      crowd.map(({ refused }) => refused),
      [...crowd.slice(1).map(() => undefined), 'LIMIT'],
    );
    world.run(11_000);
    t.equal(waiting.refused, undefined);
    world.run(2_000);
    t.equal(waiting.refused, 'NO_REQUESTER');
  },
);

t.test('with another requester in use, new streams go there', async (t) => {
  const world = new HubWorld({ requesters: 2, spread: 2 });
  const { arrived } = await world.connect('one.example', 'a');
  world.dead.add(arrived.requester);
  world.run(10_000);
  const next = await world.connect('two.example', 'a');
  t.not(next.arrived.requester, arrived.requester);
});

t.test('silence of a link that is down says nothing about requesters', async (t) => {
  const world = new HubWorld();
  await world.connect('before.example', 'a');
  world.dead.add('r0');
  world.linkState = 'down';
  world.run(10_000);
  world.linkState = 'up';
  world.run(1_000);
  const asked = await world.open('after.example', 'a');
  world.dead.delete('r0');
  world.run(3_000);
  t.equal(asked.refused, undefined);
  t.ok(asked.opened);
});
