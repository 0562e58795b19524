/** Whatever is changed in a signed document, it is refused; whatever rules a document breaks, one of them is named. */

import fc from 'fast-check';
import t from 'tap';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import { encodeEnvelope, MAX_TRIES_PER_SIGNER, sign } from '../../lib/directory/envelope.ts';
import { ConsensusStore, type Refusal, signDocument, Verifier } from '../../lib/directory/index.ts';
import { admissionOf, CLOSED, OPEN } from '../support/admission.ts';
import {
  consensusOf,
  crypto,
  descriptorOf,
  draft,
  keys,
  outcome,
  signedConsensus,
  signedDescriptor,
  testNetwork,
} from '../support/signed-documents.ts';
import { unix } from '../support/units.ts';

fc.configureGlobal({ seed: 20_260 });

const network = testNetwork();
const verifier = new Verifier(network, crypto);
const EPOCH = 1000;
const EPOCH_MS = 60_000;
const NOW_MS = EPOCH * EPOCH_MS + 30_000;

const descriptor = descriptorOf(network, 1, draft('mixnode', [EPOCH, EPOCH + 1]), NOW_MS);
const documents = {
  consensus: { text: signedConsensus(network, EPOCH), read: (text: string) => verifier.consensus(text) },
  descriptor: { text: signedDescriptor(1, descriptor), read: (text: string) => verifier.descriptor(text) },
};

for (const [kind, { text, read }] of Object.entries(documents)) {
  const bytes = Buffer.from(text, 'utf8');

  t.test(`${kind}: any flipped bits of any byte, and it is refused`, async (t) => {
    t.doesNotThrow(() => read(text));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ bits;
        return outcome(() => read(flipped.toString('utf8'))) !== 'accepted';
      }),
      { numRuns: 1500 },
    );
  });

  t.test(`${kind}: cut short, spliced, or with something put in, it is refused`, async (t) => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(40), fc.string({ maxLength: 40 }), (at, length, put) => {
        const spliced = text.slice(0, at) + put + text.slice(at + length);
        // White space between the tokens of the envelope changes nothing that is signed.
        if (spliced === text || (length === 0 && put.trim() === '')) return true;
        return outcome(() => read(spliced)) !== 'accepted';
      }),
      { numRuns: 800 },
    );
    t.pass();
  });

  t.test(`${kind}: no text makes the reader fail otherwise than by refusing`, async (t) => {
    const value = fc.oneof(fc.jsonValue(), fc.record({ payload: fc.json(), signatures: fc.jsonValue() }));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          value.map((one) => JSON.stringify(one)),
        ),
        (junk) => {
          return outcome(() => read(junk)) !== 'accepted';
        },
      ),
      { numRuns: 500 },
    );
    t.pass();
  });
}

t.test('consensus: rules broken in any combination, one of them is named', async (t) => {
  const rules: Record<string, { change: object; reasons: Refusal[] }> = {
    time: { change: { validUntilMs: 9e15 }, reasons: ['malformed'] },
    network: { change: { network: '0'.repeat(64) }, reasons: ['wrong-network'] },
    params: {
      change: { params: { ...DEFAULT_PARAMS, epochMs: EPOCH_MS, payloadBytes: 8192 } },
      reasons: ['wrong-params'],
    },
    key: { change: { colour: 'red' }, reasons: ['malformed'] },
    signature: { change: {}, reasons: ['bad-signature'] },
    stranger: { change: {}, reasons: ['bad-signature'] },
    clock: { change: {}, reasons: ['past-epoch', 'future-epoch', 'expired'] },
  };
  const seal = (broken: string[]) => {
    const changes = Object.assign({}, ...broken.map((name) => rules[name]?.change));
    const payload = JSON.stringify({ ...consensusOf(network, EPOCH), ...changes });
    const signature = sign('consensus', payload, keys(broken.includes('stranger') ? 7 : 1000).seed, crypto);
    const zeros = { ...signature, signature: '0'.repeat(128) };
    return encodeEnvelope({ payload, signatures: [broken.includes('signature') ? zeros : signature] });
  };
  fc.assert(
    fc.property(fc.shuffledSubarray(Object.keys(rules)), fc.constantFrom(-50, -1, 2, 50), (broken, away) => {
      const nowMs = broken.includes('clock') ? NOW_MS - away * EPOCH_MS : NOW_MS;
      const got = outcome(() => new ConsensusStore(verifier).offer(seal(broken), unix(nowMs), 'authority'));
      if (broken.length === 0) return got === 'accepted';
      return broken.some((name) => rules[name]?.reasons.some((reason) => reason === got));
    }),
    { numRuns: 400 },
  );
  t.pass();
});

t.test('descriptor: rules broken in any combination, one of them is named', async (t) => {
  const rules: Record<string, { change: object; reasons: Refusal[] }> = {
    network: { change: { network: '0'.repeat(64) }, reasons: ['wrong-network'] },
    clock: { change: { publishedMs: NOW_MS - 60_000 }, reasons: ['clock-skew'] },
    epochs: { change: { sphinxKeys: [{ epoch: EPOCH + 1, key: '1'.repeat(64) }] }, reasons: ['key-epochs'] },
    layer: { change: { layer: 7 }, reasons: ['malformed'] },
    port: { change: { port: 0 }, reasons: ['malformed'] },
    unknown: { change: { colour: 'red' }, reasons: ['malformed'] },
    signature: { change: {}, reasons: ['bad-signature'] },
    member: { change: {}, reasons: ['not-a-member'] },
    full: { change: {}, reasons: ['full'] },
  };
  fc.assert(
    fc.property(fc.shuffledSubarray(Object.keys(rules)), (broken) => {
      const changes = Object.assign({}, ...broken.map((name) => rules[name]?.change));
      const changed = { ...descriptor, ...changes };
      const text = signDocument('descriptor', changed, keys(broken.includes('signature') ? 2 : 1).seed, crypto);
      const admission = admissionOf(
        verifier,
        broken.includes('member') ? CLOSED : OPEN,
        broken.includes('full') ? 0 : 1,
      );
      const got = outcome(() => admission.accept(text, undefined, unix(NOW_MS)));
      if (broken.length === 0) return got === 'accepted';
      return broken.some((name) => rules[name]?.reasons.some((reason) => reason === got));
    }),
    { numRuns: 400 },
  );
  t.pass();
});

t.test(
  'threshold: a consensus is accepted if and only if enough distinct authorities signed it, in their first two',
  async (t) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.record({ signer: fc.nat(6), bad: fc.boolean() }), { maxLength: 8 }),
        (threshold, given) => {
          const four = testNetwork(4, threshold);
          const payload = JSON.stringify(consensusOf(four, EPOCH));
          const signatures = given.map(({ signer, bad }) => {
            const signature = sign('consensus', payload, keys(1000 + signer).seed, crypto);
            return bad
              ? { ...signature, signature: signature.signature.replace(/^./, (c) => (c === '0' ? '1' : '0')) }
              : signature;
          });
          const triesOf = (signer: number) =>
            given.filter((one) => one.signer === signer).slice(0, MAX_TRIES_PER_SIGNER);
          const enough = new Set([0, 1, 2, 3].filter((signer) => triesOf(signer).some(({ bad }) => !bad)));
          const got = outcome(() => new Verifier(four, crypto).consensus(encodeEnvelope({ payload, signatures })));
          return (got === 'accepted') === enough.size >= threshold;
        },
      ),
      { numRuns: 300 },
    );
    t.pass();
  },
);
