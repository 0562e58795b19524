/**
 * Where a benchmark of a whole network lives: processes and folders that go when it ends, however it ends.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a measurement lives in. */
export interface Scope {
  /** Called at the end, the last first. */
  teardown(undo: () => unknown): void;
  /** A folder that goes away at the end. */
  testdir(): string;
}

class BenchScope implements Scope {
  readonly #undo: (() => unknown)[] = [];

  teardown(undo: () => unknown): void {
    this.#undo.push(undo);
  }

  testdir(): string {
    const dir = mkdtempSync(join(tmpdir(), 'mixsocks-bench-'));
    this.teardown(() => rmSync(dir, { recursive: true, force: true }));
    return dir;
  }

  async close(): Promise<void> {
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) await undo();
  }
}

/** Scopes that are open, the outermost first. */
const open: BenchScope[] = [];

async function closeAll(): Promise<void> {
  for (let scope = open.pop(); scope !== undefined; scope = open.pop()) await scope.close();
}

const onSignal = () => void closeAll().finally(() => process.exit(130));

/** Runs `work` and cleans up behind it; on SIGINT and SIGTERM behind all that runs, and then the process ends. */
export async function inScope<Result>(work: (scope: Scope) => Promise<Result>): Promise<Result> {
  const scope = new BenchScope();
  if (open.length === 0) process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  open.push(scope);
  try {
    return await work(scope);
  } finally {
    if (open.includes(scope)) open.splice(open.indexOf(scope), 1);
    await scope.close();
    if (open.length === 0) process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

export const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** What is done now, for whoever waits: on standard error, beside the figures. */
export const progress = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** A text table with the columns as wide as they need to be; the first one left, the others right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(cell).join('  ').trimEnd()).join('\n');
}
