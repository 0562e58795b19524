/** A consensus without an exit serves nobody: an authority waits for one while members have a better one. */
import t from 'tap';
import { MemberFiles } from '../../directory/members/member-files.ts';
import { REREAD_MS } from '../../lib/directory/index.ts';
import { loneAuthority } from '../support/lone-authority.ts';
import { keys } from '../support/signed-documents.ts';
import { SettableClock } from '../support/virtual-clock.ts';

const EPOCH_MS = 60_000;
const WITHOUT_EXIT = ['mixnode', 'gateway'];

/** An authority that has signed a consensus with an exit, an epoch ago. */
async function anEpochLater(dir: string) {
  const clock = new SettableClock();
  const made = await loneAuthority(dir, clock);
  await made.announce();
  const listed = made.authority.current()?.consensus;
  clock.aheadMs = EPOCH_MS;
  const epoch = () => (made.authority.current()?.consensus.epoch ?? 0) - (listed?.epoch ?? 0);
  const exits = () => made.authority.current()?.consensus.nodes.filter(({ role }) => role === 'requester').length;
  return { ...made, clock, epoch, exits };
}

t.test('after a restart of all, a consensus is not signed before the first exit has announced itself', async (t) => {
  const { authority, announce, epoch, exits, said } = await anEpochLater(t.testdir());
  await announce(WITHOUT_EXIT);
  await authority.tick();
  t.same([epoch(), exits()], [0, 1], 'members go on with the last one');
  t.match(said.at(-1), /no consensus yet: waiting for nodes .*0 of 1 requesters/);
  await announce();
  t.same([epoch(), exits()], [1, 1]);
});

t.test('no longer than the last consensus is valid', async (t) => {
  const { announce, clock, epoch, exits } = await anEpochLater(t.testdir());
  clock.aheadMs = 2 * EPOCH_MS;
  await announce(WITHOUT_EXIT);
  t.same([epoch(), exits()], [2, 0], 'mixes and gateways find each other at least');
});

t.test('an exit that is expelled is not waited for: it goes at once', async (t) => {
  const dir = t.testdir();
  const { announce, clock, epoch, exits } = await anEpochLater(dir);
  await new MemberFiles(dir).expel(keys(4).id);
  clock.advance(REREAD_MS);
  await announce(WITHOUT_EXIT);
  t.same([epoch(), exits()], [1, 0]);
});
