/** What the scenes share. */
import type { Test } from 'tap';
import { until } from '../support/localnet.ts';
import type { Traffic } from './downloads.ts';
import { EPOCH_MS, type HostedNetwork } from './hosted-network.ts';
import { PATIENCE_MS } from './role.ts';
import type { Site } from './site.ts';

export interface World {
  readonly site: Site;
  readonly network: HostedNetwork;
  readonly traffic: Traffic;
  /** The first epoch that is voted on with a liar among the authorities. */
  liesFromEpoch: number;
}

export type Scene = (t: Test, world: World) => Promise<void>;

export const epochNow = (): number => Math.floor(Date.now() / EPOCH_MS);

/** The names of the nodes of the consensus in force. */
export async function listed(network: HostedNetwork, authority?: string): Promise<string[]> {
  return ((await network.consensus(authority))?.nodes ?? []).map(({ name }) => name);
}

/** Waits until more has come through each proxy: nothing stands still for good. */
export async function untilMoreComes({ network, traffic }: World): Promise<void> {
  for (const proxy of network.names('proxy')) {
    const before = traffic.whole(proxy);
    await until(`a further download by ${proxy}`, PATIENCE_MS, () => traffic.whole(proxy) > before);
  }
}
