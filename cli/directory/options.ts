/**
 * The options of the commands beside a directory authority.
 * @module
 */
import { z } from 'zod';
import { MAX_TOKEN_USES, NODE_ROLES } from '../../directory/members/token.ts';
import { MAX_AUTHORITIES } from '../../lib/directory/network-file.ts';
import { expires, tokenKey } from '../token-options.ts';

export { NODE_ROLES };

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
export type TokenConfig = z.infer<typeof TokenConfig>;

export const FolderConfig = z.strictObject(folderOption);

export const ExpelConfig = z.strictObject({
  ...folderOption,
  undo: z.boolean().default(false).describe('let it join again'),
});

export const NetworkConfig = z.strictObject({
  dir: z.string().describe('folder of the authority, as mixsocks init directory makes it'),
  threshold: z
    .int()
    .min(1)
    .max(MAX_AUTHORITIES)
    .optional()
    .describe('authorities that must sign, more than half of them (default: 2 of 3, 3 of 4, two thirds of more)'),
});

export const AuditConfig = z.strictObject({
  dir: z.string().describe('folder of the authority; it may be running'),
  epoch: z.int().min(0).optional().describe('epoch of the consensus (default: the newest)'),
});
