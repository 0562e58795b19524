/**
 * The options of the commands beside a directory authority.
 * @module
 */
import { z } from 'zod';
import { MAX_TOKEN_USES, NODE_ROLES } from '../../directory/members/token.ts';
import { MAX_AUTHORITIES } from '../../lib/directory/network-file.ts';

export { NODE_ROLES };

/** What a token is good for unless more is said. */
export const DEFAULT_EXPIRY = '30d';

export const folderOption = { dir: z.string().describe('folder of the authority; it may be running') };

const SPAN = /^([1-9]\d{0,4})([mhdw])$/;
const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

export const TokenConfig = z.strictObject({
  ...folderOption,
  uses: z.int().min(1).max(MAX_TOKEN_USES).default(1).describe('nodes that it is good for'),
  roles: z
    .array(z.enum(NODE_ROLES, `expected roles of ${NODE_ROLES.join(', ')}`))
    .min(1, 'expected at least one role')
    .default([...NODE_ROLES])
    .describe(`roles that it is good for, of ${NODE_ROLES.join(', ')}`),
  expires: z
    .string()
    .regex(/^(never|[1-9]\d{0,4}[mhdw])$/, "expected a time as 90m, 12h, 30d or 8w, or 'never'")
    .default(DEFAULT_EXPIRY)
    .describe('how long nodes may join with it; those that have joined stay'),
  key: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'expected the 64 hex digits of a join key')
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

/** `30d` in milliseconds; undefined for `never`. */
export function spanMs(text: string): number | undefined {
  const [, count, unit = ''] = SPAN.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * (UNIT_MS[unit] ?? 0);
}
