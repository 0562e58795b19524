/**
 * `mixsocks gateway invite`, `invite list` and `invite revoke`: they write and read the files of the gateway's folder, which a gateway
 * that runs reads again within seconds.
 * @module
 */
import { z } from 'zod';
import { type InvitationTerms, invitationFiles, MAX_INVITATION_USES } from '../../gateway/invitation-files.ts';
import { identityHex } from '../../lib/config/fields.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import {
  invitationKeyOf,
  invitationLine,
  MAX_INVITATION_GATEWAYS,
  newToken,
  parseInvitation,
  type TokenKeyHex,
  tokenIdOf,
} from '../../lib/directory/index.ts';
import { expires, listIn, revokeIn, timesOf, tokenKey, untilText } from '../tokens.ts';

export const FolderConfig = z.strictObject({ dir: z.string().describe('folder of the gateway; it may be running') });

export const InviteConfig = z.strictObject({
  ...FolderConfig.shape,
  uses: z.int().min(1).max(MAX_INVITATION_USES).default(1).describe('devices that it is good for'),
  expires: expires.describe('how long devices may come by it; those that came stay until it is revoked'),
  also: z
    .array(identityHex)
    .max(MAX_INVITATION_GATEWAYS - 1)
    .default([])
    .describe('identities of other gateways that it is for; --key lets it serve there'),
  key: tokenKey.optional().describe('key of an invitation that another gateway has made: it then serves here, too'),
});
type InviteConfig = z.infer<typeof InviteConfig>;

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
  const lines = await listIn(invitationFiles(dir), termsLine, () => 'a device');
  return lines.length === 0 ? 'no invitations\n' : `${lines.join('\n')}\n`;
}

/** Revokes the invitation that `word` names: its id, the beginning of one, or its line. Returns the line to print. */
export function revokeInvitation(dir: string, word: string): Promise<string> {
  return revokeIn(invitationFiles(dir), startOf(word), ({ length }) => {
    return `: ${length === 1 ? 'one device that' : `${length} devices that`} came by it cannot connect any more`;
  });
}

function startOf(word: string): string {
  const invitation = parseInvitation(word);
  if (invitation === undefined) return word.trim().toLowerCase();
  return tokenIdOf(invitationKeyOf(invitation.token, createCrypto('fastest')));
}
