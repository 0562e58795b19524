/**
 * What mixnode and gateway have in common.
 * @module
 */
export { advertisedAddresses } from './advertise.ts';
export type { ClientAccess, NextHop, NodeBehaviour, NodeParts, RunningNode } from './behaviour.ts';
export { PacketEngine, type PooledPacket } from './engine.ts';
export { FaultInjector, faultText, NO_FAULT, parseFault } from './fault.ts';
export { NodeMetrics } from './metrics.ts';
export { type Neighbours, NetworkView, neighboursOf } from './network-view.ts';
export { startNode } from './shell.ts';
