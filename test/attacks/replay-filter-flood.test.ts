/**
 * Attack: filling a replay filter. A filter never forgets a tag while its key is accepted, and clients cost nothing: they send a mix as
 * many packets as it takes, for as long as a key lives, so that its filter is full and all that comes after is refused until the key
 * ends. Or they have it take more than it has memory for: at the turn of keys, after pauses, or by restarts, each of which
 * grants what a new process may take at once.
 *
 * Defence: a node accepts no more packets than its filters hold for the life of a key, shares that among its links
 * (link-flood.test.ts), and sizes the filters by it; a new process has to earn its bursts. What remains: a clock that is set back
 * lengthens the life of a key, and its filter may be full at the end.
 */
import t, { type Test } from 'tap';
import { acceptedRate, FairPolicer, FILTER_BYTES_PER_TAG } from '../../lib/mixing/index.ts';
import {
  alike,
  EPOCH_MS,
  FloodedNode,
  type FloodedNodeOptions,
  type Flow,
  GRACE_MS,
  namesOf,
} from '../support/flooded-node.ts';
import { monotonic } from '../support/units.ts';

const ACCEPTED = 300;
const KEY_LIFE_MS = EPOCH_MS + 2 * GRACE_MS;
/** From the first packet of one key to the last of the next but one. */
const THREE_KEYS_MS = 2 * EPOCH_MS + KEY_LIFE_MS;
const LINKS = namesOf('gateway-', 20);
/** What comes within the life of one key, with the bursts of twenty links at its end. */
const MOST_TAGS = (ACCEPTED * KEY_LIFE_MS) / 1000 + ACCEPTED / 2 + 16 * LINKS.length;
/** Of two filters, empty. */
const EMPTY_BYTES = 2 * 2 ** 16;

const options = (t: Test, policer?: FloodedNodeOptions['policer']): FloodedNodeOptions => ({
  perSecond: ACCEPTED,
  weights: alike(...LINKS),
  keysIn: t.testdir(),
  ...(policer && { policer }),
});
const offering = (perSecond: (nowMs: number) => number): Flow[] =>
  LINKS.map((link) => ({ link, perSecond: (nowMs) => perSecond(nowMs) / LINKS.length }));
const flood = offering(() => 5 * ACCEPTED);

/** Accepts all that comes. */
const noPolicer = () => ({
  admits: () => true,
  link: () => ({ weight: 1, count: 0 }),
  setWeights: () => {},
});

t.test('a flood over the lives of three keys fills no filter and takes no more memory than planned', async (t) => {
  const node = new FloodedNode(options(t));
  node.run(THREE_KEYS_MS, flood);
  t.strictSame(Object.keys(node.drops), ['over-share'], 'no other reason');
  t.ok(node.acceptedRate > 0.98 * ACCEPTED, `${node.acceptedRate} packets a second are accepted`);
  t.ok(node.mostTags <= MOST_TAGS, `${node.mostTags} tags at the most, of all keys`);
  t.ok(node.mostTags > 0.98 * ACCEPTED * (KEY_LIFE_MS / 1000), 'the attackers’ best');
  t.ok(node.mostBytes <= FILTER_BYTES_PER_TAG * MOST_TAGS + EMPTY_BYTES, `${node.mostBytes} bytes`);
});

/** All that comes in the life of key 1000 is for it. */
function floodOneKey(node: FloodedNode): FloodedNode {
  node.aim = (keys) => keys.find(({ epoch }) => epoch === 1000);
  node.run(
    KEY_LIFE_MS,
    offering(() => 5 * ACCEPTED),
  );
  return node;
}

t.test('nor does one that keeps to a single key, over both of its turns', async (t) => {
  const node = floodOneKey(new FloodedNode(options(t)));
  t.strictSame(Object.keys(node.drops), ['over-share']);
  t.ok(node.mostTags > 0.98 * ACCEPTED * (KEY_LIFE_MS / 1000), `${node.mostTags} tags`);
});

t.test('without a bound the filter is full before its key ends', async (t) => {
  const node = floodOneKey(new FloodedNode(options(t, noPolicer)));
  t.ok((node.drops['replay-full'] ?? 0) > 0);
});

t.test('bursts after silence come out of the same bound', async (t) => {
  const node = new FloodedNode(options(t));
  node.run(
    KEY_LIFE_MS,
    offering((nowMs) => (nowMs % 10_000 < 1_000 ? 50 * ACCEPTED : 0)),
  );
  t.strictSame(Object.keys(node.drops), ['over-share']);
  const perBurst = ACCEPTED + ACCEPTED / 2 + 16 * LINKS.length;
  t.ok(node.mostTags <= (KEY_LIFE_MS / 10_000) * perBurst, `${node.mostTags} tags`);
});

/** Restarts it every two seconds under a flood, for as long as a key lives. */
function restarted(node: FloodedNode): FloodedNode {
  while (node.nowMs < KEY_LIFE_MS) {
    node.run(2_000, flood);
    node.restart();
  }
  return node;
}

t.test('restarts earn nothing, and what came before them still counts', async (t) => {
  const node = restarted(new FloodedNode(options(t)));
  t.strictSame(Object.keys(node.drops), ['over-share']);
  t.ok(node.mostTags <= MOST_TAGS, `${node.mostTags} tags`);
});

t.test('if a new process had its bursts for nothing, restarts would add to the tags', async (t) => {
  const rested = (startMs: number) => new FairPolicer<string>(ACCEPTED, monotonic(startMs - 10_000));
  const node = restarted(new FloodedNode(options(t, rested)));
  t.ok(node.mostTags > 1.3 * MOST_TAGS, `${node.mostTags} tags`);
});

t.test('a machine that measures less after a restart, or more, keeps its key and fills no filter', async (t) => {
  const node = new FloodedNode(options(t));
  for (const perSecond of [ACCEPTED, ACCEPTED / 10, 2 * ACCEPTED, ACCEPTED / 2]) {
    node.restart(perSecond);
    const before = node.mostTags;
    node.run(KEY_LIFE_MS / 4 - 10, flood);
    t.ok(node.mostTags >= before, 'the tags of before are known');
  }
  t.strictSame(Object.keys(node.drops), ['over-share']);
});

/** Packets per second: more than a filter has room for by the bursts of all links alone. */
const FAST = 1_200;

/** A node that finds out, while a flood comes in the life of one key, that its machine carries many times what it seemed to. */
function faster(t: Test, roomPerSecond: number): FloodedNode {
  const node = new FloodedNode({ ...options(t), perSecond: 100, mostPerSecond: FAST, roomPerSecond });
  node.aim = (keys) => keys.find(({ epoch }) => epoch === 1000);
  const flood = offering(() => 1.1 * FAST);
  node.run(1_000, flood);
  node.measure(FAST);
  node.run(KEY_LIFE_MS - 1_000, flood);
  return node;
}

t.test('a machine that turns out to be faster while a key lives fills no filter', async (t) => {
  const node = faster(t, FAST);
  t.strictSame(Object.keys(node.drops), ['over-share']);
  t.ok(node.acceptedRate > 0.95 * FAST, `${node.acceptedRate} packets a second`);
});

t.test('a filter with room for what the machine seemed to carry would be full', async (t) => {
  t.ok((faster(t, 100).drops['replay-full'] ?? 0) > 0);
});

t.test('the rate is what memory, operator and machine all allow', async (t) => {
  const terms = { replayMemoryMiB: 512, epochMs: 3_600_000 };
  t.equal(Math.floor(acceptedRate(Number.POSITIVE_INFINITY, terms)), 10_168, '512 MiB at epochs of an hour');
  t.equal(acceptedRate(5_000, terms), 5_000);
  t.equal(acceptedRate(5_000, { ...terms, maxPacketsPerSecond: 100 }), 100);
  t.equal(acceptedRate(5_000, { ...terms, replayMemoryMiB: 1, epochMs: 604_800_000 }), 1, 'never nothing');
});
