/** The option of the key exchange, and what an end says of its runtime. */
import { spawnSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { ROLES } from '../../cli/roles.ts';
import { termsOf } from '../../client/options.ts';
import { loadConfig } from '../../lib/config/config.ts';
import { MixError } from '../../lib/core/errors.ts';
import { curveList, groupsOf, hasHybrid, isGroup, KEY_EXCHANGES, sayKeyExchange } from '../../lib/link/key-exchange.ts';
import { keptLines } from '../support/key-exchange-ends.ts';

const HYBRID = 'X25519MLKEM768';
const CLASSICAL = 'X25519';
const old = hasHybrid() ? { skip: `${process.version} has ${HYBRID}` } : {};
const REFUSAL =
  /expected any or x25519: hybrid needs Node\.js 24 or later with OpenSSL 3\.5, and this is Node\.js v[0-9.]+, OpenSSL [0-9.]+$/;

t.test('the groups of each choice', async (t) => {
  t.strictSame(groupsOf('x25519'), [CLASSICAL]);
  t.strictSame(groupsOf('any'), hasHybrid() ? [HYBRID, CLASSICAL] : [CLASSICAL]);
  if (hasHybrid()) t.strictSame(groupsOf('hybrid'), [HYBRID]);
  t.equal(curveList([CLASSICAL]), 'X25519', 'which every OpenSSL knows');
  t.equal(curveList([HYBRID, CLASSICAL]), '*X25519MLKEM768:*X25519', 'with a key share each');
});

t.test('a look for a group that is not there leaves no error behind for what reads a key next', async (t) => {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' });
  t.notOk(isGroup('X25519MLKEM1'));
  t.equal(createPrivateKey(pem).asymmetricKeyType, 'ed25519');
  t.ok(isGroup(CLASSICAL));
});

t.test('every role with links has the option, any by default', async (t) => {
  for (const role of ROLES) {
    const { schema } = await role.load();
    const option = schema.shape.linkKeyExchange as { parse(value: unknown): unknown } | undefined;
    t.equal(option?.parse(undefined), role.name === 'directory' ? undefined : 'any', role.name);
    if (option === undefined) continue;
    const accepted = KEY_EXCHANGES.filter((choice) => choice !== 'hybrid' || hasHybrid());
    t.strictSame(
      accepted.map((choice) => option.parse(choice)),
      accepted,
      role.name,
    );
    t.throws(() => option.parse('kyber'), role.name);
  }
});

t.test('hybrid where the runtime has none is an error that says what to do', old, async (t) => {
  const { LocalnetConfig } = await import('../../cli/localnet/config.ts');
  t.throws(() => loadConfig(LocalnetConfig, { flags: { linkKeyExchange: 'hybrid' }, env: {} }), {
    code: 'CONFIG',
    message: REFUSAL,
  });
  t.throws(() => termsOf({ network: 'n', linkKeyExchange: 'hybrid' }), { code: 'CONFIG', message: REFUSAL });
  t.throws(() => groupsOf('hybrid'), MixError, 'wherever else it comes from');
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  const run = spawnSync(process.execPath, [main, 'localnet', '--link-key-exchange', 'hybrid'], { encoding: 'utf8' });
  t.equal(run.status, 3);
  t.match(
    run.stderr,
    /^mixsocks localnet: --link-key-exchange: expected any or x25519: hybrid needs Node\.js 24 .*\n$/,
  );
});

t.test('an end that takes any group says once what its runtime lacks', async (t) => {
  for (const choice of KEY_EXCHANGES) {
    const { log, lines } = keptLines();
    sayKeyExchange(choice, log);
    const lacks = choice === 'any' && !hasHybrid();
    t.equal(lines.length, lacks ? 1 : 0, choice);
    if (lacks)
      t.match(lines[0], /^links use X25519 alone: Node\.js v.* has no X25519MLKEM768; .* Node\.js 24 or later/);
  }
});
