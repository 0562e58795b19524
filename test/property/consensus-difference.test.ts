/** A consensus as its difference from an earlier one: what comes out is the later one to the byte, or nothing. */
import fc from 'fast-check';
import t from 'tap';
import {
  applyDifference,
  consensusDifference,
  type DifferenceEnd,
  MAX_DIFFERENCE_BYTES,
} from '../../lib/directory/consensus-difference.ts';
import { encodeEnvelope } from '../../lib/directory/envelope.ts';
import { DocumentRefused } from '../../lib/directory/index.ts';
import { editsBetween } from '../../lib/directory/text-edits.ts';
import { payloadDigest } from '../../lib/directory/verify.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { crypto, key32, keys } from '../support/signed-documents.ts';

const SIGNATURE = { signer: keys(1000).id, signature: '5'.repeat(128) };

function endOf(payload: string, signatures = [SIGNATURE]): DifferenceEnd {
  return { text: encodeEnvelope({ payload, signatures }), digest: payloadDigest(payload, crypto) };
}

const payloadIn = (text: string) => (JSON.parse(text) as { payload: string }).payload;

/** What is refused, and why; a fault of any other kind fails the test. */
function applied(difference: Uint8Array, base: DifferenceEnd): string | DocumentRefused {
  try {
    return applyDifference(difference, base, crypto);
  } catch (error) {
    if (error instanceof DocumentRefused) return error;
    throw error;
  }
}

const node = fc.record({
  id: fc.nat(60),
  name: fc.constantFrom('mix', 'gateway', 'exit'),
  maxClients: fc.option(fc.nat(30), { nil: undefined }),
  keyOf: fc.nat(200),
});
const list = fc.record({
  epoch: fc.nat(3),
  nodes: fc.uniqueArray(node, { selector: ({ id }) => id, maxLength: 40 }),
});

type List = typeof list extends fc.Arbitrary<infer T> ? T : never;

/** Two lists of one network share nodes and keys. */
function payloadOf({ epoch, nodes }: List): string {
  const sorted = [...nodes].sort((a, b) => a.id - b.id);
  return JSON.stringify({
    epoch,
    validAfterMs: epoch * 3_600_000,
    nodes: sorted.map(({ id, name, maxClients, keyOf }) => ({
      identity: keys(id).id,
      name: `${name}-${id}`,
      ...(maxClients === undefined ? {} : { maxClients }),
      sphinxKeys: [0, 1].map((ahead) => ({ epoch: epoch + ahead, key: keys(100 + ((keyOf + ahead) % 20)).id })),
    })),
  });
}

t.test('the difference of two lists of nodes, applied to the first, gives the second with its signatures', async () => {
  const signatures = fc
    .array(fc.constantFrom(0, 1, 2), { maxLength: 5 })
    .map((signers) => signers.map((n) => ({ signer: keys(1000 + n).id, signature: String(n).repeat(128) })));
  fc.assert(
    fc.property(list, list, signatures, (one, other, signed) => {
      const [base, target] = [endOf(payloadOf(one)), endOf(payloadOf(other), signed)];
      return applied(consensusDifference(base, target), base) === target.text;
    }),
  );
});

const wellFormed = (text: string) => Buffer.from(text, 'utf8').toString('utf8');

t.test('so does that of any two texts', async () => {
  const text = fc.oneof(
    fc.string({ maxLength: 300 }),
    fc.string({ unit: 'grapheme', maxLength: 100 }),
    fc
      .array(fc.constantFrom('abcdefgh', '{"', '":', key32(5), ',', '0', ' é '), { maxLength: 80 })
      .map((all) => all.join('')),
  );
  fc.assert(
    fc.property(text, text, (one, other) => {
      const [base, target] = [endOf(wellFormed(one)), endOf(wellFormed(other))];
      return applied(consensusDifference(base, target), base) === target.text;
    }),
  );
});

t.test('copies take only what is there when they are made', async () => {
  const word = fc.constantFrom('alpha-', 'beta_beta_beta_beta', '"},{"', 'x');
  const text = fc.array(word, { maxLength: 60 }).map((all) => all.join(''));
  fc.assert(
    fc.property(text, text, (one, other) => {
      let made = one;
      for (const edit of editsBetween(one, other)) {
        if ('from' in edit && edit.from + edit.length > made.length) return false;
        made += 'from' in edit ? made.slice(edit.from, edit.from + edit.length) : edit.text;
      }
      return made.slice(one.length) === other;
    }),
  );
});

t.test('any bytes, and any damage to a difference, are refused by the typed error, or change nothing', async () => {
  const base = endOf(payloadOf({ epoch: 1, nodes: [{ id: 1, name: 'mix', maxClients: 3, keyOf: 7 }] }));
  const target = endOf(payloadOf({ epoch: 2, nodes: [{ id: 2, name: 'exit', maxClients: undefined, keyOf: 9 }] }));
  const good = consensusDifference(base, target);
  const head = good.subarray(0, 69 + 96);
  const damage = fc.record({
    at: fc.nat(good.length - 1),
    by: fc.integer({ min: 1, max: 255 }),
    cut: fc.nat(good.length),
  });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), damage, (bytes, { at, by, cut }) => {
      const damaged = Buffer.from(good);
      damaged[at] = (damaged[at] as number) ^ by;
      const tries = [bytes, Buffer.concat([good.subarray(0, 64), bytes]), Buffer.concat([head, bytes])];
      const isRefused = [...tries, good.subarray(0, cut % good.length)].every(
        (one) => typeof applied(one, base) !== 'string',
      );
      const result = applied(damaged, base);
      const isSamePayload = typeof result !== 'string' || payloadIn(result) === payloadIn(target.text);
      return isRefused && isSamePayload;
    }),
    { numRuns: 500 },
  );
});

t.test('a network of 600 in an hour in which every key turns: a seventh of the whole', async (t) => {
  const rng = seededRng(5);
  const id = () => Buffer.from(rng.bytes(32)).toString('hex');
  const nodes = Array.from({ length: 600 }, () => ({
    identity: id(),
    host: '203.0.113.7',
    port: 9001,
    keys: [id(), id()],
  }));
  const at = (epoch: number, from: number) =>
    endOf(
      JSON.stringify({
        epoch,
        nodes: nodes.map(({ keys: both, ...record }) => ({
          role: 'mixnode',
          layer: 1,
          ...record,
          name: `node-${record.identity.slice(0, 6)}`,
          sphinxKeys: [0, 1].map((ahead) => ({ epoch: epoch + ahead, key: both[from + ahead] ?? id() })),
        })),
      }),
    );
  const [base, target] = [at(491_000, 0), at(491_001, 1)];
  const difference = consensusDifference(base, target);
  t.equal(applied(difference, base), target.text);
  t.ok(difference.length < target.text.length / 6, `${difference.length} of ${target.text.length} bytes`);
});

t.test('one that is too long, or would make too much, is refused before any work', async (t) => {
  const base = endOf('{}');
  t.match(applied(new Uint8Array(MAX_DIFFERENCE_BYTES + 1), base), { reason: 'oversize' });
  const good = consensusDifference(base, endOf('{"a":1}'));
  good.writeUInt32BE(0xffff_ffff, 64);
  t.match(applied(good, base), { reason: 'oversize' });
});
