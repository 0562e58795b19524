/**
 * Why a document is refused: a stable name for metrics and tests, and one clear line for people.
 * @module
 */
import type { z } from 'zod';
import { MixError } from '../errors.ts';

/** Every reason for which a descriptor or a consensus is refused. */
export const REFUSALS = [
  'oversize',
  'malformed',
  'wrong-network',
  'wrong-params',
  'bad-signature',
  'below-threshold',
  'other-epoch',
  'past-epoch',
  'future-epoch',
  'expired',
  'rollback',
  'equivocation',
  'not-a-member',
  'stale',
  'clock-skew',
  'key-epochs',
  'prefix-collision',
  'full',
] as const;

export type Refusal = (typeof REFUSALS)[number];

/** A document that is not accepted; `reason` is stable, `message` is one line. */
export class DocumentRefused extends MixError {
  constructor(
    readonly reason: Refusal,
    message: string,
  ) {
    super('DOCUMENT', message);
  }
}

/** The first problem zod found, as one line that names the field. */
export function firstProblem(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'is not valid';
  const where = issue.path.length === 0 ? '' : `${pathText(issue.path)}: `;
  if (issue.code === 'unrecognized_keys') return `${where}unknown key "${issue.keys[0]}"`;
  return `${where}${issue.message}`;
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((step, i) => (typeof step === 'number' ? `[${step}]` : `${i > 0 ? '.' : ''}${String(step)}`))
    .join('');
}
