/**
 * What a requester says of itself in the directory.
 * @module
 */
import { toHex } from '../lib/core/bytes.ts';
import type { EpochNumber } from '../lib/core/units.ts';
import type { Countersignature, DescriptorDraft } from '../lib/directory/index.ts';
import { SESSION_VERSIONS } from '../lib/session/index.ts';
import type { RequesterConfig } from './config.ts';

/** The descriptor for `epochs`, with the keys that `keyOf` has. */
export function describeRequester(
  { name, family, accessToken }: RequesterConfig,
  gateways: Countersignature[],
  exitPolicy: string,
  epochs: readonly EpochNumber[],
  keyOf: (epoch: EpochNumber) => Uint8Array | undefined,
): DescriptorDraft {
  return {
    role: 'requester',
    name,
    gateways,
    exitPolicy,
    sessionVersions: SESSION_VERSIONS,
    sphinxKeys: epochs.flatMap((epoch) => {
      const key = keyOf(epoch);
      return key === undefined ? [] : [{ epoch, key: toHex(key) }];
    }),
    ...(family === undefined ? {} : { family }),
    ...(accessToken === undefined ? {} : { accessTokenRequired: true }),
  };
}
