/** The vectors above Sphinx: every backend reproduces them, they are as their command makes them, and a change is found. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { createCrypto } from '../../lib/crypto/index.ts';
import { checkVector, FILES, fileText, makeVectors } from '../vectors/bundled.ts';
import type { Vector } from '../vectors/kind.ts';

const read = (file: string) => readFileSync(new URL(`../vectors/${file}`, import.meta.url), 'utf8');
const vectorsOf = (file: string): Vector[] => JSON.parse(read(file)).vectors;
const all = Object.keys(FILES).flatMap(vectorsOf);
const crypto = createCrypto('fastest');

for (const choice of ['fastest', 'noble'] as const) {
  t.test(`${choice}: every vector is reproduced`, async (t) => {
    const other = createCrypto(choice);
    for (const vector of all) t.same(await checkVector(other, vector), [], `${vector.kind}: ${vector.name}`);
  });
}

t.test('the files are what npm run vectors:make writes', async (t) => {
  for (const [file, kinds] of Object.entries(FILES)) {
    t.ok(fileText(await makeVectors(crypto, kinds)) === read(file), file);
  }
});

t.test('what is called refused or malformed is, and nothing else', async (t) => {
  for (const { kind, name, output } of all) {
    const text = JSON.stringify(output);
    if (['network-id', 'signers', 'descriptor', 'consensus'].includes(kind)) {
      t.equal(text === '{"accepted":false}', name.startsWith('refused'), `${kind}: ${name}`);
    }
    if (kind === 'read-frames') t.equal(output === 'malformed', name.startsWith('malformed'), name);
  }
});

t.test('every layer has vectors', async (t) => {
  const kinds = new Set(all.map(({ kind }) => kind));
  const layers = ['network-id', 'envelope', 'descriptor', 'consensus', 'hello', 'frame', 'to-requester', 'to-proxy'];
  for (const kind of [...layers, 'ack', 'packet', 'loop', 'reply-block']) t.ok(kinds.has(kind), kind);
});

t.test('a changed output is found, by its path', async (t) => {
  const change = (value: unknown): unknown => {
    if (typeof value === 'string') return value === '00' ? '01' : `00${value.slice(2)}x`;
    if (typeof value === 'number') return value + 1;
    if (typeof value === 'boolean') return !value;
    return 'another';
  };
  for (const vector of all) {
    if (typeof vector.output !== 'object' || vector.output === null) continue;
    for (const [field, value] of Object.entries(vector.output)) {
      const output = { ...vector.output, [field]: change(value) } as Vector['output'];
      const problems = await checkVector(crypto, { ...vector, output });
      t.match(problems, [new RegExp(`^output\\.${field}`)], `${vector.kind}: ${vector.name}: ${field}`);
    }
  }
});

t.test('an entry that is no vector is a problem, not a crash', async (t) => {
  const [good] = all;
  for (const bad of [
    null,
    'x',
    {},
    { ...good, kind: 'no-such-kind' },
    { ...good, input: {} },
    { ...good, input: null },
  ]) {
    const problems = await checkVector(crypto, bad);
    t.equal(problems.length, 1);
    t.notMatch(problems[0], /\n/);
  }
});
