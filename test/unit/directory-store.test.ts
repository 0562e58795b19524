/** Which consensus a member accepts, and when. */

import t from 'tap';
import { toHex } from '../../lib/core/bytes.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import { MAX_EVIDENCE } from '../../lib/directory/client/consensus-store.ts';
import { type Envelope, encodeEnvelope, sign } from '../../lib/directory/envelope.ts';
import { ConsensusStore, type NetworkFile, networkId, signDocument, Verifier } from '../../lib/directory/index.ts';
import {
  consensusOf,
  crypto,
  keys,
  outcome,
  records,
  signedConsensus,
  testNetwork,
} from '../support/signed-documents.ts';
import { epochNumber, unix } from '../support/units.ts';

const network = testNetwork();
const EPOCH_MS = 60_000;
const GRACE_MS = EPOCH_MS / 6;
const EPOCH = 1000;
const START_MS = EPOCH * EPOCH_MS;
const NOW_MS = START_MS + 20_000;

function store(of: NetworkFile = network): ConsensusStore {
  return new ConsensusStore(new Verifier(of, crypto));
}

const offered = (text: string, nowMs = NOW_MS, from: 'authority' | 'gateway' | 'cache' = 'authority', of = network) =>
  outcome(() => store(of).offer(text, unix(nowMs), from));

t.test('the consensus of this epoch is accepted', async (t) => {
  const s = store();
  t.equal(s.offer(signedConsensus(network, EPOCH), unix(NOW_MS), 'authority'), 'new');
  t.equal(s.offer(signedConsensus(network, EPOCH), unix(NOW_MS), 'authority'), 'known');
  t.equal(s.inForce(unix(NOW_MS))?.epoch, EPOCH);
  t.same(s.texts(unix(NOW_MS)), [signedConsensus(network, EPOCH)]);
});

t.test('what a gateway hands on may be of the epoch before', async (t) => {
  t.equal(offered(signedConsensus(network, EPOCH - 1), NOW_MS, 'gateway'), 'accepted');
  t.equal(offered(signedConsensus(network, EPOCH - 2), NOW_MS, 'gateway'), 'expired');
  t.equal(offered(signedConsensus(network, EPOCH + 1), NOW_MS, 'gateway'), 'future-epoch');
  const s = store();
  s.offer(signedConsensus(network, EPOCH), unix(NOW_MS), 'authority');
  t.equal(
    outcome(() => s.offer(signedConsensus(network, EPOCH - 1), unix(NOW_MS), 'gateway')),
    'rollback',
  );
});

t.test('of one signer two signatures are verified, whoever sends more', async (t) => {
  const { payload, signatures } = JSON.parse(signedConsensus(network, EPOCH)) as Envelope;
  const bad = sign('consensus', 'another document', keys(1000).seed, crypto);
  let verified = 0;
  const counting = {
    ...crypto,
    ed25519Verify: (...of: Parameters<typeof crypto.ed25519Verify>) => {
      verified += 1;
      return crypto.ed25519Verify(...of);
    },
  };
  const offer = (falseOnes: number) => {
    verified = 0;
    const text = encodeEnvelope({ payload, signatures: [...Array(falseOnes).fill(bad), ...signatures] });
    return outcome(() => new ConsensusStore(new Verifier(network, counting)).offer(text, unix(NOW_MS), 'authority'));
  };
  t.equal(offer(1), 'accepted', 'one that somebody has added does no harm');
  t.equal(offer(63), 'bad-signature');
  t.equal(verified, 2);
});

t.test('what only a gateway has given is still asked for', async (t) => {
  const s = store();
  const epoch = epochNumber(EPOCH);
  s.offer(signedConsensus(network, EPOCH), unix(NOW_MS), 'gateway');
  t.equal(s.inForce(unix(NOW_MS))?.epoch, EPOCH);
  t.equal(s.originOf(epoch), 'gateway');
  t.notOk(s.isConfirmed(epoch));
  s.offer(signedConsensus(network, EPOCH), unix(NOW_MS), 'authority');
  t.ok(s.isConfirmed(epoch));
});

t.test('others can use the consensus in force and the next, not the one before', async (t) => {
  const s = store();
  for (const by of [-1, 0]) s.offer(signedConsensus(network, EPOCH + by), unix(NOW_MS), 'cache');
  const epochs = (ms: number) => s.usable(unix(ms)).map(({ epoch }) => epoch - EPOCH);
  t.strictSame(epochs(NOW_MS), [0]);
  s.offer(signedConsensus(network, EPOCH + 1), unix(START_MS + EPOCH_MS - GRACE_MS), 'authority');
  t.strictSame(epochs(START_MS + EPOCH_MS - 1), [0, 1]);
  t.strictSame(epochs(START_MS + EPOCH_MS), [1]);
  t.strictSame(epochs(START_MS + 3 * EPOCH_MS), []);
});

t.test('a consensus of another time is refused', async (t) => {
  t.equal(offered(signedConsensus(network, EPOCH - 1)), 'past-epoch');
  t.equal(offered(signedConsensus(network, EPOCH - 1), START_MS), 'past-epoch', 'from the first moment of the epoch');
  t.equal(offered(signedConsensus(network, EPOCH - 2)), 'expired');
  t.equal(offered(signedConsensus(network, EPOCH - 500)), 'expired');
  t.equal(offered(signedConsensus(network, EPOCH + 1)), 'future-epoch');
  t.equal(offered(signedConsensus(network, EPOCH + 2), START_MS + EPOCH_MS - 1), 'future-epoch');
  t.equal(offered(signedConsensus(network, EPOCH + 1), START_MS + EPOCH_MS - GRACE_MS - 1), 'future-epoch');
  t.equal(offered(signedConsensus(network, EPOCH + 1), START_MS + EPOCH_MS - GRACE_MS), 'accepted', 'ahead by Δ');
  t.equal(
    offered(signedConsensus(network, EPOCH - 1), NOW_MS, 'cache'),
    'accepted',
    'the last good one, until it ends',
  );
  t.equal(offered(signedConsensus(network, EPOCH - 2), NOW_MS, 'cache'), 'expired');
});

t.test(
  'what is fetched ahead comes into force at the turn, not before; the old one stays until it expires',
  async (t) => {
    const s = store();
    const turnMs = START_MS + EPOCH_MS;
    s.offer(signedConsensus(network, EPOCH), unix(NOW_MS), 'authority');
    s.offer(signedConsensus(network, EPOCH + 1), unix(turnMs - 1000), 'authority');
    t.equal(s.inForce(unix(turnMs - 1))?.epoch, EPOCH);
    t.equal(s.inForce(unix(turnMs))?.epoch, EPOCH + 1);
    t.equal(s.inForce(unix(turnMs + 2 * EPOCH_MS - 1))?.epoch, EPOCH + 1);
    t.equal(s.inForce(unix(turnMs + 2 * EPOCH_MS)), undefined);
  },
);

t.test('nothing older than what has been in force is accepted', async (t) => {
  const s = store();
  s.offer(signedConsensus(network, EPOCH), unix(NOW_MS), 'authority');
  const before = NOW_MS - EPOCH_MS;
  t.equal(
    outcome(() => s.offer(signedConsensus(network, EPOCH - 1), unix(before), 'authority')),
    'rollback',
    'not even when the clock is set back',
  );
  t.equal(
    outcome(() => s.offer(signedConsensus(network, EPOCH - 1), unix(NOW_MS), 'cache')),
    'rollback',
  );
  t.equal(s.inForce(unix(before))?.epoch, EPOCH);
});

t.test('bad, foreign, misplaced and too few signatures are refused', async (t) => {
  const good = consensusOf(network, EPOCH);
  const payload = JSON.stringify(good);
  const seal = (...signatures: ReturnType<typeof sign>[]) => encodeEnvelope({ payload, signatures });
  const by = (n: number, type: 'consensus' | 'descriptor' = 'consensus') => sign(type, payload, keys(n).seed, crypto);
  const zero = '0'.repeat(128);
  t.equal(offered(seal(by(1000))), 'accepted');
  t.equal(offered(seal()), 'bad-signature');
  t.equal(offered(seal(by(7))), 'bad-signature', 'an unknown authority');
  t.equal(offered(seal({ signer: keys(1000).id, signature: by(7).signature })), 'bad-signature');
  t.equal(offered(seal({ signer: keys(1000).id, signature: zero })), 'bad-signature');
  t.equal(offered(seal(by(1000, 'descriptor'))), 'bad-signature', 'signed as another type of document');
  t.equal(offered(seal(by(7), by(1000))), 'accepted', 'a stranger does not spoil it');
  t.equal(offered(seal({ signer: keys(1000).id, signature: zero }, by(1000))), 'accepted');
  t.throws(() => store().offer(seal(by(7)), unix(NOW_MS), 'authority'), {
    message: /no authority of network.json has signed/,
  });
});

t.test('threshold counts distinct known authorities', async (t) => {
  const three = testNetwork(4, 3);
  const payload = JSON.stringify(consensusOf(three, EPOCH));
  const by = (n: number) => sign('consensus', payload, keys(n).seed, crypto);
  const offers = (...signatures: ReturnType<typeof sign>[]) =>
    offered(encodeEnvelope({ payload, signatures }), NOW_MS, 'authority', three);
  t.equal(offers(by(1000), by(1001), by(1003)), 'accepted');
  t.equal(offers(by(1000), by(1001)), 'below-threshold');
  t.equal(offers(by(1000), by(1001), by(1001), by(1001)), 'below-threshold', 'one authority counts once');
  t.equal(offers(by(1000), by(1001), by(1004)), 'below-threshold', 'strangers do not count');
  t.equal(offers(by(1000), by(1001), { ...by(1003), signature: by(1000).signature }), 'below-threshold');
  t.equal(offers({ ...by(1000), signature: by(1001).signature }, by(1000), by(1001), by(1002)), 'accepted');
});

t.test('a consensus of another network, or with other parameters than network.json, is refused', async (t) => {
  const other = testNetwork(1, 1, 61);
  t.equal(offered(signedConsensus(network, EPOCH, { network: toHex(networkId(other, crypto)) })), 'wrong-network');
  const slow = { ...DEFAULT_PARAMS, epochMs: 120_000 };
  const times = { validAfterMs: unix(0), freshUntilMs: unix(120_000), validUntilMs: unix(240_000) };
  const lonely = { epoch: epochNumber(0), nodes: [], ...times };
  t.equal(offered(signedConsensus(network, 0, { ...lonely, params: slow })), 'wrong-params');
  const big = { ...DEFAULT_PARAMS, epochMs: EPOCH_MS, payloadBytes: 8192 };
  t.equal(offered(signedConsensus(network, EPOCH, { params: big })), 'wrong-params');
});

t.test('two documents of one epoch: the first is kept, both are evidence, once', async (t) => {
  const s = store();
  const first = signedConsensus(network, EPOCH);
  const second = signedConsensus(network, EPOCH, { nodes: records(EPOCH).slice(0, 4) });
  s.offer(first, unix(NOW_MS), 'authority');
  for (let i = 0; i < 3; i++)
    t.equal(
      outcome(() => s.offer(second, unix(NOW_MS), 'authority')),
      'equivocation',
    );
  t.same(s.evidence, [{ epoch: EPOCH, signers: [keys(1000).id], documents: [first, second] }]);
  const { payload, signatures } = JSON.parse(second) as Envelope;
  const stranger = sign('consensus', 'another document', keys(7).seed, crypto);
  const disguised = encodeEnvelope({ payload, signatures: [...signatures, stranger] });
  t.equal(
    outcome(() => s.offer(disguised, unix(NOW_MS), 'authority')),
    'equivocation',
  );
  t.equal(s.evidence.length, 1, 'the same pair under one more signature is no other evidence');
  t.equal(s.inForce(unix(NOW_MS))?.nodes.length, 5);
  const forged = second.replace(/"signature":"(.)/, (_, digit) => `"signature":"${digit === 'f' ? '0' : 'f'}`);
  t.equal(
    outcome(() => s.offer(forged, unix(NOW_MS), 'authority')),
    'bad-signature',
    'what is not signed is no evidence',
  );
  t.equal(s.evidence.length, 1);
});

t.test('evidence of a past epoch counts too; it is bounded, one pair an epoch', async (t) => {
  const s = store();
  const other = (epoch: number, meanDelayMs: number) => {
    const params = { ...DEFAULT_PARAMS, epochMs: EPOCH_MS, meanDelayMs };
    return () => s.offer(signedConsensus(network, epoch, { params }), unix(NOW_MS), 'authority');
  };
  for (let i = 0; i < 2 * MAX_EVIDENCE; i++) {
    const epoch = EPOCH + i;
    s.offer(signedConsensus(network, epoch), unix(NOW_MS + i * EPOCH_MS), 'authority');
    for (const meanDelayMs of [20, 21]) t.equal(outcome(other(epoch, meanDelayMs)), 'equivocation');
    if (i > 0) t.equal(outcome(other(epoch - 1, 22)), 'equivocation', 'an epoch later');
  }
  t.same(
    s.evidence.map(({ epoch }) => epoch),
    Array.from({ length: MAX_EVIDENCE }, (_, i) => EPOCH + i),
  );
});

t.test('an answer with another epoch than asked for is refused, and still compared', async (t) => {
  const s = store();
  const asked = (text: string, epoch: number) => outcome(() => s.offer(text, unix(NOW_MS), 'authority', epoch));
  t.equal(asked(signedConsensus(network, EPOCH), EPOCH + 1), 'other-epoch');
  t.notOk(s.isConfirmed(epochNumber(EPOCH)));
  t.equal(asked(signedConsensus(network, EPOCH), EPOCH), 'accepted');
  t.equal(asked(signedConsensus(network, EPOCH), EPOCH + 1), 'other-epoch', 'held is not asked for');
  t.equal(asked(signedConsensus(network, EPOCH, { nodes: records(EPOCH).slice(0, 4) }), EPOCH + 1), 'equivocation');
});

t.test('an epoch later the same nodes signed by other authorities are the same document', async (t) => {
  const two = testNetwork(2, 1);
  const s = store(two);
  s.offer(signDocument('consensus', consensusOf(two, EPOCH), keys(1000).seed, crypto), unix(NOW_MS), 'authority');
  const again = signDocument('consensus', consensusOf(two, EPOCH), keys(1001).seed, crypto);
  t.equal(s.offer(again, unix(NOW_MS), 'authority'), 'known');
});

t.test('the store forgets what is far behind', async (t) => {
  const s = store();
  for (let i = 0; i < 20; i++) s.offer(signedConsensus(network, EPOCH + i), unix(NOW_MS + i * EPOCH_MS), 'authority');
  t.equal([...Array(20).keys()].filter((i) => s.isConfirmed(epochNumber(EPOCH + i))).length, 4);
  t.equal(s.texts(unix(NOW_MS + 19 * EPOCH_MS)).length, 2, 'and keeps for the cache what has not expired');
});
