/**
 * The options of the commands beside a gateway.
 * @module
 */
import { z } from 'zod';
import { MAX_INVITATION_USES } from '../../gateway/invitation-files.ts';
import { identityHex } from '../../lib/config/fields.ts';
import { MAX_INVITATION_GATEWAYS } from '../../lib/directory/index.ts';
import { expires, tokenKey } from '../token-options.ts';

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
export type InviteConfig = z.infer<typeof InviteConfig>;
