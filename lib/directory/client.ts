/**
 * A member's view of the directory: keeps a verified consensus at hand, and the member's own descriptor announced.
 * @module
 */
import type { Components, Running } from '../components.ts';
import { MixError } from '../errors.ts';
import type { Descriptor, DescriptorDraft } from './documents.ts';
import type { NetworkFile } from './network-file.ts';
import type { Topology } from './topology.ts';

export interface DirectoryClientOptions {
  readonly network: NetworkFile;
  readonly components: Components;
  /** Where the last good consensus is kept across restarts. */
  readonly cacheFile?: string;
}

/**
 * Makes the announcement anew each time it is sent. `epochs` are those the descriptor must carry Sphinx keys for:
 * this one and the next, shortly before a turn also the one after.
 */
export type MakeDescriptor = (epochs: readonly number[]) => DescriptorDraft;

export class DirectoryClient implements Running {
  constructor(readonly options: DirectoryClientOptions) {}

  /** Loads the cache and begins to poll. Resolves without waiting for the network. */
  async start(): Promise<void> {}

  /** The consensus in force; undefined before the first and after the last has expired. */
  topology(): Topology | undefined {
    return undefined;
  }

  /** Calls `notify` for each topology that comes into force from now on. Returns how to unsubscribe. */
  onTopology(_notify: (topology: Topology) => void): () => void {
    return () => {};
  }

  /** The topology in force, once there is one; rejects with NO_CONSENSUS. */
  async waitForTopology(_timeoutMs: number): Promise<Topology> {
    throw new MixError('NO_CONSENSUS', 'no consensus');
  }

  /** Keeps a node announced: now until accepted, before each turn, and when told `announceNow`. */
  announce(_makeDescriptor: MakeDescriptor, _identitySeed: Uint8Array, _joinToken?: string): void {}

  /** Announces again at once: keys or address have changed. */
  announceNow(): void {}

  /** The verified descriptors an authority holds; for a requester that picks its gateway before the first consensus. */
  async fetchDescriptors(): Promise<Descriptor[]> {
    return [];
  }

  async stop(): Promise<void> {}
}
