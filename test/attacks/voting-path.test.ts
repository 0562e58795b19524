/**
 * Authorities ask each other over plain HTTP, and somebody on the path to some of them writes the answers anew. He cannot sign for an
 * authority. He keeps a vote from two of four, so that those count others, and tells each of them that all the others come to what it comes to:
 * if it believed that, it would sign a document that nobody else does, and there would be no consensus of the epoch.
 */
import t from 'tap';
import { parseSheet, type Sheet, sheetText } from '../../directory/voting/sheet.ts';
import { parseVote } from '../../directory/voting/vote.ts';
import { parseEnvelope } from '../../lib/directory/envelope.ts';
import { keys, testNetwork } from '../support/signed-documents.ts';
import { resultOf } from '../support/voting/liar.ts';
import { NETWORK } from '../support/voting/voting-nodes.ts';
import { VotingWorld } from '../support/voting/voting-world.ts';

/** In it one attempt to vote begins and ends. */
const ONE_VOTING_MS = 14_000;
const VICTIMS = [0, 1];
/** Whose vote is kept from them: the median is another without it. */
const KEPT_BACK = keys(1003).id;

type Forge = (to: number, sheet: Sheet, digest: string) => Sheet['result'];

async function attacked(forge: Forge): Promise<VotingWorld> {
  const world = new VotingWorld(testNetwork(4, 3));
  for (const [index, meanDelayMs] of [50, 60, 70, 40].entries()) {
    world.addHonest(index, { nodes: NETWORK, params: { meanDelayMs } });
  }
  world.rewrite = (from, to, text) =>
    VICTIMS.includes(from) ? rewritten(world, from, to, parseSheet(text), forge) : text;
  await world.run(ONE_VOTING_MS);
  return world;
}

/** The sheet that `from` gets of `to`: without that vote, and with the result that `from` itself shows. */
function rewritten(world: VotingWorld, from: number, to: number, sheet: Sheet, forge: Forge): string {
  const own = parseSheet(world.honest[from]?.voting.sheet(sheet.epoch) ?? '');
  const { result: _theirs, documents: _seen, ...rest } = sheet;
  const votes = sheet.votes.filter((text) => {
    return parseVote(parseEnvelope('vote', text, 4096).payload).authority !== KEPT_BACK;
  });
  const forged = own.result && forge(to, sheet, own.result.digest);
  return sheetText({ ...rest, documents: [], votes, ...(forged === undefined ? {} : { result: forged }) });
}

const signed = (world: VotingWorld) => world.honest.map(({ records }) => records.released.length);

t.test('whoever rewrites what authorities show each other does not make one of them sign', async (t) => {
  const otherSlot: Forge = (to, sheet, digest) => resultOf(to, { ...sheet, attempt: sheet.attempt + 1 }, digest);
  const otherNetwork: Forge = (to, sheet, digest) => resultOf(to, { ...sheet, network: '0'.repeat(64) }, digest);
  const victims = [
    ['a signature of nobody', (_to, _sheet, digest) => ({ digest, signature: '0'.repeat(128) })],
    ['the signature of another', (to, sheet, digest) => resultOf((to + 1) % 4, sheet, digest)],
    ['a result of another voting', otherSlot],
    ['a result of another network', otherNetwork],
  ] as const satisfies readonly (readonly [string, Forge])[];
  for (const [title, forge] of victims) t.strictSame(signed(await attacked(forge)), [0, 0, 0, 0], title);
  const withKeys = await attacked(resultOf);
  t.strictSame(signed(withKeys).slice(0, 2), [1, 1], 'with the keys of the others he could: the same test finds it');
});
