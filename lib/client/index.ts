/**
 * A client's end of the mixnet.
 * @module
 */
export { type EndpointOptions, MixEndpoint, type ReplyReceiver, type TopologySource } from './endpoint.ts';
export { FinalHop } from './final-hop.ts';
export { contentSlots, type Frame, type FrameSource, idleSlots, LaneFeeder } from './lane-feeder.ts';
export { LoopLedger, MAX_LEDGER_NODES, MAX_LOOPS_IN_FLIGHT, type NodeHealth } from './loop-ledger.ts';
export { MAX_EXPECTED_RETURNS, ReturnTable } from './returns.ts';
export { RouteDrawer } from './routes.ts';
export { type Sealed, Sealer } from './sealer.ts';
