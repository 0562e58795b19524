/**
 * The gateways that there are before the first consensus.
 * @module
 */
import { epochAt } from '../lib/core/params.ts';
import type { UnixMs } from '../lib/core/units.ts';
import type { DirectoryClient } from '../lib/directory/index.ts';
import { type LinkTarget, linkTargetOf } from '../lib/link/index.ts';

/**
 * Those that the first consensus may list; none when no authority answers. An authority holds descriptors until their last key has
 * expired, but one that is not renewed for this epoch is most likely of a gateway that is gone.
 */
export async function announcedGateways(
  directory: Pick<DirectoryClient, 'fetchDescriptors'>,
  wallMs: UnixMs,
  epochMs: number,
): Promise<LinkTarget[]> {
  const descriptors = await directory.fetchDescriptors('gateway').catch(() => []);
  const epoch = epochAt(wallMs, epochMs);
  const renewed = descriptors.filter(({ sphinxKeys }) =>
    [epoch, epoch + 1].every((wanted) => sphinxKeys.some((key) => key.epoch === wanted)),
  );
  return renewed.flatMap((node) => (node.role === 'gateway' ? [linkTargetOf({ id: node.identity, ...node })] : []));
}
