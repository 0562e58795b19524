/** The parts of voting: when, which votes count, what they come to, whose signatures. */
import t from 'tap';
import { canonicalJson } from '../../directory/voting/canonical-json.ts';
import { mergeBallots, quorumOf } from '../../directory/voting/merge.ts';
import { endOfRoundsMs, pollMs, roundAt, slotAt } from '../../directory/voting/schedule.ts';
import { maxSheetBytes, parseSheet, sheetText } from '../../directory/voting/sheet.ts';
import { SignedDocuments } from '../../directory/voting/signed-documents.ts';
import { type Ballot, MAX_BALLOT_BYTES, parseBallot, parseVote } from '../../directory/voting/vote.ts';
import { VoteBox } from '../../directory/voting/vote-box.ts';
import { toHex } from '../../lib/core/bytes.ts';
import { DEFAULT_PARAMS, type NetworkParams } from '../../lib/core/params.ts';
import { encodeEnvelope, sign } from '../../lib/directory/envelope.ts';
import { DOCUMENT_VERSION, MAX_NODES } from '../../lib/directory/index.ts';
import { Verifier } from '../../lib/directory/verify.ts';
import { crypto, key32, keys, testNetwork } from '../support/signed-documents.ts';
import { epochNumber, unix } from '../support/units.ts';

const EPOCH_MS = 60_000;
const GRACE_MS = EPOCH_MS / 6;
const network = testNetwork(4, 3);
const { networkIdHex } = new Verifier(network, crypto);
const quorum = quorumOf(network);
const params: NetworkParams = { ...DEFAULT_PARAMS, epochMs: EPOCH_MS };

/** A ballot that lists nodes by key, each with the n-th descriptor. */
function ballot(
  nodes: Readonly<Record<number, number>>,
  more: Partial<NetworkParams> = {},
  extra: object = {},
): Ballot {
  const lines = Object.entries(nodes).map(([n, digest]) => [keys(Number(n)).id, key32(digest)] as [never, string]);
  const sorted = lines.sort(([a], [b]) => (a < b ? -1 : 1));
  return { version: DOCUMENT_VERSION, params: { ...params, ...more }, nodes: sorted, ...extra };
}

const chosen = (ballots: readonly Ballot[]) =>
  Object.fromEntries(mergeBallots(ballots, quorum)?.nodes.map(([id, digest]) => [id, Number(`0x${digest}`)]) ?? []);
const nodes = (expected: Readonly<Record<number, number>>) =>
  Object.fromEntries(Object.entries(expected).map(([n, digest]) => [keys(Number(n)).id, digest]));

t.test('a node is in when more than half of the ballots list it, and two the same descriptor', async (t) => {
  t.same(chosen([ballot({ 1: 1 }), ballot({ 1: 1 }), ballot({ 1: 1 }), ballot({})]), nodes({ 1: 1 }));
  t.same(chosen([ballot({ 1: 1 }), ballot({ 1: 1 }), ballot({}), ballot({})]), {}, 'half is not more than half');
  t.same(chosen([ballot({ 1: 1 }), ballot({ 1: 1 }), ballot({})]), nodes({ 1: 1 }), 'of three that count');
  t.same(chosen([ballot({ 1: 1 }), ballot({ 1: 2 }), ballot({ 1: 3 }), ballot({ 1: 4 })]), {}, 'each another');
  t.same(chosen([ballot({ 1: 1 }), ballot({ 1: 2 }), ballot({ 1: 2 }), ballot({})]), nodes({ 1: 2 }));
  t.same(chosen([ballot({ 1: 9 }), ballot({ 1: 8 }), ballot({ 1: 9 }), ballot({ 1: 8 })]), nodes({ 1: 8 }), 'a tie');
  t.equal(mergeBallots([ballot({ 1: 1 }), ballot({ 1: 1 })], quorum), undefined, 'fewer than the threshold');
});

t.test('the order of the ballots does not matter', async (t) => {
  const all = [
    ballot({ 1: 1, 2: 1 }, { meanDelayMs: 15, nodeLoopRate: 3 }),
    ballot({ 2: 2, 3: 1 }, { meanDelayMs: 40 }, { previous: { epoch: 7, digest: key32(1) } }),
    ballot({ 1: 1, 2: 2, 3: 1 }, { meanDelayMs: 200 }, { previous: { epoch: 7, digest: key32(1) } }),
    ballot({ 1: 3, 3: 1 }, { meanDelayMs: 41 }, { previous: { epoch: 7, digest: key32(1) } }),
  ];
  const orders = all.map((_, i) => [...all.slice(i), ...all.slice(0, i)]);
  t.equal(new Set(orders.map((order) => canonicalJson(mergeBallots(order, quorum)))).size, 1);
  t.same(mergeBallots(all, quorum)?.previous, { epoch: 7, digest: key32(1) });
  t.equal(mergeBallots(all.slice(0, 3), quorum)?.previous?.epoch, 7, 'two of three name it');
  t.equal(mergeBallots([...all.slice(0, 2), ballot({})], quorum)?.previous, undefined, 'one of three does not do');
});

t.test('parameters are the lower medians, classes those of more than half', async (t) => {
  const merged = (...several: Partial<NetworkParams>[]) =>
    mergeBallots(
      several.map((one) => ballot({}, one)),
      quorum,
    )?.params;
  const delays = (...ms: number[]) => merged(...ms.map((meanDelayMs) => ({ meanDelayMs })))?.meanDelayMs;
  t.equal(delays(1, 2, 600_000), 2);
  t.equal(delays(600_000, 2, 3, 0), 2);
  t.equal(delays(0, 40, 40, 40), 40);
  const rates = (mainRate: number) => ({ mainRate, replyRate: 10, loopRate: 0, dropRate: 0, deliveryRate: 20 });
  const { classes } = params;
  const more = merged({ classes: { ...classes, slow: rates(1) } }, { classes: { ...classes, slow: rates(3) } }, {});
  t.same(more?.classes.slow, rates(1));
  t.notOk(merged({ classes: { ...classes, slow: rates(1) } }, {}, {})?.classes.slow);
  const odd = (replyRate: number, loopRate: number) => {
    const standard = { mainRate: 1, dropRate: 0, replyRate, loopRate, deliveryRate: 1.2 * (replyRate + loopRate) };
    return { classes: { ...classes, standard } };
  };
  const sums = merged(odd(10, 10), odd(10, 0), odd(0, 10))?.classes.standard;
  t.same([sums?.replyRate, sums?.loopRate, sums?.deliveryRate], [10, 10, 24], 'the delivery clock follows the sum');
});

const SLOT = { epoch: epochNumber(1000), attempt: 0, startMs: unix(0), roundMs: 1000, rounds: 2 };
const box = (own = 3) => new VoteBox({ network, networkIdHex, ...SLOT, identitySeed: keys(1000 + own).seed, crypto });

const ballotText = (meanDelayMs = 15) => canonicalJson(ballot({ 1: 1 }, { meanDelayMs }));
/** A vote of authority 0 for `text`, signed by `signers`. */
function vote(text: string, signers: readonly number[], extra: object = {}): string {
  const payload = canonicalJson({
    version: DOCUMENT_VERSION,
    network: networkIdHex,
    epoch: SLOT.epoch,
    attempt: 0,
    authority: keys(1000).id,
    ballot: toHex(crypto.sha256(Buffer.from(text))),
    ...extra,
  });
  return encodeEnvelope({
    payload,
    signatures: signers.map((n) => sign('vote', payload, keys(1000 + n).seed, crypto)),
  });
}

t.test('in round r a vote needs the signatures of r authorities, its author among them', async (t) => {
  const text = ballotText();
  const take = (signers: readonly number[], round: number, extra = {}) =>
    box().take(vote(text, signers, extra), text, round);
  t.equal(take([0], 1), 'accepted');
  t.equal(take([0], 2), 'late');
  t.equal(take([0, 1], 2), 'accepted');
  t.equal(take([0, 1, 2], 3), 'late', 'after the last round');
  t.equal(take([1, 2], 1), 'refused', 'without the author');
  t.equal(take([0, 0], 2), 'late', 'one signer twice');
  t.equal(take([0, 7], 2), 'late', 'no authority');
  t.equal(take([0], 1, { authority: keys(5).id }), 'refused');
  t.equal(take([0], 1, { epoch: 999 }), 'refused');
  t.equal(take([0], 1, { attempt: 1 }), 'refused', 'of another voting');
  t.equal(take([0], 1, { network: key32(1) }), 'refused');
  t.equal(box().take(vote(text, [0]), ballotText(16), 1), 'refused', 'another ballot');
  t.equal(box().take('{}', text, 1), 'refused');
});

t.test('an accepted vote is signed and passed on; one author with two does not count', async (t) => {
  const held = box(3);
  const first = ballotText();
  t.equal(held.ballotWanted(vote(first, [0]), 1)?.length, 64);
  held.take(vote(first, [0]), first, 1);
  t.equal(held.ballotWanted(vote(first, [0]), 1), undefined, 'it is there');
  const signers = () => held.envelopes().map((text) => (JSON.parse(text) as { signatures: [] }).signatures.length);
  t.same(signers(), [2]);
  t.equal(held.take(vote(first, [0, 1]), undefined, 2), 'known');
  t.same(signers(), [3], 'signatures are gathered');
  t.equal(held.counted().length, 1);
  t.equal(held.ballotText(held.counted()[0]?.vote.ballot ?? ''), first);
  const second = ballotText(16);
  t.equal(held.take(vote(second, [0]), second, 2), 'late');
  t.equal(held.twoVotes.length, 1, 'too late to be accepted, and evidence all the same');
  t.equal(held.counted().length, 1);
  t.equal(held.take(vote(second, [0, 2]), second, 2), 'accepted');
  t.equal(held.counted().length, 0);
  t.equal(held.take(vote(ballotText(17), [0, 2]), ballotText(17), 2), 'refused', 'two are enough to know');
  t.equal(held.ballotWanted(vote(ballotText(17), [0, 2]), 2), undefined);
});

t.test('a ballot that does not fit the network is not accepted', async (t) => {
  for (const [what, text] of [
    ['another length of epoch', canonicalJson(ballot({ 1: 1 }, { epochMs: 120_000 }))],
    ['not JSON', '{'],
    ['an unknown key', canonicalJson({ ...ballot({ 1: 1 }), extra: 1 })],
    ['a node twice', canonicalJson({ ...ballot({}), nodes: [1, 1].map((n) => [keys(n).id, key32(1)]) })],
    ['out of order', canonicalJson({ ...ballot({}), nodes: [...ballot({ 1: 1, 2: 1 }).nodes].reverse() })],
    [
      'contradictory parameters',
      canonicalJson(ballot({}, { session: { ...params.session, pingMs: 60_000, deadPeerMs: 100_000 } })),
    ],
  ] as const) {
    t.equal(box().take(vote(text, [0]), text, 1), 'refused', what);
  }
  const lines = Array.from({ length: MAX_NODES }, (_, n) => [
    key32(n).replace(/^0{16}/, n.toString(16).padStart(16, '0')),
    key32(n),
  ]);
  const full = canonicalJson({ ...ballot({}), nodes: lines });
  t.ok(full.length < MAX_BALLOT_BYTES, 'a full network fits');
  t.equal(parseBallot(full).nodes.length, MAX_NODES);
  t.throws(() => parseVote('x'.repeat(2000)), { code: 'DOCUMENT' });
});

t.test('of each signer one document is held; a second one is evidence', async (t) => {
  const documents = new SignedDocuments(network, crypto, (payload) => payload !== 'of another epoch');
  const give = (payload: string, ...signers: number[]) => {
    const signatures = signers.map((n) => sign('consensus', payload, keys(1000 + n).seed, crypto));
    documents.take(toHex(crypto.sha256(Buffer.from(payload))), signatures, payload);
  };
  give('one', 0, 1);
  t.equal(documents.complete, undefined);
  give('one', 1, 9);
  t.equal(documents.all[0]?.signatures.size, 2, 'strangers do not count');
  give('two', 1);
  t.equal(documents.all.length, 1, 'of a liar alone: on the record, and not held');
  t.same(
    documents.twoDocuments.map(({ authority }) => authority),
    [keys(1001).id],
  );
  give('three', 1, 2);
  t.equal(documents.all.length, 2, 'another signer of it may be honest');
  t.equal(documents.twoDocuments.length, 1, 'one pair is enough');
  give('one', 3);
  t.match(documents.complete, /^\{"payload":"one"/);
  t.notOk(documents.wants(key32(1), [keys(1001).id]), 'the word of one who signs all things is not followed');
  t.ok(documents.wants(key32(1), [keys(1001).id, keys(1003).id]));
  t.throws(() => documents.take(key32(1), [], 'one'), { code: 'DOCUMENT' });
  t.throws(() => give('of another epoch', 0, 1, 2, 3), { code: 'DOCUMENT' });
  t.equal(documents.twoDocuments.length, 1, 'whoever signed a document of another epoch as well is no liar');
});

t.test('the next epoch is voted on before the turn, the present one at once while it has no consensus', async (t) => {
  const at = (ms: number, isSettled = true) => slotAt(unix(1000 * EPOCH_MS + ms), EPOCH_MS, 2, isSettled);
  t.equal(at(0), undefined);
  t.same(at(0, false), { epoch: 1000, attempt: 1, startMs: 1000 * EPOCH_MS, roundMs: GRACE_MS / 4, rounds: 2 });
  t.equal(at(7_499, false)?.attempt, 1);
  t.equal(at(7_500, false)?.attempt, 2);
  t.equal(at(53_000, false), undefined, 'no time for another one before the next epoch is voted on');
  const next = at(EPOCH_MS - (5 * GRACE_MS) / 8, false);
  t.match(next, { epoch: 1001, attempt: 0, rounds: 2 });
  if (next === undefined) return;
  t.equal(endOfRoundsMs(next), 1001 * EPOCH_MS - (3 * GRACE_MS) / 16);
  t.same(
    [-1, 0, next.roundMs - 1, next.roundMs, 2 * next.roundMs].map((ms) => roundAt(next, unix(next.startMs + ms))),
    [1, 1, 1, 2, 3],
  );
  t.ok(pollMs(next, EPOCH_MS) <= next.roundMs / 8);
  t.equal(slotAt(unix(1000 * 3_600_000), 3_600_000, 2, false)?.roundMs, 5_000, 'of an hour too');
});

t.test('a sheet is read as it was written, and strictly', async (t) => {
  const signature = { signer: keys(1).id, signature: '0'.repeat(128) };
  const votes = Array.from({ length: 8 }, (_, i) => vote(ballotText(i), [0, 1, 2, 3]));
  const documents = [{ digest: key32(1), signatures: [signature] }];
  const head = { version: DOCUMENT_VERSION, network: networkIdHex, epoch: epochNumber(1000), attempt: 3 } as const;
  const result = { digest: key32(2), signature: '0'.repeat(128) };
  const text = sheetText({ ...head, result, votes, documents });
  t.same(parseSheet(text), { ...head, result, votes, documents });
  t.ok(text.length <= maxSheetBytes(4));
  for (const bad of ['', '[]', text.replace('"attempt":3', '"attempt":-1'), text.replace('{"v', '{"w":1,"v')]) {
    t.throws(() => parseSheet(bad), { code: 'DOCUMENT' });
  }
});
