/**
 * Why a document is refused: a stable name for metrics and tests, and one clear line for people.
 * @module
 */
import type { z } from 'zod';
import { MixError, oneLine } from '../core/errors.ts';
import { jsonOf } from '../core/parsed-text.ts';
import type { EpochNumber } from '../core/units.ts';

/** Every reason for which a descriptor or a consensus is refused. */
export const REFUSALS = [
  'oversize',
  'malformed',
  'version',
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
  'token-unknown',
  'token-used',
  'token-expired',
  'token-role',
  'token-revoked',
  'expelled',
  'stale',
  'clock-skew',
  'key-epochs',
  'capacity',
  'unreachable',
  'untried',
  'prefix-collision',
  'full',
  'rate',
] as const;

export type Refusal = (typeof REFUSALS)[number];

/** A document that is not accepted; `reason` is stable, `message` is one line. */
export class DocumentRefused extends MixError {
  /** `epoch`: of the consensus, where its signatures hold. */
  constructor(
    readonly reason: Refusal,
    message: string,
    readonly epoch?: EpochNumber,
  ) {
    super('DOCUMENT', message);
  }
}

/** Whoever sends a document chooses its keys. */
const MAX_KEY_LETTERS = 64;

/** The JSON of `text` as `schema` has it; throws DocumentRefused. `kind` stands before what is wrong, and `look` sees it first. */
export function parseJson<T>(kind: string, schema: z.ZodType<T>, text: string, look?: (value: unknown) => void): T {
  const value = jsonOf(text);
  if (value === undefined) throw new DocumentRefused('malformed', `${kind}: is not JSON`);
  look?.(value);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new DocumentRefused('malformed', `${kind}: ${firstProblem(result.error)}`);
}

/** The first problem zod found, as one line that names the field. */
function firstProblem(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'is not valid';
  const where = issue.path.length === 0 ? '' : `${pathText(issue.path)}: `;
  if (issue.code === 'unrecognized_keys')
    return `${where}unknown key "${oneLine(issue.keys[0] ?? '', MAX_KEY_LETTERS)}"`;
  return `${where}${issue.message}`;
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((step, i) => (typeof step === 'number' ? `[${step}]` : `${i > 0 ? '.' : ''}${String(step)}`))
    .join('');
}
