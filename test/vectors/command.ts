/**
 * The command behind `npm run vectors -- [--crypto fastest|noble] [FILE]`: checks every entry of the arrays `packets` and `vectors` of a JSON
 * file, by default of all bundled ones. Last line `N passed, N failed`; exit code 0, 1 on a failure, 2 when there is nothing
 * to check.
 * @module
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Crypto, createCrypto } from '../../lib/crypto/index.ts';
import { checkVector } from './bundled.ts';
import { checkEntry } from './check.ts';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
/** Longest part of a difference that is printed. */
const MAX_LINE = 240;

class Unusable extends Error {}

function readCommandLine(argv: readonly string[]): { files: string[]; choice: 'fastest' | 'noble' } {
  const options = { crypto: { type: 'string', default: 'fastest' } } as const;
  let parsed: ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (error) {
    throw new Unusable((error as Error).message);
  }
  const choice = parsed.values.crypto;
  if (choice !== 'fastest' && choice !== 'noble') throw new Unusable(`--crypto is fastest or noble, not ${choice}`);
  if (parsed.positionals.length > 1) throw new Unusable('give one file');
  return { files: locate(parsed.positionals[0]), choice };
}

/** npm runs a script in the package's folder and says in INIT_CWD where the user stood. */
function locate(file: string | undefined): string[] {
  if (file === undefined) {
    const bundled = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
    return bundled.sort().map((name) => resolve(FOLDER, name));
  }
  return [existsSync(file) ? file : resolve(process.env.INIT_CWD ?? '.', file)];
}

/** An entry of a file and what is wrong with it. */
interface Check {
  readonly name: string;
  readonly problems: readonly string[];
}

async function check(crypto: Crypto, file: string): Promise<Check[]> {
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Unusable(`${file}: ${(error as Error).message}`);
  }
  const packets = arrayIn(document, 'packets').map(async (entry, i) => ({
    name: nameOf(entry, `packets[${i}]`),
    problems: checkEntry(crypto, entry),
  }));
  const vectors = arrayIn(document, 'vectors').map(async (entry, i) => ({
    name: nameOf(entry, `vectors[${i}]`),
    problems: await checkVector(crypto, entry),
  }));
  if (packets.length + vectors.length === 0) {
    throw new Unusable(`${file}: no array "packets" or "vectors" with entries`);
  }
  return Promise.all([...packets, ...vectors]);
}

function arrayIn(document: unknown, name: string): unknown[] {
  if (typeof document !== 'object' || document === null) return [];
  const array = (document as Record<string, unknown>)[name];
  return Array.isArray(array) ? array : [];
}

function nameOf(entry: unknown, otherwise: string): string {
  if (typeof entry !== 'object' || entry === null) return otherwise;
  const { kind, name } = entry as Record<string, unknown>;
  return [kind, name].filter((part) => typeof part === 'string').join(': ') || otherwise;
}

async function checkFiles(argv: readonly string[], print: (text: string) => void): Promise<number> {
  const { files, choice } = readCommandLine(argv);
  const crypto = createCrypto(choice);
  let [passed, failed] = [0, 0];
  for (const file of files) {
    const checks = await check(crypto, file);
    const bad = checks.filter(({ problems }) => problems.length > 0);
    for (const { name, problems } of bad) {
      for (const problem of problems) print(`${name}: ${problem.slice(0, MAX_LINE)}\n`);
    }
    passed += checks.length - bad.length;
    failed += bad.length;
    if (files.length > 1) print(`${basename(file)}: ${checks.length - bad.length} of ${checks.length}\n`);
  }
  print(`${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

/** Where a command writes: what was found, and why it could not look. */
export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** Runs the command; resolves with its exit code. */
export async function runVectors(argv: readonly string[], { out, err }: Output): Promise<number> {
  try {
    return await checkFiles(argv, out);
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    err(`vectors: ${error.message.replaceAll('\n', ' ')}\n`);
    return 2;
  }
}
