/**
 * What a check of a folder has found: one line each.
 * @module
 */
import { asMixError } from '../../lib/core/errors.ts';

export const CHECKS = [
  'folder',
  'config',
  'keys',
  'tokens',
  'network',
  'authorities',
  'clock',
  'listing',
  'access',
  'addresses',
  'ports',
  'health',
  'disk',
  'limits',
] as const;
export type CheckName = (typeof CHECKS)[number];

/** `warning`: the role works, or what is doubtful could not be looked at. `problem`: it does not work, or not as it should. */
export type Level = 'ok' | 'warning' | 'problem';

export interface Finding {
  readonly check: CheckName;
  readonly level: Level;
  /** What is the case and, unless it is in order, what to do. */
  readonly line: string;
}

export const ok = (check: CheckName, line: string): Finding => ({ check, level: 'ok', line });
export const warning = (check: CheckName, line: string): Finding => ({ check, level: 'warning', line });
export const problem = (check: CheckName, line: string): Finding => ({ check, level: 'problem', line });

/** What `run` finds; an error that it throws is a problem of its own words. */
export async function foundBy(check: CheckName, run: () => Finding[] | Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await run();
  } catch (error) {
    return [problem(check, asMixError(error).message)];
  }
}

/** The findings for people, the worst last, where a terminal shows them. */
export function findingsText(findings: readonly Finding[]): string {
  const order: readonly Level[] = ['ok', 'warning', 'problem'];
  const sorted = [...findings].sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
  return sorted.map(({ check, level, line }) => `${level.padEnd(8)} ${check.padEnd(12)} ${line}\n`).join('');
}
