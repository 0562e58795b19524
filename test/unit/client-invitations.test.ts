/** The invitations of a client: its line, its secret, its guards, and what each gateway gets to see. */
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { accessFault, ClientInvitations } from '../../lib/access/invitations.ts';
import { AccessTerms } from '../../lib/access/terms.ts';
import { type IdentityHex, toHex } from '../../lib/core/bytes.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import {
  invitationKeyOf,
  invitationLine,
  isGranted,
  MAX_INVITATION_GATEWAYS,
  parseInvitation,
} from '../../lib/directory/index.ts';
import { ACCESS_REFUSALS } from '../../lib/link/index.ts';
import { nodeEntry } from '../support/nodes.ts';
import { seededRng } from '../support/seeded-rng.ts';

const crypto = createCrypto('fastest');
const entries = [1, 2, 3, 4, 5].map((seed) => nodeEntry(seed, { role: 'gateway' }));
const gateways = entries.map(({ id }) => id);
const topology = { byId: (wanted: IdentityHex) => entries.find(({ id }) => id === wanted) };
const token = (digit: string) => digit.repeat(64);
const line = (digit: string, ...named: IdentityHex[]) => invitationLine({ gateways: named, token: token(digit) });
const load = (lines: readonly string[], file: string, seed = 1) =>
  ClientInvitations.load(lines, file, { crypto, rng: seededRng(seed) });

t.test('a line comes back as it was made, and a part of it is none', async (t) => {
  const many = Array.from({ length: MAX_INVITATION_GATEWAYS }, () => gateways[0] as IdentityHex);
  for (const named of [gateways.slice(0, 1), gateways, many]) {
    const made = line('a', ...named);
    t.strictSame(parseInvitation(` ${made}\n`), { gateways: named, token: token('a') });
    for (const cut of [1, 64, 65, 66, 129]) t.equal(parseInvitation(made.slice(0, -cut)), undefined, `${cut} less`);
    t.equal(parseInvitation(made.slice(1)), undefined);
  }
  t.equal(parseInvitation(line('a', ...many, gateways[0] as IdentityHex)), undefined, 'too many gateways');
});

t.test('the option takes lines and nothing else', async (t) => {
  const [one, two] = [line('a', ...gateways.slice(0, 1)), line('b', ...gateways)];
  t.strictSame(AccessTerms.parse({}).invitation, []);
  t.strictSame(AccessTerms.parse({ invitation: one }).invitation, [one]);
  t.strictSame(AccessTerms.parse({ invitation: [one, two] }).invitation, [one, two]);
  t.throws(() => AccessTerms.parse({ invitation: one.slice(0, -1) }), /is a part of it missing/);
  t.throws(() => AccessTerms.parse({ invitation: Array(17).fill(one) }));
});

t.test('the secret is made once, for its owner alone; without a file there is none', async (t) => {
  const file = join(t.testdir(), 'access.key');
  t.equal(await load([], file), undefined);
  await t.rejects(stat(file), 'who has no invitation needs no secret');
  const lines = [line('a', ...gateways.slice(0, 1))];
  const shown = async (seed: number) => {
    const [credential] = (await load(lines, file, seed))?.accessTo(gateways[0] as IdentityHex) ?? [];
    return credential === undefined ? '' : toHex(credential.accessKey);
  };
  const [first, second] = await Promise.all([shown(1), shown(2)]);
  t.equal(first, second, 'two that start at once are one device');
  t.equal(await shown(3), first, 'and after a restart it is the same');
  t.equal((await stat(file)).mode & 0o777, 0o600);
  t.notOk((await readFile(file, 'utf8')).includes(first));
  await t.rejects(ClientInvitations.load(lines, undefined, { crypto, rng: seededRng(1) }), {
    code: 'CONFIG',
    message: /name an accessFile/,
  });
  await chmod(file, 0o644);
  await t.rejects(load(lines, file), { code: 'CONFIG', message: /can be read by others/ });
  await chmod(file, 0o600);
  await writeFile(file, first.slice(1));
  await t.rejects(load(lines, file), { code: 'CONFIG', message: /is damaged: restore it, or delete it/ });
});

t.test(
  'a gateway sees the invitations that name it, the last first, and keys that no other gateway sees',
  async (t) => {
    const file = join(t.testdir(), 'access.key');
    const [g1, g2, g3] = gateways as [IdentityHex, IdentityHex, IdentityHex];
    const held = await load([line('a', g1), line('b', g1, g2)], file);
    const keysShown = (to: IdentityHex) => held?.accessTo(to).map(({ invitation }) => toHex(invitation));
    const keyOf = (digit: string) => invitationKeyOf(token(digit), crypto) as string;
    t.strictSame(keysShown(g1), [keyOf('b'), keyOf('a')]);
    t.strictSame(keysShown(g2), [keyOf('b')]);
    t.strictSame(keysShown(g3), [], 'no other gateway learns of them');
    const [b, a] = held?.accessTo(g1) ?? [];
    t.notSame(a?.accessKey, b?.accessKey, 'two invitations do not show that they are of one client');
    t.ok(a !== undefined && isGranted(a, crypto));
    t.notOk(a !== undefined && b !== undefined && isGranted({ ...a, accessKey: b.accessKey }, crypto));
  },
);

t.test('guards are gateways that the invitations name, three at most, in an order of the device', async (t) => {
  const orders = new Set<string>();
  const folder = t.testdir();
  for (let seed = 0; seed < 8; seed++) {
    const file = join(folder, `${seed}.key`);
    const guards = (await load([line('a', ...gateways.slice(0, 4))], file, seed))?.listedIn(topology) ?? [];
    t.equal(guards.length, 3);
    t.ok(guards.every(({ id }) => gateways.indexOf(id) < 4));
    const again = (await load([line('a', ...gateways.slice(0, 4))], file, seed + 100))?.listedIn(topology) ?? [];
    t.strictSame(again, guards);
    orders.add(guards.map(({ id }) => id).join());
  }
  t.ok(orders.size > 1, 'not all clients use the same one first');
  const unlisted = await load([line('a', 'f'.repeat(64) as IdentityHex)], join(folder, 'u.key'));
  t.strictSame(unlisted?.listedIn(topology), [], 'one that is not listed is none, and no other takes its place');
});

t.test('each refusal is one line that says what to do', async (t) => {
  for (const refusal of Object.keys(ACCESS_REFUSALS) as (keyof typeof ACCESS_REFUSALS)[])
    t.match(accessFault(refusal, 'invited'), /^[^\n]+; [^\n]*(--invitation|ask who runs)/);
  t.match(accessFault('not-invited', 'invited'), /^this network is private: /);
  t.match(accessFault('not-invited', 'open'), /^this gateway is private: /);
});
