/**
 * `mixsocks directory token create`, `list` and `revoke`: they write and read the files of the authority's folder, which an
 * authority that runs reads again: within a second while nodes announce themselves, within five in any case.
 * @module
 */
import { MemberFiles } from '../../directory/members/member-files.ts';
import type { JoinToken } from '../../directory/members/membership.ts';
import { type JoinTerms, NODE_ROLES } from '../../directory/members/token.ts';
import { dateText } from '../../lib/core/clock.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { joinKeyOf, newToken, type TokenKeyHex, tokenIdOf, tokenState } from '../../lib/directory/index.ts';
import { timesOf, untilText, wholeMs } from '../token-options.ts';
import type { TokenConfig } from './options.ts';

type Wanted = Pick<TokenConfig, 'uses' | 'roles' | 'expires'>;

/** Makes a token in the folder `dir`; the token, which is kept nowhere, and its terms. */
export async function createToken(
  dir: string,
  wanted: Wanted,
  token = newToken(systemRng),
): Promise<{ token: string; terms: JoinTerms }> {
  return { token, terms: await admitToken(dir, wanted, joinKeyOf(token, createCrypto('fastest'))) };
}

/** Lets nodes join in the folder `dir` by the token of `key`, which another authority has made. */
export async function admitToken(dir: string, { uses, roles, expires }: Wanted, key: TokenKeyHex): Promise<JoinTerms> {
  const terms = { key, uses, roles: NODE_ROLES.filter((role) => roles.includes(role)), ...timesOf(expires) };
  await new MemberFiles(dir).create(terms);
  return terms;
}

/** `16 nodes (mixnode, gateway), until 2026-12-27 10:00 UTC` */
export function termsLine(terms: JoinTerms): string {
  const { uses, roles } = terms;
  return `${uses} ${uses === 1 ? 'node' : 'nodes'} (${roles.join(', ')}), ${untilText(terms)}`;
}

/** A token's lines in the list. */
function listed(token: JoinToken): string {
  const { terms, uses } = token;
  const head = `${tokenIdOf(terms.key)}  ${tokenState(token, wholeMs())}: ${uses.size} of ${termsLine(terms)}`;
  const nodes = [...uses.values()].map(({ identity, role, name, atMs }) => {
    return `  ${role.padEnd(9)} ${name}  ${identity}  since ${dateText(atMs)}`;
  });
  return [head, ...nodes].join('\n');
}

/** All tokens of the authority in `dir`, with the nodes that came by them. */
export async function listText(dir: string): Promise<string> {
  const files = new MemberFiles(dir);
  const tokens = (await files.all()).map(listed);
  const expelled = [...(await files.expelled())].map((identity) => `expelled  ${identity}`);
  const lines = [...tokens, ...expelled];
  return lines.length === 0 ? 'no join tokens\n' : `${lines.join('\n')}\n`;
}

/** Revokes the token that `word` names: its id, the beginning of one, or the token itself. Returns the line to print. */
export async function revokeToken(dir: string, word: string): Promise<string> {
  const { id, users } = await new MemberFiles(dir).revoke(startOf(word), wholeMs());
  if (users === undefined) return `the join token ${id} was revoked before\n`;
  const names = users.map(({ name }) => name);
  const gone = names.length === 0 ? '' : `; with the next consensus these leave: ${names.join(', ')}`;
  return `revoked the join token ${id}${gone}\n`;
}

/** An id may be shortened; that the token is given in its place is meant well. */
function startOf(word: string): string {
  const text = word.trim().toLowerCase();
  return /^[0-9a-f]{64}$/.test(text) ? tokenIdOf(joinKeyOf(text, createCrypto('fastest'))) : text;
}
