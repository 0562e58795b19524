/**
 * What is checked: the folder of a role, and the configuration that the role would run with.
 * @module
 */
import type { NodeIdentity } from '../../lib/link/index.ts';
import type { Components } from '../../lib/runtime/components.ts';
import type { RoleName } from '../roles.ts';

/** The keys that checks look at; each role has some of them. */
export interface CheckedConfig {
  readonly name: string;
  readonly networkFile?: string;
  /** Several of a mix or gateway. */
  readonly listen?: string | readonly string[];
  readonly advertise?: readonly string[];
  readonly metricsListen?: string;
  readonly statusListen?: string;
  readonly layer?: 1 | 2 | 3;
  readonly joinToken?: string;
  /** Of a gateway. */
  readonly clients?: 'open' | 'invited';
  readonly invitation?: readonly string[];
  readonly exitPolicyFile?: string;
  readonly replayMemoryMiB?: number;
  readonly memoryBudgetMiB?: number;
  readonly maxClients?: number;
  readonly maxRequesters?: number;
  readonly maxConnections?: number;
  readonly maxStreams?: number;
}

export interface Subject {
  readonly role: RoleName;
  readonly dir: string;
  readonly config: CheckedConfig;
  /** Undefined for a proxy, and where the key file cannot be used. */
  readonly identity: NodeIdentity | undefined;
  /** What the process that holds the folder says of itself; undefined when none does. */
  readonly holder: string | undefined;
  readonly components: Components;
}
