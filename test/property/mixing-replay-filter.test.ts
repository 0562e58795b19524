import fc from 'fast-check';
import t from 'tap';
import { createCrypto } from '../../lib/crypto/index.ts';
import { FILTER_KEY_BYTES, RECORD_BYTES, ReplayFilter } from '../../lib/mixing/index.ts';
import { seededRng } from '../support/seeded-rng.ts';

const crypto = createCrypto('fastest');
const rng = seededRng(7);
const filterKey = () => rng.bytes(FILTER_KEY_BYTES);

t.test('never a false negative: what was fresh once is a replay for ever, also after a reload', (t) => {
  const tag = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(fc.array(tag, { minLength: 1, maxLength: 200 }), (tags) => {
      const key = filterKey();
      const filter = new ReplayFilter(crypto, key, 1000);
      const seen = new Set<string>();
      const records: Buffer[] = [];
      for (const one of tags) {
        const name = Buffer.from(one).toString('latin1');
        const verdict = filter.checkAndInsert(one);
        if (verdict !== (seen.has(name) ? 'replay' : 'fresh')) throw new Error('wrong verdict');
        if (verdict === 'fresh') records.push(Buffer.from(filter.lastRecord));
        seen.add(name);
      }
      const reloaded = new ReplayFilter(crypto, key, 1000);
      reloaded.load(Buffer.concat(records));
      for (const one of tags) if (reloaded.checkAndInsert(one) !== 'replay') throw new Error('forgotten');
    }),
    { numRuns: 200 },
  );
  t.end();
});

t.test('at capacity: known tags are replays, new ones are refused and not learnt', (t) => {
  const capacity = 50_000; // over several segments
  const filter = new ReplayFilter(crypto, filterKey(), capacity);
  const tag = Buffer.alloc(32);
  const tagOf = (n: number) => {
    tag.writeUInt32LE(n);
    return tag;
  };
  for (let n = 0; n < capacity; n++) if (filter.checkAndInsert(tagOf(n)) !== 'fresh') t.fail(`tag ${n} not fresh`);
  t.equal(filter.size, capacity);
  let wrong = 0;
  for (let n = 0; n < capacity; n++) if (filter.checkAndInsert(tagOf(n)) !== 'replay') wrong += 1;
  t.equal(wrong, 0, 'no false negative at capacity');
  let falsePositives = 0;
  for (let n = capacity; n < capacity + 200_000; n++) {
    if (filter.checkAndInsert(tagOf(n)) === 'replay') falsePositives += 1;
  }
  t.equal(filter.size, capacity, 'nothing learnt at capacity');
  t.equal(falsePositives, 0, 'expected about 0.004 in 200,000');
  t.ok(filter.falsePositiveBound <= 1e-6);
  t.end();
});

t.test('the bound on false positives holds at the largest capacity, and memory follows use', (t) => {
  const filter = new ReplayFilter(crypto, filterKey(), 300_000);
  const idleBytes = filter.bytes;
  t.ok(idleBytes <= 64 * 1024, 'an idle filter is small');
  const records = Buffer.alloc(300_000 * RECORD_BYTES);
  rng.fill(records);
  filter.load(records);
  t.ok(filter.bytes <= 16 * filter.size, `${filter.bytes} bytes for ${filter.size} tags`);
  // 13 doublings more reach 2^30 tags, far beyond any node's capacity
  t.ok(filter.falsePositiveBound * 4 <= 1e-6, `bound ${filter.falsePositiveBound}`);
  t.end();
});

t.test('two filters put the same tag in unrelated places', (t) => {
  const tag = rng.bytes(32);
  const records = [0, 1].map(() => {
    const filter = new ReplayFilter(crypto, filterKey(), 10);
    filter.checkAndInsert(tag);
    return Buffer.from(filter.lastRecord).toString('hex');
  });
  t.not(records[0], records[1]);
  t.end();
});
