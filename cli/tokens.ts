/**
 * What the commands that make, list and revoke join tokens and invitations have in common.
 * @module
 */
import { z } from 'zod';
import { dateText, systemClock } from '../lib/core/clock.ts';
import { laterMs, type UnixMs } from '../lib/core/units.ts';
import { type TokenFiles, type TokenTerms, type TokenUse, tokenIdOf, tokenState } from '../lib/directory/index.ts';

/** What a token is good for unless more is said. */
export const DEFAULT_EXPIRY = '30d';

const SPAN = /^([1-9]\d{0,4})([mhdw])$/;
const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

export const expires = z
  .string()
  .regex(/^(never|[1-9]\d{0,4}[mhdw])$/, "expected a time as 90m, 12h, 30d or 8w, or 'never'")
  .default(DEFAULT_EXPIRY);

export const tokenKey = z.string().regex(/^[0-9a-f]{64}$/, 'expected the 64 hex digits of a key');

/** `30d` in milliseconds; undefined for `never`. */
export function spanMs(text: string): number | undefined {
  const [, count, unit = ''] = SPAN.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * (UNIT_MS[unit] ?? 0);
}

/** The times of a token that is made now. */
export function timesOf(expiry: string): { createdMs: UnixMs; expiresMs?: UnixMs } {
  const createdMs = wholeMs();
  const lifeMs = spanMs(expiry);
  return { createdMs, ...(lifeMs === undefined ? {} : { expiresMs: laterMs(createdMs, lifeMs) }) };
}

/** The time of day in whole milliseconds, for files. */
const wholeMs = (): UnixMs => Math.floor(systemClock.wallMs()) as UnixMs;

/** `until 2026-12-27 10:00 UTC` */
export function untilText({ expiresMs }: { readonly expiresMs?: UnixMs }): string {
  return expiresMs === undefined ? 'without an end' : `until ${dateText(expiresMs)}`;
}

/** All tokens of a folder, an entry each, with the lines of those who came by them. */
export async function listIn<Terms extends TokenTerms, Use extends TokenUse>(
  files: TokenFiles<Terms, Use>,
  termsLine: (terms: Terms) => string,
  userText: (use: Use) => string,
): Promise<string[]> {
  return (await files.all()).map((token) => {
    const { terms, uses } = token;
    const head = `${tokenIdOf(terms.key)}  ${tokenState(token, wholeMs())}: ${uses.size} of ${termsLine(terms)}`;
    return [head, ...[...uses.values()].map((use) => `  ${userText(use)}  since ${dateText(use.atMs)}`)].join('\n');
  });
}

/** Revokes the token whose id begins with `start`; the line to print, where `consequence` says what follows for its users. */
export async function revokeIn<Terms extends TokenTerms, Use extends TokenUse>(
  files: TokenFiles<Terms, Use>,
  start: string,
  consequence: (users: readonly Use[]) => string,
): Promise<string> {
  const { name } = files.kind;
  const { id, users } = await files.revoke(start, wholeMs());
  if (users === undefined) return `the ${name} ${id} was revoked before\n`;
  return `revoked the ${name} ${id}${users.length === 0 ? '' : consequence(users)}\n`;
}
