/**
 * `mixsocks directory token create`, `list` and `revoke`: they write and read the files of the authority's folder, which an
 * authority that runs reads again: within a second while nodes announce themselves, within five in any case.
 * @module
 */
import { MemberFiles } from '../../directory/members/member-files.ts';
import { NODE_ROLES, type TokenId, type TokenTerms, type TokenUse, tokenIdOf } from '../../directory/members/token.ts';
import { dateText, systemClock } from '../../lib/core/clock.ts';
import { MixError } from '../../lib/core/errors.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { laterMs, type UnixMs } from '../../lib/core/units.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { type JoinKeyHex, joinKeyOf, newJoinToken } from '../../lib/directory/index.ts';
import { spanMs, type TokenConfig } from './options.ts';

type Wanted = Pick<TokenConfig, 'uses' | 'roles' | 'expires'>;

/** Makes a token in the folder `dir`; the token, which is kept nowhere, and its terms. */
export async function createToken(
  dir: string,
  wanted: Wanted,
  token = newJoinToken(systemRng),
): Promise<{ token: string; terms: TokenTerms }> {
  return { token, terms: await admitToken(dir, wanted, joinKeyOf(token, createCrypto('fastest'))) };
}

/** Lets nodes join in the folder `dir` by the token of `key`, which another authority has made. */
export async function admitToken(dir: string, { uses, roles, expires }: Wanted, key: JoinKeyHex): Promise<TokenTerms> {
  const createdMs = Math.floor(systemClock.wallMs()) as UnixMs;
  const lifeMs = spanMs(expires);
  const terms = {
    key,
    uses,
    roles: NODE_ROLES.filter((role) => roles.includes(role)),
    createdMs,
    ...(lifeMs === undefined ? {} : { expiresMs: laterMs(createdMs, lifeMs) }),
  };
  await new MemberFiles(dir).create(terms);
  return terms;
}

/** `16 nodes (mixnode, gateway), until 2026-12-27 10:00 UTC` */
export function termsLine({ uses, roles, expiresMs }: TokenTerms): string {
  const until = expiresMs === undefined ? 'without an end' : `until ${dateText(expiresMs)}`;
  return `${uses} ${uses === 1 ? 'node' : 'nodes'} (${roles.join(', ')}), ${until}`;
}

/** A token's lines in the list. */
function listed(terms: TokenTerms, uses: readonly TokenUse[], nowMs: number): string {
  const head = `${tokenIdOf(terms.key)}  ${stateOf(terms, uses.length, nowMs)}: ${uses.length} of ${termsLine(terms)}`;
  const nodes = uses.map(({ identity, role, name, atMs }) => {
    return `  ${role.padEnd(9)} ${name}  ${identity}  since ${dateText(atMs)}`;
  });
  return [head, ...nodes].join('\n');
}

function stateOf({ uses, expiresMs, revokedMs }: TokenTerms, used: number, nowMs: number): string {
  if (revokedMs !== undefined) return 'revoked';
  if (used >= uses) return 'used up';
  return expiresMs !== undefined && nowMs >= expiresMs ? 'expired' : 'open';
}

/** All tokens of the authority in `dir`, with the nodes that came by them. */
export async function listText(dir: string): Promise<string> {
  const files = new MemberFiles(dir);
  const tokens: string[] = [];
  for (const id of await files.tokenIds()) {
    const terms = await files.terms(id);
    if (terms !== undefined) tokens.push(listed(terms, [...(await files.uses(id)).values()], systemClock.wallMs()));
  }
  const expelled = [...(await files.expelled())].map((identity) => `expelled  ${identity}`);
  const lines = [...tokens, ...expelled];
  return lines.length === 0 ? 'no join tokens\n' : `${lines.join('\n')}\n`;
}

/** Revokes the token that `word` names: its id, the beginning of one, or the token itself. Returns the line to print. */
export async function revokeToken(dir: string, word: string): Promise<string> {
  const files = new MemberFiles(dir);
  const id = await idOf(files, word);
  const terms = await files.terms(id);
  if (terms === undefined) throw new MixError('CONFIG', `there is no join token ${id}`);
  if (terms.revokedMs !== undefined) return `the join token ${id} was revoked before\n`;
  await files.change({ ...terms, revokedMs: Math.floor(systemClock.wallMs()) as UnixMs });
  const names = await files.uses(id).then(
    (uses) => [...uses.values()].map(({ name }) => name),
    () => [],
  );
  const gone = names.length === 0 ? '' : `; with the next consensus these leave: ${names.join(', ')}`;
  return `revoked the join token ${id}${gone}\n`;
}

/** An id may be shortened; that the token is given in its place is meant well. */
async function idOf(files: MemberFiles, word: string): Promise<TokenId> {
  const text = word.trim().toLowerCase();
  const start = /^[0-9a-f]{64}$/.test(text) ? tokenIdOf(joinKeyOf(text, createCrypto('fastest'))) : text;
  const found = /^[0-9a-f]{4,16}$/.test(start) ? (await files.tokenIds()).filter((id) => id.startsWith(start)) : [];
  const [id] = found;
  if (id !== undefined && found.length === 1) return id;
  const what = found.length > 1 ? `${found.length} join tokens begin with` : 'there is no join token';
  throw new MixError('CONFIG', `${what} '${start.slice(0, 16)}': mixsocks directory token list names them all`);
}
