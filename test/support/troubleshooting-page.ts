/**
 * The tables of docs/TROUBLESHOOTING.md that are made from the code's own: the reasons in the status, and the errors.
 * `npx tsx test/support/troubleshooting-page.ts` writes them into the page; a unit test compares.
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { REASONS } from '../../lib/access/troubles/reasons.ts';
import { ERRORS, type ErrorCode, factsOf } from '../../lib/core/errors.ts';

export const TROUBLESHOOTING_PAGE = fileURLToPath(new URL('../../docs/TROUBLESHOOTING.md', import.meta.url));

const hex = (value: number): string => `0x${value.toString(16)}`;
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '\\<');

function reasonsTable(): string {
  const rows = Object.entries(REASONS).map(
    ([reason, { where, words, remedy }]) => `| \`${reason}\` | ${where} | ${cell(words)} | ${cell(remedy)} |`,
  );
  return ['| reason | it is | what happened | what to do |', '|---|---|---|---|', ...rows].join('\n');
}

function errorsTable(): string {
  const rows = (Object.keys(ERRORS) as ErrorCode[]).map((code) => {
    const { socksReply, extendedReply, httpStatus, exitCode, meaning, help } = factsOf(code);
    const socks = extendedReply === undefined ? `${socksReply}` : `${socksReply} (${hex(extendedReply)})`;
    return `| \`${code}\` | ${socks} | ${httpStatus} | ${exitCode} | ${cell(meaning)} | ${cell(help)} |`;
  });
  const head = '| error | SOCKS5 reply | HTTP status | exit code | meaning | what to do |';
  return [head, '|---|---|---|---|---|---|', ...rows].join('\n');
}

/** `page` with its tables as the code has them now. Throws when it has no place for one. */
export function withTables(page: string): string {
  const tables = { reasons: reasonsTable(), errors: errorsTable() };
  return Object.entries(tables).reduce((text, [name, table]) => {
    const place = new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(\n<!-- end of ${name} -->)`);
    if (!place.test(text)) throw new Error(`docs/TROUBLESHOOTING.md has no place for its ${name}`);
    return text.replace(place, (_all, before: string, after: string) => `${before}\n${table}\n${after}`);
  }, page);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(TROUBLESHOOTING_PAGE, withTables(readFileSync(TROUBLESHOOTING_PAGE, 'utf8')));
