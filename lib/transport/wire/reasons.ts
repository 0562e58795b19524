/**
 * Numbers on the wire for the reasons of REFUSED, RESET, STOP and CLOSE. Unknown numbers read as the general reason,
 * so that later versions can add some.
 * @module
 */
import type { ErrorCode } from '../../core/errors.ts';
import type { CloseReason, StreamKind } from '../types.ts';

const ERROR_NUMBERS: ReadonlyMap<ErrorCode, number> = new Map<ErrorCode, number>([
  ['INTERNAL', 0],
  ['POLICY', 1],
  ['NET_UNREACHABLE', 2],
  ['NOT_FOUND', 3],
  ['HOST_UNREACHABLE', 4],
  ['REFUSED', 5],
  ['TIMEOUT', 6],
  ['COMMAND', 7],
  ['ADDRESS_TYPE', 8],
  ['LIMIT', 9],
  ['RESET', 10],
  ['SESSION_CLOSED', 11],
]);
const ERROR_CODES = new Map([...ERROR_NUMBERS].map(([code, number]) => [number, code]));

export function errorNumber(code: ErrorCode): number {
  return ERROR_NUMBERS.get(code) ?? 0;
}

export function errorCode(number: number): ErrorCode {
  return ERROR_CODES.get(number) ?? 'INTERNAL';
}

const CLOSE_REASONS: readonly CloseReason[] = [
  'done',
  'idle',
  'timeout',
  'unknown',
  'token',
  'limit',
  'version',
  'protocol',
  'shutdown',
];

export function closeNumber(reason: CloseReason): number {
  return CLOSE_REASONS.indexOf(reason);
}

export function closeReason(number: number): CloseReason {
  return CLOSE_REASONS[number] ?? 'protocol';
}

/** What the streams of a session that ended for `reason` get. */
export function streamCodeOf(reason: CloseReason): ErrorCode {
  if (reason === 'timeout' || reason === 'idle') return 'TIMEOUT';
  if (reason === 'token') return 'POLICY';
  if (reason === 'limit') return 'LIMIT';
  return 'SESSION_CLOSED';
}

const STREAM_KINDS: readonly StreamKind[] = ['tcp', 'udp', 'resolve'];

export function kindNumber(kind: StreamKind): number {
  return STREAM_KINDS.indexOf(kind);
}

export function streamKind(number: number): StreamKind | undefined {
  return STREAM_KINDS[number];
}
