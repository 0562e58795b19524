import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { parseAddress } from '../../lib/net/address-policy.ts';
import { checkDestination } from '../../lib/net/destination.ts';

const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
const nonPublic = fc
  .oneof(
    fc
      .tuple(fc.constantFrom([127], [10], [192, 168], [172, 16], [169, 254], [100, 64], [224], [0]), ipv4)
      .map(([prefix, rest]) => Uint8Array.from([...prefix, ...rest].slice(0, 4))),
    ipv4,
  )
  .filter((bytes) => parseAddress(bytes.join('.'))?.scope !== 'public');

const group = (high = 0, low = 0) => ((high << 8) | low).toString(16);

/** All forms of IPv6 that stand for, or lead to, an IPv4 address. */
function carriers([a = 0, b = 0, c = 0, d = 0]: Uint8Array): string[] {
  const [high, low] = [group(a, b), group(c, d)];
  // With a local prefix the address may stand in several places; leading zeros look like a place that is not in use.
  const local = [`64:ff9b:1::${high}:${low}`, `64:ff9b:1:${high}:${group(0, c)}:${group(d)}::`];
  return [
    ...(a === 0 ? [] : local),
    `::ffff:${high}:${low}`,
    `::ffff:${a}.${b}.${c}.${d}`,
    `::${high}:${low}`,
    `::ffff:0:${high}:${low}`,
    `64:ff9b::${high}:${low}`,
    `2002:${high}:${low}::1`,
    `2001:0:${high}:${low}::1`,
  ];
}

t.test('no IPv6 form of a refused IPv4 address is public', async (t) => {
  fc.assert(
    fc.property(nonPublic, (bytes) => {
      const bare = parseAddress(bytes.join('.'))?.scope;
      for (const text of carriers(bytes)) {
        const scope = parseAddress(text)?.scope;
        assert.notEqual(scope, 'public', text);
        if (bare === 'never') assert.equal(scope, 'never', `${text} stays refused with allowPrivate`);
      }
    }),
    { numRuns: 500, seed: 3 },
  );
  t.pass();
});

t.test('parsing is idempotent and never throws', async (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV6(), fc.ipV4(), fc.string()), (text) => {
      const once = parseAddress(text);
      if (once !== undefined) assert.deepEqual(parseAddress(once.text), once, text);
    }),
    { numRuns: 500, seed: 5 },
  );
  t.pass();
});

t.test('a checked host stays the same when it is checked again', async (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.domain(), fc.ipV4Extended(), fc.ipV6(), fc.string({ maxLength: 20 })), (host) => {
      const first = checkDestination(host, true);
      if (first.ok) assert.deepEqual(checkDestination(first.destination.host, true), first, host);
    }),
    { numRuns: 500, seed: 9 },
  );
  t.pass();
});
