import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { parseAddress } from '../../lib/net/address-policy.ts';
import { decodeAnswer, encodeAnswer, MAX_ANSWER_BYTES } from '../../lib/net/resolve-answer.ts';

t.test('an answer has the bytes that the protocol says', async (t) => {
  const answer = { addresses: ['8.8.8.8', '2606:4700::1111'], names: ['dns.example'] };
  const bytes = Buffer.from(encodeAnswer(answer));
  t.equal(
    bytes.toString('hex'),
    `010408080808${'1c10'}26064700000000000000000000001111${'0c0b'}646e732e6578616d706c65`,
  );
  t.same(decodeAnswer(bytes), answer);
  t.same(decodeAnswer(new Uint8Array(0)), { addresses: [], names: [] });
});

t.test('records of other types are skipped', async (t) => {
  const bytes = Buffer.concat([Buffer.from([5, 2, 1, 2]), encodeAnswer({ addresses: ['8.8.8.8'], names: [] })]);
  t.same(decodeAnswer(bytes), { addresses: ['8.8.8.8'], names: [] });
});

t.test('malformed answers are refused', async (t) => {
  const table = [
    '01',
    '0104080808',
    '010308080808',
    '1c0408080808',
    '0c00',
    '0c0161ff',
    '0c03612062',
    '0c0731302e302e302e31',
  ];
  for (const hex of table) t.equal(decodeAnswer(Buffer.from(hex, 'hex')), undefined, hex);
});

t.test('a reader has room for the longest answer', async (t) => {
  const names = Array.from({ length: 100 }, (_, i) => `${`${'a'.repeat(49)}.`.repeat(5)}n${i}`);
  const bytes = encodeAnswer({ addresses: [], names });
  t.ok(bytes.byteLength > 3500 && bytes.byteLength <= MAX_ANSWER_BYTES, `${bytes.byteLength}`);
  t.same(decodeAnswer(bytes)?.names, names.slice(0, 16));
});

t.test('any answer is read back as it was written', async () => {
  const address = fc
    .oneof(fc.ipV4(), fc.ipV6())
    .map((text) => parseAddress(text)?.text ?? '')
    .filter((text) => text !== '');
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}(\.[a-z][a-z0-9_-]{0,20}){0,3}$/);
  const some = <T>(one: fc.Arbitrary<T>) => fc.array(one, { maxLength: 8 });
  fc.assert(
    fc.property(some(address), some(name), (addresses, names) => {
      const answer = { addresses, names };
      return isDeepStrictEqual(decodeAnswer(encodeAnswer(answer)), answer);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      decodeAnswer(bytes); // never throws
    }),
  );
});
