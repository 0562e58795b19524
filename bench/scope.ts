/**
 * Where a benchmark of a whole network lives: processes and folders that go when it ends, however it ends.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Scope } from '../test/support/localnet.ts';

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

/** Runs `work` and cleans up behind it; on SIGINT and SIGTERM too, and then the process ends. */
export async function inScope<Result>(work: (scope: Scope) => Promise<Result>): Promise<Result> {
  const scope = new BenchScope();
  const stop = () => {
    void scope.close().then(() => process.exit(130));
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await work(scope);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await scope.close();
  }
}

export const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** A text table with the columns as wide as they need to be; the first one left, the others right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(cell).join('  ').trimEnd()).join('\n');
}
