/**
 * Attack: an authority, or somebody before it, answers with a difference that is none: of another consensus, cut off, copying what is not
 * there, growing without end, or one that makes a list of nodes of the attacker's. Or it says "not modified" for ever.
 *
 * Defence: what a difference makes is verified like a consensus that came whole. One that is refused, for whatever reason, is followed
 * by one request for the whole, and counted. "Not modified" is believed only about a document of the epoch that was asked for, which is
 * held and has its end.
 */
import t, { type Test } from 'tap';
import { varintBytes, writeVarint } from '../../lib/core/bytes.ts';
import {
  applyDifference,
  consensusDifference,
  DIFFERENCE_NAME,
  type DifferenceEnd,
} from '../../lib/directory/consensus-difference.ts';
import { type HttpRequest, signDocument, type VerifiedConsensus, Verifier } from '../../lib/directory/index.ts';
import { type Answer, type Bench, bench, epochAsked, willing } from '../support/directory-bench.ts';
import { consensusOf, crypto, keys, signedConsensus, testNetwork } from '../support/signed-documents.ts';

const EPOCH_SECONDS = 20;
const EPOCH_MS = 1000 * EPOCH_SECONDS;
const EPOCHS = 3;
const HOST = 'authority-0.test';
const network = testNetwork(1, 1, EPOCH_SECONDS);
const verifier = new Verifier(network, crypto);

const endOf = (epoch: number, text = signedConsensus(network, epoch)): VerifiedConsensus => verifier.consensus(text);
const asksForDifference = (request: HttpRequest) => request.headers?.['a-im'] === DIFFERENCE_NAME;
const base = (epoch: number) => endOf(epoch - 1);
const honest = (epoch: number) => consensusDifference(base(epoch), endOf(epoch));

/** An authority that is honest but for its differences. */
const differing =
  (make: (epoch: number) => Uint8Array): Answer =>
  (request, signal) => {
    const bytes = asksForDifference(request) ? make(epochAsked(request)) : undefined;
    return bytes === undefined ? willing(network)(request, signal) : { status: 226, text: '', bytes };
  };

/** A member for some epochs; in how many it had the consensus of the epoch. */
async function member(t: Test, answer: Answer): Promise<{ b: Bench; upToDate: number }> {
  const b = bench(t, network, { [HOST]: answer });
  await b.client.start();
  await b.run(1_000);
  let upToDate = 0;
  for (let i = 0; i < EPOCHS; i++) {
    await b.run(EPOCH_MS);
    if (b.client.topology()?.epoch === b.epoch) upToDate += 1;
  }
  return { b, upToDate };
}

async function differences(b: Bench): Promise<Record<string, number>> {
  const lines = (await b.metrics.text()).matchAll(/consensus_differences_total\{result="(\w+)"\} (\d+)/g);
  return Object.fromEntries([...lines].map(([, result = '', count]) => [result, Number(count)]));
}

const varint = (value: number) => {
  const bytes = new Uint8Array(varintBytes(value));
  writeVarint(bytes, 0, value);
  return bytes;
};
const HEAD_BYTES = 69 + 96;
/** The head of an honest difference with other edits. */
const edited = (epoch: number, numbers: readonly number[]) =>
  Buffer.concat([honest(epoch).subarray(0, HEAD_BYTES), ...numbers.map(varint)]);
const copy = (length: number, from: number) => [4 * length, from];
const payloadBytes = (epoch: number) => (JSON.parse(base(epoch).text) as { payload: string }).payload.length;

/** The edits of a difference may be right and its signatures none. */
function forged(epoch: number): VerifiedConsensus {
  const nodes = consensusOf(network, epoch).nodes.slice(0, 4);
  const text = signDocument('consensus', consensusOf(network, epoch, { nodes }), keys(3).seed, crypto);
  const { payload } = JSON.parse(text) as { payload: string };
  const digest = Buffer.from(crypto.sha256(Buffer.from(payload))).toString('hex');
  return { ...endOf(epoch), text, digest };
}

const changed = (epoch: number, at: number) => {
  const bytes = honest(epoch);
  bytes[at] = (bytes[at] as number) ^ 1;
  return bytes;
};

t.test('an honest authority gives every consensus after the first as a difference', async (t) => {
  const { b, upToDate } = await member(t, differing(honest));
  t.equal(upToDate, EPOCHS);
  t.strictSame(await differences(b), { used: EPOCHS });
  t.equal(b.asked.length, 1 + EPOCHS, 'one request for each');
});

t.test('an authority that knows no differences gives the whole to who asks for one', async (t) => {
  const { b, upToDate } = await member(t, willing(network));
  t.equal(upToDate, EPOCHS);
  t.strictSame(await differences(b), {});
  t.equal(b.asked.length, 1 + EPOCHS);
});

const HOSTILE: Readonly<Record<string, (epoch: number) => Uint8Array>> = {
  'that is empty': () => new Uint8Array(),
  'that is garbage': () => new Uint8Array(5_000).fill(0xa5),
  'that is cut off': (epoch) => honest(epoch).subarray(0, -7),
  'that is cut off before its edits': (epoch) => honest(epoch).subarray(0, HEAD_BYTES),
  'from a consensus that was not named': (epoch) => consensusDifference(endOf(epoch - 2), endOf(epoch)),
  'with a wrong digest of its result': (epoch) => changed(epoch, 40),
  'with a letter changed': (epoch) => changed(epoch, honest(epoch).length - 3),
  'with a signature changed': (epoch) => changed(epoch, HEAD_BYTES - 1),
  'that says it makes 4 GiB': (epoch) => Buffer.from(honest(epoch)).fill(0xff, 64, 68),
  'that makes more than it says': (epoch) =>
    edited(
      epoch,
      Array(40)
        .fill(copy(payloadBytes(epoch), 0))
        .flat(),
    ),
  'that writes more than it says': (epoch) => Buffer.concat([edited(epoch, [4 * 70_000 + 1]), Buffer.alloc(70_000)]),
  'that copies from behind its end': (epoch) => edited(epoch, copy(100, payloadBytes(epoch) - 50)),
  'that copies from itself without end': (epoch) => edited(epoch, copy(1_000_000, payloadBytes(epoch))),
  'of edits that add nothing': (epoch) => edited(epoch, Array(100_000).fill(copy(0, 0)).flat()),
  'with an edit of an unknown kind': (epoch) => edited(epoch, [4 * 10 + 3]),
  'that makes an old consensus': (epoch) => consensusDifference(base(epoch), endOf(epoch - 2)),
  'that makes a list of nodes of its own': (epoch) => consensusDifference(base(epoch), forged(epoch)),
};

for (const [what, make] of Object.entries(HOSTILE)) {
  t.test(`a difference ${what} costs one more request`, async (t) => {
    const { b, upToDate } = await member(t, differing(make));
    t.equal(upToDate, EPOCHS, 'the whole is used');
    t.equal(b.client.topology()?.nodes.length, 5);
    t.strictSame(await differences(b), { refused: EPOCHS });
    t.equal(b.asked.length, 1 + 2 * EPOCHS);
    t.equal(b.client.evidence.length, 0);
  });
}

t.test('a member that did not verify what a difference makes would be steered', async (t) => {
  const epoch = 1000;
  const start: DifferenceEnd = base(epoch);
  const text = applyDifference(consensusDifference(start, forged(epoch)), start, crypto);
  const { payload } = JSON.parse(text) as { payload: string };
  t.equal((JSON.parse(payload) as { nodes: [] }).nodes.length, 4, 'it is well formed');
  t.throws(() => verifier.consensus(text), /no authority of network.json has signed it/);
});

t.test(
  'who answers with a difference also where none is asked for has given nothing, and is asked seldom',
  async (t) => {
    const first = epochAsked;
    let from: number | undefined;
    const answer: Answer = (request, signal) => {
      from ??= first(request);
      if (first(request) === from) return willing(network)(request, signal);
      return { status: 226, text: '', bytes: new Uint8Array(100) };
    };
    const { b, upToDate } = await member(t, answer);
    t.equal(upToDate, 0);
    t.equal(b.client.topology(), undefined);
    t.ok(b.asked.length < 500, `${b.asked.length} requests in ${EPOCHS} epochs`);
    await t.rejects(Promise.all([b.client.waitForTopology(100), b.run(200)]), { message: /answered 226/ });
  },
);

t.test('"not modified" for ever keeps nobody on an old consensus: it ends, and the authority is named', async (t) => {
  let from: number | undefined;
  const answer: Answer = (request, signal) => {
    from ??= epochAsked(request);
    return epochAsked(request) === from ? willing(network)(request, signal) : { status: 304, text: '' };
  };
  const b = bench(t, network, { [HOST]: answer });
  await b.client.start();
  await b.run(1_000);
  const { epoch } = b;
  await b.run(EPOCH_MS);
  t.equal(b.client.topology()?.epoch, epoch, 'used beyond its epoch, while there is no newer one');
  await b.run(EPOCH_MS);
  t.equal(b.client.topology(), undefined, 'not beyond its end');
  t.ok(b.warnings.some((line) => line.includes('the last consensus has expired')));
  await t.rejects(Promise.all([b.client.waitForTopology(100), b.run(200)]), { message: /authority-0.*answered 304/ });
});

t.test('one of two authorities that says "not modified" for ever is passed over', async (t) => {
  const two = testNetwork(2, 1, EPOCH_SECONDS);
  const lying: Answer = () => ({ status: 304, text: '' });
  const b = bench(t, two, { [HOST]: willing(two), 'authority-1.test': lying });
  await b.client.start();
  await b.run(1_000);
  for (let i = 0; i < EPOCHS; i++) {
    await b.run(EPOCH_MS);
    t.equal(b.client.topology()?.epoch, b.epoch);
  }
});
