/**
 * The mixnode: takes packets from the layer before it, and sends them to the layer behind it when their time has come.
 * @module
 */

import type { MixLayer } from '../lib/directory/index.ts';
import { type RunningNode, startNode } from '../lib/node/index.ts';
import type { Components } from '../lib/runtime/components.ts';
import type { MixnodeConfig } from './config.ts';

export { MixnodeConfig } from './config.ts';

export function startMixnode(config: MixnodeConfig, components: Components): Promise<RunningNode> {
  return startNode({
    options: config,
    components,
    position: config.layer as MixLayer | undefined,
    behaviourOf: ({ peers }) => ({ nextHop: (address) => peers.find(address) ?? 'next-hop', endsPackets: false }),
  });
}
