/**
 * A client's end of the mixnet.
 * @module
 */
export { type EndpointOptions, MixEndpoint, type TopologySource } from './endpoint.ts';
export { FinalHop } from './final-hop.ts';
export { contentSlots, type Frame, type FrameSource, idleSlots, LaneFeeder } from './lane-feeder.ts';
export { LoopLedger, MAX_LOOPS_IN_FLIGHT } from './loop-ledger.ts';
export { MAX_PATH_NODES, type NodeHealth, PathHealth } from './path-health.ts';
export type { ReplyReceiver } from './reply-blocks.ts';
export { MAX_EXPECTED_RETURNS, ReturnTable } from './returns.ts';
export { RouteDrawer } from './routes.ts';
export { type Sealed, Sealer } from './sealer.ts';
