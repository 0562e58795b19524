/**
 * The mixnode: takes packets from the layer before, and sends them to the layer behind when their time has come.
 * @module
 */
import type { Components } from '../lib/components.ts';
import type { MixLayer } from '../lib/directory/index.ts';
import { type NodeRole, type NodeServices, type RunningNode, startNode } from '../lib/node/index.ts';
import type { MixnodeConfig } from './config.ts';

export { MixnodeConfig } from './config.ts';

export function startMixnode(config: MixnodeConfig, components: Components): Promise<RunningNode> {
  return startNode({ options: config, components, place: config.layer as MixLayer, makeRole: mixRole });
}

function mixRole(services: NodeServices): NodeRole {
  return {
    refuses: (next) => (services.neighbours().after.has(next) ? undefined : 'next-hop'),
    forward: (next, packet) => services.sendToNode(next, packet),
    ends: () => 'not-an-endpoint',
  };
}
