/**
 * `mixsocks directory token create`, `list` and `revoke`: they write and read the files of the authority's folder, which an
 * authority that runs reads again: within a second while nodes announce themselves, within five in any case.
 * @module
 */
import { z } from 'zod';
import { type JoinTerms, MAX_TOKEN_USES, MemberFiles, NODE_ROLES } from '../../directory/members/member-files.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { joinKeyOf, newToken, type TokenKeyHex, tokenIdOf } from '../../lib/directory/index.ts';
import { expires, listIn, revokeIn, timesOf, tokenKey, untilText } from '../tokens.ts';

export const folderOption = { dir: z.string().describe('folder of the authority; it may be running') };

export const TokenConfig = z.strictObject({
  ...folderOption,
  uses: z.int().min(1).max(MAX_TOKEN_USES).default(1).describe('nodes that it is good for'),
  roles: z
    .array(z.enum(NODE_ROLES, `expected roles of ${NODE_ROLES.join(', ')}`))
    .min(1, 'expected at least one role')
    .default([...NODE_ROLES])
    .describe(`roles that it is good for, of ${NODE_ROLES.join(', ')}`),
  expires: expires.describe('how long nodes may join with it; those that have joined stay'),
  key: tokenKey
    .optional()
    .describe('join key of a token that another authority has made: the token then serves here too'),
});
type TokenConfig = z.infer<typeof TokenConfig>;

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

/** All tokens of the authority in `dir`, with the nodes that came by them. */
export async function listText(dir: string): Promise<string> {
  const files = new MemberFiles(dir);
  const tokens = await listIn(files, termsLine, ({ role, name, identity }) => `${role.padEnd(9)} ${name}  ${identity}`);
  const expelled = [...(await files.expelled())].map((identity) => `expelled  ${identity}`);
  const lines = [...tokens, ...expelled];
  return lines.length === 0 ? 'no join tokens\n' : `${lines.join('\n')}\n`;
}

/** Revokes the token that `word` names: its id, the beginning of one, or the token itself. Returns the line to print. */
export function revokeToken(dir: string, word: string): Promise<string> {
  return revokeIn(new MemberFiles(dir), startOf(word), (users) => {
    return `; with the next consensus these leave: ${users.map(({ name }) => name).join(', ')}`;
  });
}

/** An id may be shortened; that the token is given in its place is meant well. */
function startOf(word: string): string {
  const text = word.trim().toLowerCase();
  return /^[0-9a-f]{64}$/.test(text) ? tokenIdOf(joinKeyOf(text, createCrypto('fastest'))) : text;
}
