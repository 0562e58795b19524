/**
 * What mixnode and gateway have in common.
 * @module
 */
export { advertisedAddresses } from './advertise.ts';
export type { ClientAccess, NextHop, NodeBehaviour, NodeParts, NodeSpec, RunningNode } from './behaviour.ts';
export { type NodeOptions, nodeOptions } from './config.ts';
export { type EngineOptions, PacketEngine, type PooledPacket } from './engine.ts';
export { FaultInjector, type FaultPlan, faultText, NO_FAULT, parseFault } from './fault.ts';
export { LoopDriver, type LoopDriverOptions } from './loop-driver.ts';
export { NodeMetrics } from './metrics.ts';
export { type Neighbours, NetworkView, neighboursOf } from './network-view.ts';
export { startNode } from './shell.ts';
