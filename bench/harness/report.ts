/**
 * How results are written: one JSON object per line for programs, a table for people.
 * @module
 */
import { LIMIT } from './limit.ts';
import type { Result } from './paired.ts';
import { table } from './scope.ts';

/** One line of `--json`. Times per operation also come in units of the machine's limit. */
export function jsonLine(result: Result, limitUs: number, commit?: string): string {
  const { name, value, unit, terms, runs, failed, fault, against, ratio } = result;
  return JSON.stringify({
    name,
    value: rounded(value),
    unit,
    ...terms,
    runs,
    limit: rounded(limitUs),
    ...(unit === 'us' && name !== LIMIT && value !== null ? { limits: rounded(value / limitUs) } : {}),
    ...(failed > 0 ? { failed, fault } : {}),
    ...(against === undefined ? {} : { commit, against: rounded(against.value), ratio: rounded(ratio ?? null) }),
    ...(against !== undefined && against.failed > 0
      ? { againstFailed: against.failed, againstFault: against.fault }
      : {}),
  });
}

/** All results as a table. */
export function resultTable(results: readonly Result[], limitUs: number, commit?: string): string {
  const head = [
    'figure',
    'terms',
    'value',
    'unit',
    'limits',
    'failed',
    ...(commit === undefined ? [] : [commit, 'ratio']),
  ];
  const rows = results.map(({ name, value, unit, terms, runs, failed, fault, against, ratio }) => {
    const limits = unit === 'us' && name !== LIMIT && value !== null ? shown(value / limitUs) : '';
    const failures = failed === 0 ? '' : `${failed} of ${runs}: ${fault}`;
    const more = commit === undefined ? [] : [shown(against?.value ?? null), shown(ratio ?? null)];
    const settings = Object.entries(terms).map(([term, one]) => `${term}=${one}`);
    return [name, settings.join(' '), shown(value), unit, limits, failures, ...more];
  });
  return table([head, ...rows]);
}

/** Four digits that count. */
function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(4));
}

function shown(value: number | null): string {
  return value === null ? '-' : String(rounded(value));
}

/** Whether anything that was to be measured has no value. */
export function hasFailures(results: readonly Result[]): boolean {
  return results.some(({ failed, against }) => failed > 0 || (against?.failed ?? 0) > 0);
}
