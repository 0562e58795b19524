/** Who is behind with the consensus, and what a gateway may cost. */
import t from 'tap';
import {
  GatewaySource,
  type HandedOutcome,
  MAX_VERIFIED_PER_EPOCH,
} from '../../lib/directory/client/gateway-source.ts';
import { SourceWatch } from '../../lib/directory/client/source-watch.ts';
import { type ConsensusText, consensusPieces, type PieceFault } from '../../lib/directory/consensus-pieces.ts';
import { keys } from '../support/signed-documents.ts';
import { epochNumber, monotonic, unix } from '../support/units.ts';

const EPOCH_MS = 60_000;
const GRACE_MS = EPOCH_MS / 6;
const EPOCH = 1000;
const START_MS = EPOCH * EPOCH_MS;
const URL = 'http://authority.test';
const GATEWAY = { id: keys(3).id, name: 'gateway-1' };
const OTHER = { id: keys(5).id, name: 'gateway-1' };

const epoch = (by = 0) => epochNumber(EPOCH + by);
const at = (ms: number) => unix(START_MS + ms);

t.test('an authority is behind when it is asked in due time and does not give what is in force', async (t) => {
  const watch = new SourceWatch(EPOCH_MS);
  watch.authorityGave(URL, epoch(-2));
  watch.authorityFailed(URL, epoch(), at(-1_000), 'not yet');
  watch.authorityFailed(URL, epoch(), at(GRACE_MS - 1), 'not yet');
  t.strictSame(watch.lagging(epoch(), at(GRACE_MS)), [], 'it may come a little later');
  watch.authorityFailed(URL, epoch(), at(GRACE_MS), 'it has none');
  const behind = { kind: 'authority', name: URL, epoch: epoch(-2), epochsBehind: 2, problem: 'it has none' } as const;
  t.strictSame(watch.lagging(epoch(), at(GRACE_MS)), [behind]);
  t.strictSame(watch.lagging(epoch(-1), at(GRACE_MS)), [], 'when nobody has a newer one, nobody is behind');
  t.strictSame(watch.lagging(undefined, at(GRACE_MS)), []);
  watch.authorityFailed(URL, epoch(1), at(GRACE_MS + 1), 'not signed yet');
  t.equal(watch.lagging(epoch(), at(GRACE_MS + 1)).length, 1, 'the next one is another matter');
  t.match(watch.lagging(epoch(1), at(EPOCH_MS)), [{ epochsBehind: 3 }], 'a turn does not make it good');
  watch.authorityGave(URL, epoch());
  t.strictSame(watch.lagging(epoch(), at(GRACE_MS)), []);
});

t.test('an authority that was never asked is not behind, and one that gives an old one is', async (t) => {
  const watch = new SourceWatch(EPOCH_MS);
  t.strictSame(watch.lagging(epoch(), at(EPOCH_MS - 1)), []);
  watch.authorityFailed(URL, epoch(), at(GRACE_MS), 'of another epoch', epoch(-1));
  t.match(watch.lagging(epoch(), at(GRACE_MS)), [{ epoch: epoch(-1), epochsBehind: 1 }]);
});

t.test('a gateway is behind when its link is up for long and it has not handed on what is in force', async (t) => {
  const watch = new SourceWatch(EPOCH_MS);
  const gateway = watch.gatewayUp(GATEWAY, at(5_000));
  t.strictSame(watch.lagging(epoch(), at(5_000 + GRACE_MS - 1)), []);
  t.match(watch.lagging(epoch(), at(5_000 + GRACE_MS)), [
    { kind: 'gateway', name: 'gateway-1', epoch: null, epochsBehind: null, problem: /none over its link/ },
  ]);
  t.equal(watch.lagging(epoch(1), at(EPOCH_MS)).length, 1, 'a turn does not make it good');
  gateway.gave(epoch());
  t.strictSame(watch.lagging(epoch(), at(5_000 + GRACE_MS)), []);
  t.strictSame(watch.lagging(epoch(1), at(EPOCH_MS + GRACE_MS - 1)), []);
  t.match(watch.lagging(epoch(1), at(EPOCH_MS + GRACE_MS)), [{ epoch: epoch(), epochsBehind: 1 }]);
  watch.gatewayDown(gateway);
  t.strictSame(watch.lagging(epoch(1), at(EPOCH_MS + GRACE_MS)), [], 'one that is not there is not behind');
});

t.test('what a gateway gave counts when its link comes up again, not for another of the same name', async (t) => {
  const watch = new SourceWatch(EPOCH_MS);
  const before = watch.gatewayUp(GATEWAY, at(0));
  before.gave(epoch());
  watch.gatewayDown(before);
  const again = watch.gatewayUp(GATEWAY, at(1_000), before);
  t.equal(again.given, epoch());
  t.equal(watch.gatewayUp(OTHER, at(1_000), before).given, undefined);
});

t.test('what others say of themselves is one printable line', async (t) => {
  const watch = new SourceWatch(EPOCH_MS);
  watch.authorityFailed(URL, epoch(), at(GRACE_MS), `\u001b[2J\n${'x'.repeat(10_000)}`);
  const [{ problem } = { problem: '' }] = watch.lagging(epoch(), at(GRACE_MS));
  t.match(problem, /^\[2J x+$/);
  t.equal(problem.length, 200);
});

/** A link over which a gateway hands documents on, of which those in `held` are held. */
function link(held: readonly ConsensusText[] = []) {
  const watch = new SourceWatch(EPOCH_MS);
  const outcomes: HandedOutcome[] = [];
  const time = { nowMs: monotonic(0) };
  let verified = 0;
  const source = new GatewaySource({
    epochMs: EPOCH_MS,
    nowMs: () => time.nowMs,
    wanted: (e) => Math.abs(e - EPOCH) <= 1,
    isHeld: (document) => held.some((one) => one.text === document.text),
    take: () => {
      verified += 1;
      return 'refused';
    },
    onUp: (gateway, before) => watch.gatewayUp(gateway, at(0), before),
    onDown: (gateway) => watch.gatewayDown(gateway),
    onOutcome: (outcome) => outcomes.push(outcome),
  });
  const hand = (document: ConsensusText) => {
    for (const piece of consensusPieces(document, 100)) source.take(piece);
  };
  return { watch, source, outcomes, time, hand, verified: () => verified };
}

t.test('a gateway has a bounded number of documents verified in an epoch', async (t) => {
  const { source, hand, verified, outcomes, time } = link();
  source.up(GATEWAY);
  for (let i = 0; i < 100; i++) hand({ epoch: epoch(), text: `document ${i}` });
  t.equal(verified(), MAX_VERIFIED_PER_EPOCH);
  t.equal(outcomes.filter((outcome) => outcome === 'excess').length, 100 - MAX_VERIFIED_PER_EPOCH);
  source.up(GATEWAY);
  hand({ epoch: epoch(), text: 'after another link' });
  t.equal(verified(), MAX_VERIFIED_PER_EPOCH, 'also over another link');
  time.nowMs = monotonic(EPOCH_MS);
  hand({ epoch: epoch(), text: 'an epoch later' });
  t.equal(verified(), MAX_VERIFIED_PER_EPOCH + 1);
});

t.test(
  'what a gateway used up another one has still: a client that has left the first gets its list from the second',
  async (t) => {
    const { source, hand, verified } = link();
    source.up(GATEWAY);
    for (let i = 0; i < 100; i++) hand({ epoch: epoch(), text: `garbage ${i}` });
    source.up(OTHER);
    hand({ epoch: epoch(), text: 'the list of nodes' });
    t.equal(verified(), MAX_VERIFIED_PER_EPOCH + 1);
    source.up(GATEWAY);
    hand({ epoch: epoch(), text: 'more garbage' });
    t.equal(verified(), MAX_VERIFIED_PER_EPOCH + 1, 'and going away gives nothing back');
  },
);

t.test('a document that is held is not verified again, however often its link comes up', async (t) => {
  const document = { epoch: epoch(), text: 'held' };
  const { watch, source, hand, verified, outcomes } = link([document]);
  for (let i = 0; i < 100; i++) {
    source.up(GATEWAY);
    hand(document);
  }
  t.equal(verified(), 0);
  t.strictSame(new Set(outcomes), new Set(['known']));
  t.strictSame(watch.lagging(epoch(), at(GRACE_MS)), [], 'and counts as given');
});

t.test('pieces that make no document are counted by what is wrong with them', async (t) => {
  const { watch, source, outcomes } = link();
  source.up(GATEWAY);
  const [first, second] = consensusPieces({ epoch: epoch(), text: 'x'.repeat(150) }, 100) as [Buffer, Buffer];
  const [old] = consensusPieces({ epoch: epoch(-2), text: 'old' }, 100) as [Buffer];
  for (const piece of [second, old, new Uint8Array(100), first, second]) source.take(Buffer.from(piece));
  t.strictSame(outcomes, ['gap', 'other-epoch', 'malformed', 'refused'] satisfies (PieceFault | 'refused')[]);
  t.match(watch.lagging(epoch(), at(GRACE_MS)), [{ problem: /no consensus/ }]);
});

t.test('pieces that come while no link is up are taken for nobody', async (t) => {
  const { source, hand, verified, outcomes } = link();
  hand({ epoch: epoch(), text: 'x' });
  t.equal(verified(), 0);
  const [first] = consensusPieces({ epoch: epoch(), text: 'x'.repeat(150) }, 100) as [Buffer];
  source.take(first);
  t.equal(source.heldBytes, 0);
  t.strictSame(outcomes, []);
});

t.test('half a document is let go when its link goes down', async (t) => {
  const { source, outcomes } = link();
  source.up(GATEWAY);
  const [first, second] = consensusPieces({ epoch: epoch(), text: 'x'.repeat(150) }, 100) as [Buffer, Buffer];
  source.take(Buffer.from(first));
  t.ok(source.heldBytes > 0);
  source.down();
  t.equal(source.heldBytes, 0);
  source.up(GATEWAY);
  source.take(Buffer.from(second));
  t.strictSame(outcomes, ['gap'], 'and does not go on over the next link');
});
