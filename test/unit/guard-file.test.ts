/** The file that keeps a proxy's guards. */
import { mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { GuardFile } from '../../lib/access/guard-file.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import type { GuardState } from '../../lib/endpoint/index.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { unix } from '../support/units.ts';

const id = (digit: string) => digit.repeat(64) as IdentityHex;
const guard = { id: id('a'), addedMs: unix(5), termMs: 7.5, unlistedSinceMs: null, due: null };
const state: GuardState = { seenMs: unix(9), guards: [guard], draws: [{ id: id('a'), atMs: unix(5) }] };

async function fileIn(dir: string | Promise<string>, network = 'n1') {
  const warnings: string[] = [];
  const log = { warn: (_fields: object, text: string) => warnings.push(text) } as unknown as Log;
  return { file: new GuardFile(join(await dir, 'guards.json'), network, log), warnings };
}

const folder = () => mkdtemp(join(tmpdir(), 'mixsocks-guards-'));

t.test('what is kept comes back; the file is for its owner alone, and is replaced as a whole', async (t) => {
  const dir = await folder();
  const { file, warnings } = await fileIn(dir);
  t.equal(await file.load(), undefined, 'there is none yet');
  await Promise.all([file.save({ ...state, seenMs: unix(8) }), file.save(state)]);
  t.equal((await stat(file.path)).mode & 0o777, 0o600);
  t.strictSame(await readdir(dir), ['guards.json'], 'no drafts stay');
  t.strictSame(await (await fileIn(dir)).file.load(), state);
  t.strictSame(warnings, []);
});

t.test('a file that is damaged or of another network gives a warning, and nothing else', async (t) => {
  const dir = await folder();
  const { file } = await fileIn(dir);
  await file.save(state);
  const good = await readFile(file.path, 'utf8');
  const other = await fileIn(dir, 'n2');
  t.equal(await other.file.load(), undefined);
  t.match(other.warnings, [/another network/]);
  const many = JSON.stringify({ ...JSON.parse(good), guards: [...'abcd'].map((one) => ({ ...guard, id: id(one) })) });
  const twice = JSON.stringify({ ...JSON.parse(good), guards: [guard, guard] });
  const damaged = ['', '{', good.slice(0, -9), '[]', good.replace('"version":1', '"version":2'), many, twice];
  for (const text of [...damaged, good.replace('7.5', '-1'), good.replace('aaaa', 'AAAA'), '\u0000']) {
    await writeFile(file.path, text);
    const { file: again, warnings } = await fileIn(dir);
    t.equal(await again.load(), undefined, text.slice(0, 40));
    t.match(warnings, [/can not be read/]);
    await again.save(state);
    t.strictSame(await again.load(), state, 'and is replaced');
  }
});

t.test('a folder that cannot be written costs a warning, and is tried again', async (t) => {
  const { file, warnings } = await fileIn(join(await folder(), 'missing'));
  await file.save(state);
  await file.save(state);
  t.match(warnings, [/can not be kept/, /can not be kept/]);
});
