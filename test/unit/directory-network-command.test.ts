/** How several make one network: each names itself in a line, and all write the same network.json. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { authorityLine, recommendedThreshold, writeNetwork } from '../../cli/directory/network.ts';
import { admitToken, createToken } from '../../cli/directory/tokens.ts';
import { DirectoryConfig } from '../../directory/config.ts';
import { MemberFiles } from '../../directory/members/member-files.ts';
import { existingNetwork } from '../../directory/network.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { loadNetworkFile, tokenIdOf } from '../../lib/directory/index.ts';
import { createIdentity, saveIdentity } from '../../lib/link/index.ts';

/** The folder of an authority, and its line. */
async function authority(
  t: Test,
  n: number,
  settings: object = {},
): Promise<{ dir: string; line: string; id: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-friend-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const identity = await createIdentity(systemRng);
  await saveIdentity(dir, identity);
  const config = { networkName: 'friends', advertise: `http://192.0.2.${n}:8080`, ...settings };
  await writeFile(join(dir, 'config.json'), JSON.stringify(config));
  return { dir, line: authorityLine(identity.id, DirectoryConfig.parse({ dir, ...config })) ?? '', id: identity.id };
}

t.test('three friends write the same file, whatever the order in which they name each other', async (t) => {
  const friends = await Promise.all([1, 2, 3].map((n) => authority(t, n)));
  const lines = friends.map(({ line }) => line);
  t.equal(lines[0], `${friends[0]?.id}@http://192.0.2.1:8080`);
  const said: string[] = [];
  for (const [index, { dir }] of friends.entries()) {
    const text = await writeNetwork(dir, [...lines.slice(index), ...lines.slice(0, index)]);
    said.push(text.split('\n').slice(1).join('\n'));
    t.match(text, `'friends', 3 authorities, of which 2 must sign`);
  }
  t.equal(new Set(said).size, 1, 'the same id to compare');
  t.match(said[0], /^network id [0-9a-f]{64}$/m);
  const texts = await Promise.all(friends.map(({ dir }) => readFile(join(dir, 'network.json'), 'utf8')));
  t.equal(new Set(texts).size, 1);
  const [{ dir = '', id = '' } = {}] = friends;
  const config = DirectoryConfig.parse({ dir });
  t.equal((await existingNetwork(config, id as never))?.authorities.length, 3, 'and an authority starts with it');
  t.equal(await writeNetwork(dir, lines).then((text) => text.includes('wrote')), true, 'once more changes nothing');
  await t.rejects(writeNetwork(dir, lines, 3), { code: 'CONFIG', message: /is of another network/ });
});

t.test('what does not make a network is refused with one line', async (t) => {
  const [one, two] = await Promise.all([authority(t, 1), authority(t, 2)]);
  const refused = async (words: readonly string[], message: RegExp, threshold?: number) =>
    t.rejects(writeNetwork(one.dir, words, threshold), { code: 'CONFIG', message });
  await refused([two.line], /none of these is the authority/);
  await refused([one.line, 'http://192.0.2.2'], /expected ID@URL/);
  await refused([one.line, two.line], /more than half of the 2 authorities/, 1);
  await t.rejects(writeNetwork(one.dir, [one.line, one.line]), { code: 'DOCUMENT', message: /listed twice/ });
  const unsafe = { ...(await loadAfter(one.dir, [one.line, two.line])), threshold: 1 };
  await writeFile(join(one.dir, 'network.json'), JSON.stringify(unsafe));
  const config = DirectoryConfig.parse({ dir: one.dir });
  await t.rejects(existingNetwork(config, one.id as never), { code: 'CONFIG', message: /there could be two networks/ });
});

async function loadAfter(dir: string, words: readonly string[]) {
  await writeNetwork(dir, words);
  return loadNetworkFile(join(dir, 'network.json'));
}

t.test('the line is known where the configuration says how others reach it', async (t) => {
  const line = (settings: object) => authorityLine('1'.repeat(64), DirectoryConfig.parse({ dir: '.', ...settings }));
  t.equal(line({}), undefined, 'any free port');
  t.equal(line({ listen: '0.0.0.0:8080' }), undefined);
  t.equal(line({ listen: '192.0.2.1:8080' }), `${'1'.repeat(64)}@http://192.0.2.1:8080`);
  t.same([1, 2, 3, 4, 5, 7].map(recommendedThreshold), [1, 2, 2, 3, 4, 5]);
});

t.test('a token of one authority serves at another one that has its join key', async (t) => {
  const [one, two] = await Promise.all([authority(t, 1), authority(t, 2)]);
  const wanted = { uses: 2, roles: ['gateway' as const], expires: '1d' };
  const { terms } = await createToken(one.dir, wanted);
  const admitted = await admitToken(two.dir, wanted, terms.key);
  t.equal(admitted.key, terms.key);
  t.same(await new MemberFiles(two.dir).tokenIds(), [tokenIdOf(terms.key)]);
  await t.rejects(admitToken(two.dir, wanted, terms.key), { code: 'CONFIG' });
});
