/**
 * What a node says of itself.
 * @module
 */
import type { HostPort } from '../address.ts';
import { toHex } from '../bytes.ts';
import type { DescriptorDraft, LoopResult, MixLayer } from '../directory/index.ts';
import type { NodeOptions } from './config.ts';

/** `keyOf` gives the Sphinx key of an epoch; epochs without one are left out. `loops` is what became of its own loops. */
export function describeNode(
  options: Pick<NodeOptions, 'name' | 'family'>,
  place: MixLayer | 'gateway',
  address: HostPort,
  epochs: readonly number[],
  keyOf: (epoch: number) => Uint8Array | undefined,
  loops: LoopResult[],
): DescriptorDraft {
  const sphinxKeys = epochs.flatMap((epoch) => {
    const key = keyOf(epoch);
    return key === undefined ? [] : [{ epoch, key: toHex(key) }];
  });
  const family = options.family === undefined ? {} : { family: options.family };
  const common = { name: options.name, ...family, ...address, sphinxKeys, loops };
  return place === 'gateway' ? { role: 'gateway', ...common } : { role: 'mixnode', layer: place, ...common };
}
