/**
 * What every stream at the exit is given, of whatever kind.
 * @module
 */
import type { Clock } from '../../lib/core/clock.ts';
import type { ErrorCode } from '../../lib/core/errors.ts';
import type { MemoryBudget } from '../../lib/core/memory-budget.ts';
import type { RelayOutcome } from '../../lib/relay/stream-relay.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { EgressLimits } from '../config.ts';
import type { NameResolver } from '../dns/resolver.ts';
import type { ExitPolicy } from '../policy/exit-policy.ts';

/** What becomes of a datagram at the exit. */
export type ExitDatagramFate =
  | 'up'
  | 'down'
  | 'foreign'
  | 'malformed'
  | 'policy'
  | 'unresolved'
  | 'limit'
  | 'queue-full';

export interface EgressContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: EgressLimits;
  readonly memory?: MemoryBudget;
  readonly allowPrivate: boolean;
  readonly allowUdp: boolean;
  readonly resolver: NameResolver;
  readonly policy: ExitPolicy;
  readonly onBytes: (direction: 'up' | 'down', bytes: number) => void;
  readonly onOpened: (afterMs: number) => void;
  readonly onRefused: (code: ErrorCode) => void;
  readonly onEnded: (outcome: RelayOutcome) => void;
  readonly onDatagram: (fate: ExitDatagramFate) => void;
}
