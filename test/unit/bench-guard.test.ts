/**
 * A guard against a loss of speed by an order of magnitude: what a packet costs, in scalar multiplications of the machine that
 * runs this. Both are processor times, the least of several rounds taken in turn, so a busy machine does not matter.
 */
import t from 'tap';
import type { Effort } from '../../bench/harness/cpu-time.ts';
import { measure } from '../../bench/harness/cpu-time.ts';
import { LIMIT, limitCase } from '../../bench/harness/limit.ts';
import { headerCases, packetCases } from '../../bench/sphinx/operations.ts';
import { systemRng } from '../../lib/core/rng.ts';
import * as crypto from '../../lib/crypto/index.ts';
import * as sphinx from '../../lib/sphinx/index.ts';

const EFFORT: Effort = { rounds: 5, roundMs: 3 };
const PAYLOAD_BYTES = 2048;
/** Ten times what each should cost at most. */
const MOST_LIMITS: Readonly<Record<string, number>> = {
  'sphinx.unwrap': 34,
  'sphinx.create': 120,
  'sphinx.surb.create': 75,
  'sphinx.reply.open': 30,
};

/** Cost of each operation in scalar multiplications of the native backend. */
function costs(libraries: crypto.Crypto): ReadonlyMap<string, number> {
  const modules = { crypto, sphinx, rng: systemRng };
  const operations = [...packetCases(modules, libraries, PAYLOAD_BYTES), ...headerCases(modules, libraries)];
  const guarded = operations.filter(({ name }) => name in MOST_LIMITS);
  const times = measure([limitCase(), ...guarded], EFFORT);
  const limit = times.get(LIMIT) ?? Number.NaN;
  return new Map(guarded.map(({ name }) => [name, (times.get(name) ?? Number.NaN) / limit]));
}

const native = crypto.createCrypto('fastest');
const slow = native.backends.blake2b !== 'sodium' && 'libsodium does not load here: the speed of packets is NOT TESTED';
if (slow) process.stderr.write(`${slow}\n`);

t.test('no Sphinx operation costs ten times what it should', { skip: slow }, async (t) => {
  const found = costs(native);
  for (const [name, most] of Object.entries(MOST_LIMITS)) {
    const cost = found.get(name) ?? Number.NaN;
    t.ok(cost < most, `${name}: ${cost.toFixed(1)} scalar multiplications, at most ${most}`);
  }
});

t.test('the guard rejects what is slower by that much: the same in JavaScript alone', { skip: slow }, async (t) => {
  const found = costs(crypto.createCrypto('noble'));
  for (const [name, most] of Object.entries(MOST_LIMITS)) t.ok((found.get(name) ?? 0) > most, name);
});
