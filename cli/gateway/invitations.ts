/**
 * `mixsocks gateway invite`, `invite list` and `invite revoke`: they write and read the files of the gateway's folder, which a gateway
 * that runs reads again within seconds.
 * @module
 */
import { type InvitationTerms, invitationFiles } from '../../gateway/invitation-files.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { dateText } from '../../lib/core/clock.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import {
  invitationKeyOf,
  invitationLine,
  newToken,
  parseInvitation,
  type TokenKeyHex,
  tokenIdOf,
  tokenState,
} from '../../lib/directory/index.ts';
import { timesOf, untilText, wholeMs } from '../token-options.ts';
import type { InviteConfig } from './options.ts';

type Wanted = Pick<InviteConfig, 'uses' | 'expires'>;

/** Makes an invitation in the folder `dir`, which names these gateways; its line, which is kept nowhere, and its terms. */
export async function invite(
  dir: string,
  wanted: Wanted,
  gateways: readonly IdentityHex[],
): Promise<{ line: string; terms: InvitationTerms }> {
  const token = newToken(systemRng);
  const terms = await admitInvitation(dir, wanted, invitationKeyOf(token, createCrypto('fastest')));
  return { line: invitationLine({ gateways, token }), terms };
}

/** Lets the invitation of `key`, which another gateway has made, serve here. */
export async function admitInvitation(
  dir: string,
  { uses, expires }: Wanted,
  key: TokenKeyHex,
): Promise<InvitationTerms> {
  const terms = { key, uses, ...timesOf(expires) };
  await invitationFiles(dir).create(terms);
  return terms;
}

/** `2 devices, until 2026-12-27 10:00 UTC` */
export function termsLine(terms: InvitationTerms): string {
  return `${terms.uses} ${terms.uses === 1 ? 'device' : 'devices'}, ${untilText(terms)}`;
}

/** All invitations of the gateway in `dir`, with the times at which they were used. */
export async function listText(dir: string): Promise<string> {
  const lines = (await invitationFiles(dir).all()).map((token) => {
    const { terms, uses } = token;
    const head = `${tokenIdOf(terms.key)}  ${tokenState(token, wholeMs())}: ${uses.size} of ${termsLine(terms)}`;
    return [head, ...[...uses.values()].map(({ atMs }) => `  a device  since ${dateText(atMs)}`)].join('\n');
  });
  return lines.length === 0 ? 'no invitations\n' : `${lines.join('\n')}\n`;
}

/** Revokes the invitation that `word` names: its id, the beginning of one, or its line. Returns the line to print. */
export async function revokeInvitation(dir: string, word: string): Promise<string> {
  const { id, users } = await invitationFiles(dir).revoke(startOf(word), wholeMs());
  if (users === undefined) return `the invitation ${id} was revoked before\n`;
  const devices = users.length === 1 ? 'one device that' : `${users.length} devices that`;
  return `revoked the invitation ${id}${users.length === 0 ? '' : `: ${devices} came by it cannot connect any more`}\n`;
}

function startOf(word: string): string {
  const invitation = parseInvitation(word);
  if (invitation === undefined) return word.trim().toLowerCase();
  return tokenIdOf(invitationKeyOf(invitation.token, createCrypto('fastest')));
}
