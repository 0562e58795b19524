/**
 * The descriptor of a mix or gateway.
 * @module
 */

import { toHex } from '../core/bytes.ts';
import type { EpochNumber } from '../core/units.ts';
import type { DescriptorDraft, LoopResult, RingPosition } from '../directory/index.ts';
import type { ListeningAt } from './advertise.ts';
import type { PublishedLoad } from './carried-load.ts';
import type { NodeOptions } from './config.ts';

/**
 * `position`: undefined of a mix that leaves its layer to the authorities. `keyOf` gives the Sphinx key of an epoch; epochs without one are
 * left out. The last: its own loops, and what it carries.
 */
export function describeNode(
  options: Pick<NodeOptions, 'name' | 'family'> & { readonly clients?: 'open' | 'invited' },
  position: RingPosition | undefined,
  at: ListeningAt,
  epochs: readonly EpochNumber[],
  keyOf: (epoch: EpochNumber) => Uint8Array | undefined,
  { arrivalsPerSecond, ...results }: PublishedLoad & { loops: LoopResult[] },
): DescriptorDraft {
  const sphinxKeys = epochs.flatMap((epoch) => {
    const key = keyOf(epoch);
    return key === undefined ? [] : [{ epoch, key: toHex(key) }];
  });
  const family = options.family === undefined ? {} : { family: options.family };
  const common = { name: options.name, ...family, ...at, sphinxKeys, ...results };
  const clients = options.clients === 'invited' ? { clients: options.clients } : {};
  if (position === 'gateway') return { role: 'gateway', ...common, ...clients }; // it delays nothing
  const arrivals = arrivalsPerSecond === undefined ? {} : { arrivalsPerSecond };
  const layer = position === undefined ? {} : { layer: position };
  return { role: 'mixnode', ...layer, ...common, ...arrivals };
}
