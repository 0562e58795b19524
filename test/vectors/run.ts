/**
 * `npm run vectors -- [--crypto fastest|noble] [FILE]`: checks every entry of the `packets` array of a JSON file, by
 * default of the bundled one. Last line `N passed, N failed`; exit code 0, 1 on a failure, 2 when there is nothing to check.
 * @module
 */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createCrypto } from '../../lib/crypto/index.ts';
import { checkEntry } from './check.ts';

const BUNDLED = fileURLToPath(new URL('./sphinx-packet-0.6.0.json', import.meta.url));
/** Longest part of a difference that is printed. */
const MAX_LINE = 240;

class Unusable extends Error {}

function readCommandLine(argv: string[]): { file: string; choice: 'fastest' | 'noble' } {
  const options = { crypto: { type: 'string', default: 'fastest' } } as const;
  let parsed: ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args: argv, options, allowPositionals: true });
  } catch (error) {
    throw new Unusable((error as Error).message);
  }
  const choice = parsed.values.crypto;
  if (choice !== 'fastest' && choice !== 'noble') throw new Unusable(`--crypto is fastest or noble, not ${choice}`);
  if (parsed.positionals.length > 1) throw new Unusable('give one file');
  return { file: locate(parsed.positionals[0]), choice };
}

/** npm runs a script in the package's folder and says in INIT_CWD where the user stood. */
function locate(file: string | undefined): string {
  if (file === undefined) return BUNDLED;
  const fromUser = resolve(process.env.INIT_CWD ?? '.', file);
  return existsSync(file) ? file : fromUser;
}

function readPackets(file: string): unknown[] {
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Unusable(`${file}: ${(error as Error).message}`);
  }
  const packets = typeof document === 'object' && document !== null && 'packets' in document ? document.packets : null;
  if (!Array.isArray(packets) || packets.length === 0) throw new Unusable(`${file}: no array "packets" with entries`);
  return packets;
}

function nameOf(entry: unknown, index: number): string {
  const named = typeof entry === 'object' && entry !== null && 'name' in entry && typeof entry.name === 'string';
  return named ? String(entry.name) : `packets[${index}]`;
}

function main(): number {
  const { file, choice } = readCommandLine(process.argv.slice(2));
  const packets = readPackets(file);
  const crypto = createCrypto(choice);
  let failed = 0;
  for (const [index, entry] of packets.entries()) {
    const problems = checkEntry(crypto, entry);
    if (problems.length === 0) continue;
    failed += 1;
    for (const problem of problems) process.stdout.write(`${nameOf(entry, index)}: ${problem.slice(0, MAX_LINE)}\n`);
  }
  process.stdout.write(`${packets.length - failed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

try {
  process.exitCode = main();
} catch (error) {
  if (!(error instanceof Unusable)) throw error;
  process.stderr.write(`vectors: ${error.message.replaceAll('\n', ' ')}\n`);
  process.exitCode = 2;
}
