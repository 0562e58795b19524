/**
 * Invitations to a private network or gateway. An invitation is a counted token of a gateway (`tokens/`), which who is invited gets as one
 * line together with the gateways that know it. It lets an access key in: the invited client makes one for each invitation, and signs it
 * with the key of the invitation. A gateway counts access keys, and later links are proved by them.
 * @module
 */
import { concatBytes, type IdentityHex } from '../core/bytes.ts';
import type { Crypto } from '../crypto/index.ts';
import { type TokenKeyHex, tokenKeyOf, tokenSeed } from './tokens/token.ts';

/** Gateways that one invitation names. */
export const MAX_INVITATION_GATEWAYS = 8;

const PREFIX = 'mixsocks-invitation:';
const LINE = new RegExp(
  `^${PREFIX}([0-9a-f]{64}(?:\\.[0-9a-f]{64}){0,${MAX_INVITATION_GATEWAYS - 1}})@([0-9a-f]{64})$`,
);
const GRANT_PREFIX = Buffer.from('mixsocks/access-grant/v1\0', 'latin1');
const ACCESS_KEY_PREFIX = Buffer.from('mixsocks/access-key/v1\0', 'latin1');

export interface Invitation {
  readonly gateways: readonly IdentityHex[];
  /** 64 hex digits. */
  readonly token: string;
}

/** An access key of a client, and its right to it. */
export interface AccessGrant {
  readonly invitation: Uint8Array;
  readonly accessKey: Uint8Array;
  readonly accessSeed: Uint8Array;
  readonly grant: Uint8Array;
}

/** The line for who is invited. */
export function invitationLine({ gateways, token }: Invitation): string {
  return `${PREFIX}${gateways.join('.')}@${token}`;
}

/** Reads a line; undefined when it is none, or a part of one. */
export function parseInvitation(line: string): Invitation | undefined {
  const [, gateways, token] = LINE.exec(line.trim()) ?? [];
  if (gateways === undefined || token === undefined) return undefined;
  return { gateways: gateways.split('.') as IdentityHex[], token };
}

/** The public key of an invitation: what its gateways know of it. */
export function invitationKeyOf(token: string, crypto: Pick<Crypto, 'sha256' | 'ed25519PublicKey'>): TokenKeyHex {
  return tokenKeyOf('invitation', token, crypto);
}

/**
 * The access key of the client with this secret (32 bytes) for an invitation. Keys for two invitations have nothing in common, so
 * that their gateways cannot tell that one client has both.
 */
export function accessGrant(
  token: string,
  secret: Uint8Array,
  crypto: Pick<Crypto, 'sha256' | 'ed25519PublicKey' | 'ed25519Sign'>,
): AccessGrant {
  const seed = tokenSeed('invitation', token, crypto);
  const invitation = crypto.ed25519PublicKey(seed);
  const accessSeed = crypto.sha256(concatBytes(ACCESS_KEY_PREFIX, secret, invitation));
  const accessKey = crypto.ed25519PublicKey(accessSeed);
  return { invitation, accessKey, accessSeed, grant: crypto.ed25519Sign(seed, grantedBytes(accessKey)) };
}

/** Whether who has the invitation has granted access to this key. */
export function isGranted(
  { invitation, accessKey, grant }: Pick<AccessGrant, 'invitation' | 'accessKey' | 'grant'>,
  crypto: Pick<Crypto, 'ed25519Verify'>,
): boolean {
  return crypto.ed25519Verify(invitation, grantedBytes(accessKey), grant);
}

function grantedBytes(accessKey: Uint8Array): Uint8Array {
  return concatBytes(GRANT_PREFIX, accessKey);
}
