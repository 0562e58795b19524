/**
 * What mixnode and gateway have in common.
 * @module
 */
export { advertisedAddress } from './advertise.ts';
export { type NodeOptions, nodeOptions } from './config.ts';
export { type EngineOptions, type EngineRole, PacketEngine, type PooledPacket } from './engine.ts';
export { FaultInjector, type FaultPlan, faultText, NO_FAULT, parseFault } from './fault.ts';
export { LoopDriver, type LoopDriverOptions } from './loop-driver.ts';
export { NodeMetrics } from './metrics.ts';
export { type Neighbours, neighboursOf } from './neighbours.ts';
export { type NodeRole, type NodeServices, type NodeSpec, type RunningNode, startNode } from './shell.ts';
export { Surroundings } from './surroundings.ts';
