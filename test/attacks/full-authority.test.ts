/**
 * Somebody fills the authority's table with nodes of his own, or keeps it busy with one, so that others find no seat, or lose theirs
 * while they are away.
 */
import t, { type Test } from 'tap';
import { Membership } from '../../directory/members/membership.ts';
import { GATEWAYS, idOf, type Parts, TOKEN, withToken } from '../support/token-network.ts';

/** Nodes of the attacker. */
const EVIL = [101, 102, 103] as const;

/** Whether a member that was away finds its seat when others have come meanwhile. */
async function fullTable(t: Test, parts: Partial<Parts> = {}): Promise<string[]> {
  const world = await withToken(t, { maxNodes: 7, ...parts }, { uses: 10 });
  const outcomes = [await world.announce(1, 'gateway', TOKEN), await world.announce(2, 'gateway', TOKEN)];
  for (let n = 0; n < 3; n++) await world.turn(() => world.announce(2, 'gateway'));
  for (const n of EVIL) outcomes.push(await world.announce(n, 'gateway', TOKEN));
  outcomes.push(await world.announce(1, 'gateway'));
  return outcomes;
}

t.test('a full table never pushes out a member, be it away for hours', async (t) => {
  t.same(await fullTable(t), ['accepted', 'accepted', 'full', 'full', 'full', 'accepted']);
  class ByPresence extends Membership {
    override isKnown = () => false;
    override get size() {
      return 0;
    }
  }
  const mutant = await fullTable(t, { Membership: ByPresence });
  t.same(mutant, ['accepted', 'accepted', 'accepted', 'full', 'full', 'full'], 'counted by presence one is: rejected');
});

t.test('an expelled node gives its seat free', async (t) => {
  const world = await withToken(t, { maxNodes: 6 }, { uses: 2 });
  t.equal(await world.announce(1, 'gateway', TOKEN), 'accepted');
  t.equal(await world.announce(2, 'gateway', TOKEN), 'full');
  await world.operator.expel(idOf(1));
  await world.noticed();
  t.equal(await world.announce(2, 'gateway', TOKEN), 'accepted');
});

t.test('where the bound is lowered below the number of members, they have the seats that there are', async (t) => {
  const world = await withToken(t);
  await world.announce(1, 'gateway', TOKEN);
  await world.announceAllowed();
  await world.restart({ maxNodes: 3 });
  t.equal(world.admission.held.size, 3);
  world.clock.advance(1);
  const outcomes = [];
  for (const n of [1, ...GATEWAYS]) outcomes.push(await world.announce(n, 'gateway'));
  t.equal(world.admission.held.size, 3);
  t.ok(outcomes.includes('full'));
});

t.test('a member that announces without end is slowed down, and nobody else', async (t) => {
  const world = await withToken(t);
  const outcomes = new Map<string, number>();
  for (let n = 0; n < 100; n++) {
    world.clock.advance(10);
    const outcome = await world.announce(101, 'gateway', TOKEN);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  t.same(Object.fromEntries(outcomes), { accepted: 30, rate: 70 });
  const [first] = GATEWAYS;
  t.equal(await world.announce(first, 'gateway'), 'accepted');
  const recorded = world.sent(first, 'gateway');
  for (let n = 0; n < 100; n++) await world.give(recorded);
  world.clock.advance(1);
  t.equal(await world.announce(first, 'gateway'), 'accepted', 'replays of what a node has sent cost it nothing');
  world.clock.advance(60_000);
  t.equal(await world.announce(101, 'gateway'), 'accepted');
});
