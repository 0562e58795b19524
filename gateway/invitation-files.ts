/**
 * Invitations in a gateway's folder: counted tokens, used by the access keys of clients.
 * @module
 */
import { z } from 'zod';
import { TokenFiles, type TokenKind, termsShape, useShape } from '../lib/directory/index.ts';

/** Devices that one invitation can be good for. */
export const MAX_INVITATION_USES = 4096;
/** Invitations of a gateway, revoked and expired ones included. */
export const MAX_INVITATIONS = 4096;

const terms = z.strictObject(termsShape(MAX_INVITATION_USES));
const use = z.strictObject(useShape);

export type InvitationTerms = z.infer<typeof terms>;
export type InvitationUse = z.infer<typeof use>;

export const INVITATIONS: TokenKind<InvitationTerms, InvitationUse> = {
  name: 'invitation',
  issuer: 'a gateway',
  folder: 'invitations',
  users: 'devices',
  terms,
  use,
  maxTokens: MAX_INVITATIONS,
  maxUses: MAX_INVITATION_USES,
  revokeCommand: 'mixsocks gateway invite revoke',
};

export type InvitationFiles = TokenFiles<InvitationTerms, InvitationUse>;

export function invitationFiles(dir: string): InvitationFiles {
  return new TokenFiles(dir, INVITATIONS);
}
