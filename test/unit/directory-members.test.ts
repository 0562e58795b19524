/** Join tokens on the disk of an authority: commands and the authority write at the same time; damage is said, never swallowed. */
import { linkSync, writeFileSync } from 'node:fs';
import { chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { expelNode } from '../../cli/directory/commands.ts';
import { createToken, listText, revokeToken } from '../../cli/directory/tokens.ts';
import { spanMs } from '../../cli/tokens.ts';
import { tickMs } from '../../directory/index.ts';
import { JOIN_TOKENS, MAX_EXPELLED, MAX_TOKENS, MemberFiles, Members } from '../../directory/members/member-files.ts';
import { Membership } from '../../directory/members/membership.ts';
import { joinToken } from '../../lib/config/fields.ts';
import { joinKeyOf, joinProof, REREAD_MS, tokenIdOf, usesText, Verifier } from '../../lib/directory/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { CLOSED, joinTokenOf, termsOf } from '../support/admission.ts';
import { crypto, descriptorOf, draft, keys, signedDescriptor, testNetwork } from '../support/signed-documents.ts';
import { TokenNetwork, UnorderedAuthority } from '../support/token-network.ts';
import { unix } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const network = testNetwork();
const verifier = new Verifier(network, crypto);
const TOKEN = joinTokenOf(1);
const ID = tokenIdOf(joinKeyOf(TOKEN, crypto));

async function folder(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-members-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** The members of an authority that runs on `dir`, and what it logs as errors. */
async function running(dir: string, files = new MemberFiles(dir)) {
  const clock = new VirtualClock();
  const errors: string[] = [];
  const log = { ...silentLog, error: (fields: object) => errors.push(JSON.stringify(fields)), child: () => log };
  const membership = new Membership(CLOSED, crypto);
  const members = new Members({ membership, files, clock, log });
  await members.open();
  const enter = (n: number, token: string) => {
    const descriptor = descriptorOf(network, n, draft('gateway', [1, 2], { name: `node-${n}` }), 0);
    const verified = verifier.descriptor(signedDescriptor(n, descriptor));
    membership.claim(verified, joinProof(token, verified.payload, crypto), clock.wallMs()).enter();
  };
  const reread = async () => {
    clock.advance(REREAD_MS);
    await members.reread(REREAD_MS);
  };
  return { membership, members, errors, enter, reread };
}

t.test('a reading that takes long undoes nothing that a later one has found', async (t) => {
  const dir = await folder(t);
  /** What it has read of the next token comes when `go` is called. */
  class SlowFiles extends MemberFiles {
    held: Promise<void> | undefined;
    override async terms(id: ReturnType<typeof tokenIdOf>) {
      const { held } = this;
      this.held = undefined;
      const terms = await super.terms(id);
      await held;
      return terms;
    }
  }
  const files = new SlowFiles(dir);
  const { token } = await createToken(dir, { uses: 2, roles: ['gateway'], expires: '1h' });
  const { enter, members, reread } = await running(dir, files);
  let go = () => {};
  files.held = new Promise((resolve) => {
    go = resolve;
  });
  const slow = reread();
  while (files.held !== undefined) await new Promise(setImmediate);
  await revokeToken(dir, tokenIdOf(joinKeyOf(token, crypto)));
  const later = reread();
  for (let i = 0; i < 20; i++) await listText(dir); // time enough for it to be read, if it did not wait
  go();
  await Promise.all([slow, later]);
  t.throws(() => enter(1, token), /was revoked/);
  await members.save();
});

t.test('what is written is for the owner alone, and says nothing that lets anybody join', async (t) => {
  const dir = await folder(t);
  const { token } = await createToken(dir, { uses: 2, roles: ['gateway'], expires: '1h' });
  const { enter, members } = await running(dir);
  enter(1, token);
  await members.save();
  await expelNode(dir, keys(9).id, false);
  for (const name of ['tokens', 'expelled']) {
    t.equal((await stat(join(dir, name))).mode & 0o777, 0o700);
    for (const file of await readdir(join(dir, name))) {
      t.equal((await stat(join(dir, name, file))).mode & 0o777, 0o600, file);
      t.notOk((await readFile(join(dir, name, file), 'utf8')).includes(token), file);
    }
  }
});

const notRoot = process.getuid?.() === 0 ? false : 'needs root';
t.test('a command of root writes what the owner of the folder can read', { skip: notRoot }, async (t) => {
  const dir = await folder(t);
  await chown(dir, 12_345, 12_345);
  await createToken(dir, { uses: 1, roles: ['gateway'], expires: 'never' });
  const [file = ''] = await readdir(join(dir, 'tokens'));
  for (const path of ['tokens', join('tokens', file)]) t.equal((await stat(join(dir, path))).uid, 12_345, path);
});

t.test('commands and the authority that write at the same time undo nothing of each other', async (t) => {
  const dir = await folder(t);
  const tokens = Array.from({ length: 8 }, (_, n) => joinTokenOf(n));
  const terms = { uses: 3, roles: ['gateway' as const], expires: 'never' };
  for (const token of tokens.slice(0, 4)) await createToken(dir, terms, token);
  const { membership, members, enter, reread } = await running(dir);
  const authority = async () => {
    for (let n = 0; n < 8; n++) {
      enter(n, tokens[n % 4] as string);
      await members.save();
      await reread();
    }
  };
  const commands = [
    ...tokens.slice(4).map((token) => createToken(dir, terms, token)),
    revokeToken(dir, tokenIdOf(joinKeyOf(tokens[0] as string, crypto))).then(() => authority()),
  ];
  await t.rejects(Promise.all(commands), { message: /was revoked/ }, 'the revoked one lets nobody in any more');
  await authority().catch(() => {});
  for (const n of [1, 2, 3]) enter(n, tokens[n] as string);
  await members.save();
  await reread();
  const again = await running(dir);
  t.equal(membership.book.tokens.length, 8);
  t.equal(again.membership.book.tokens.length, 8, 'all tokens that were made are there');
  const revoked = again.membership.book.tokens.filter((token) => token.terms.revokedMs !== undefined);
  t.equal(revoked.length, 1);
  const uses = (of: Membership) =>
    of.book.tokens.map((token) => [token.terms.key, [...token.uses.keys()].sort()]).sort();
  t.strictSame(uses(again.membership), uses(membership), 'and all uses');
});

t.test('a damaged file is one line when the authority starts', async (t) => {
  for (const [name, text, line] of [
    [`${ID}.json`, '{"ver', /\.json is damaged: restore it, or delete it, which revokes the join token/],
    [`${ID}.json`, JSON.stringify({ version: 1, ...termsOf(joinTokenOf(2)) }), /is damaged/],
    [`${ID}.json`, JSON.stringify({ version: 1, ...termsOf(TOKEN), uses: 0 }), /is damaged/],
    [`${ID}.json`, JSON.stringify({ version: 1, ...termsOf(TOKEN), more: 1 }), /is damaged/],
    [`${ID}.json`, 'a\0b\0c\0', /is damaged|UTF-8/],
    [
      `${ID}.uses.json`,
      '',
      /uses\.json is damaged: restore it, or give its nodes another join token and revoke this one: /,
    ],
    [`${ID}.uses.json`, usesText(JOIN_TOKENS, []).slice(0, -4), /uses\.json is damaged/],
  ] as const) {
    const dir = await folder(t);
    await new MemberFiles(dir).create(termsOf(TOKEN));
    await writeFile(join(dir, 'tokens', name), text);
    await t.rejects(running(dir), { code: 'CONFIG', message: line }, `${name}: ${text}`);
  }
});

t.test('what the line about damaged uses says to do helps', async (t) => {
  const dir = await folder(t);
  await new MemberFiles(dir).create(termsOf(TOKEN));
  await writeFile(join(dir, 'tokens', `${ID}.uses.json`), '{');
  t.equal(await revokeToken(dir, ID), `revoked the join token ${ID}\n`);
  const { membership, enter } = await running(dir);
  t.equal(membership.book.tokens.length, 1);
  t.throws(() => enter(1, TOKEN), /was revoked/, 'and the token is good for nobody');
});

t.test('a file that is damaged while the authority runs changes nothing, and is said once', async (t) => {
  const dir = await folder(t);
  await new MemberFiles(dir).create(termsOf(TOKEN));
  const { membership, members, enter, errors, reread } = await running(dir);
  enter(1, TOKEN);
  await members.save();
  await writeFile(join(dir, 'tokens', `${ID}.json`), '{');
  for (let n = 0; n < 3; n++) await reread();
  t.ok(membership.isKnown(keys(1).id));
  t.equal(errors.length, 1);
  t.match(errors[0], /is damaged/);
  await new MemberFiles(dir).change(termsOf(TOKEN, { revokedMs: unix(1) }));
  await reread();
  t.notOk(membership.isKnown(keys(1).id), 'once it is whole it counts');
  await rm(join(dir, 'tokens'), { recursive: true });
  await writeFile(join(dir, 'tokens'), '');
  await reread();
  t.equal(errors.length, 2, 'a folder that cannot be listed is no order to let all nodes go');
  t.equal(membership.book.tokens.length, 1);
});

t.test('a use that could not be written is written with the next announcement', async (t) => {
  const dir = await folder(t);
  await new MemberFiles(dir).create(termsOf(TOKEN));
  const { members, enter } = await running(dir);
  enter(1, TOKEN);
  const uses = join(dir, 'tokens', `${ID}.uses.json`);
  await mkdir(uses);
  await t.rejects(members.save(), 'the disk does not take it');
  await rm(uses, { recursive: true });
  await members.save();
  t.ok((await running(dir)).membership.isKnown(keys(1).id));
});

t.test('the same descriptor again is accepted, also while the first one waits for the disk', async (t) => {
  const world = await TokenNetwork.start(t);
  await world.grant(TOKEN);
  const sent = world.sent(101, 'gateway', TOKEN);
  const given = () => Promise.all([1, 2, 3].map(() => world.give(sent)));
  t.same(await given(), ['accepted', 'accepted', 'accepted']);
  t.equal(world.admission.held.size, 1);
  await world.restart({ Authority: UnorderedAuthority });
  world.clock.advance(1);
  const mutant = world.sent(101, 'gateway', TOKEN);
  t.same(
    await Promise.all([world.give(mutant), world.give(mutant)]),
    ['accepted', 'stale'],
    'judged before its turn, it is not: rejected',
  );
});

t.test('tables of the folder are bounded', async (t) => {
  const dir = await folder(t);
  const files = new MemberFiles(dir);
  await files.open();
  // thousands of names of one file: as many files take seconds
  const file = join(dir, 'any');
  writeFileSync(file, '{}');
  const fill = (name: string, count: number, entry: (n: string) => string, digits: number) => {
    for (let n = 0; n < count; n++) linkSync(file, join(dir, name, entry(n.toString(16).padStart(digits, '0'))));
  };
  fill('tokens', MAX_TOKENS, (n) => `${n}.json`, 16);
  await t.rejects(files.create(termsOf(TOKEN)), {
    code: 'LIMIT',
    message: /at most 1024 join tokens: delete the files/,
  });
  fill('expelled', MAX_EXPELLED, (n) => n, 64);
  await t.rejects(files.expel(keys(1).id), { code: 'LIMIT', message: /take some back with --undo/ });
});

t.test('commands: a token is named by its id, the beginning of one, or itself; a node by its name', async (t) => {
  const dir = await folder(t);
  t.equal(await listText(dir), 'no join tokens\n');
  await createToken(dir, { uses: 2, roles: ['requester', 'gateway'], expires: '90m' }, TOKEN);
  const { members, enter, reread } = await running(dir);
  enter(1, TOKEN);
  await members.save();
  const [head, node] = (await listText(dir)).split('\n');
  t.match(head, new RegExp(`^${ID}  open: 1 of 2 nodes \\(gateway, requester\\), until [0-9-]+ [0-9:]+ UTC$`));
  t.match(node, new RegExp(`^ {2}gateway   node-1  ${keys(1).id}  since `));
  await t.rejects(revokeToken(dir, '0000'), {
    code: 'CONFIG',
    message: /no join token '0000': mixsocks directory token list/,
  });
  await t.rejects(revokeToken(dir, ID.slice(0, 3)), { code: 'CONFIG' }, 'too short to be meant');
  await createToken(dir, { uses: 1, roles: ['gateway'], expires: 'never' });
  t.equal(await expelNode(dir, 'node-1', false), `expelled ${keys(1).id}: it leaves with the next consensus\n`);
  t.equal(await expelNode(dir, 'node-1', false), `${keys(1).id} was expelled before\n`);
  t.match(await listText(dir), new RegExp(`^expelled  ${keys(1).id}$`, 'm'));
  t.equal(await expelNode(dir, 'node-1', true), `${keys(1).id} may join again\n`);
  t.equal(await expelNode(dir, 'node-1', true), `${keys(1).id} had not been expelled\n`);
  await t.rejects(expelNode(dir, 'node-2', false), { code: 'CONFIG', message: /no node is called 'node-2'/ });
  await reread();
  enter(2, TOKEN);
  await members.save();
  t.equal(
    await revokeToken(dir, TOKEN),
    `revoked the join token ${ID}; with the next consensus these leave: node-1, node-2\n`,
  );
  t.equal(await revokeToken(dir, ID.slice(0, 8)), `the join token ${ID} was revoked before\n`);
  t.match(await listText(dir), new RegExp(`^${ID}  revoked: 2 of 2 nodes`, 'm'));
});

t.test('a node refuses a token that was copied in part before it asks anybody', async (t) => {
  t.ok(joinToken.safeParse(TOKEN).success);
  for (const bad of [TOKEN.slice(1), `${TOKEN} `, TOKEN.toUpperCase(), 'sesame', ''])
    t.match(joinToken.safeParse(bad).error?.issues[0]?.message, /the 64 hex digits of a join token/, bad);
});

t.test('an authority that nobody announces to reads its files every five seconds at the longest', async (t) => {
  t.equal(tickMs(7 * 86_400_000), 5_000);
  t.equal(tickMs(3_600_000), 5_000);
  t.ok(tickMs(5_000) >= 100);
});

t.test('spans of time', async (t) => {
  t.same(['90m', '12h', '30d', '8w', 'never'].map(spanMs), [
    5_400_000,
    43_200_000,
    2_592_000_000,
    4_838_400_000,
    undefined,
  ]);
});
