/**
 * A guard against a loss of speed by an order of magnitude: what a packet costs, in scalar multiplications of the machine that
 * runs this. Both are processor times, the least of several rounds taken in turn, so a busy machine does not matter.
 */
import t from 'tap';
import type { Case, Effort } from '../../bench/harness/cpu-time.ts';
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

/** Cost of each operation, done so many `times`, in scalar multiplications. */
function costs(times: number): ReadonlyMap<string, number> {
  const modules = { crypto, sphinx, rng: systemRng };
  const operations = [...packetCases(modules, native, PAYLOAD_BYTES), ...headerCases(modules, native)];
  const repeated = ({ name, run }: Case): Case => ({
    name,
    run: (i) => {
      for (let done = 0; done < times; done++) run(i);
    },
  });
  const guarded = operations.filter(({ name }) => name in MOST_LIMITS).map(repeated);
  const micros = measure([limitCase(), ...guarded], EFFORT);
  const limit = micros.get(LIMIT) ?? Number.NaN;
  return new Map(guarded.map(({ name }) => [name, (micros.get(name) ?? Number.NaN) / limit]));
}

const native = crypto.createCrypto('fastest');
const slow = native.backends.blake2b !== 'sodium' && 'libsodium does not load here: the speed of packets is NOT TESTED';
if (slow) process.stderr.write(`${slow}\n`);

t.test('no Sphinx operation costs ten times what it should', { skip: slow }, async (t) => {
  const found = costs(1);
  for (const [name, most] of Object.entries(MOST_LIMITS)) {
    const cost = found.get(name) ?? Number.NaN;
    t.ok(cost < most, `${name}: ${cost.toFixed(1)} scalar multiplications, at most ${most}`);
  }
});

t.test('the guard rejects what is slower by that much: each operation done twenty times', { skip: slow }, async (t) => {
  const found = costs(20);
  for (const [name, most] of Object.entries(MOST_LIMITS)) t.ok((found.get(name) ?? 0) > most, name);
});
