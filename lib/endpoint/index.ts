/**
 * A client's end of the mixnet.
 * @module
 */
export { MixEndpoint } from './endpoint.ts';
export { FinalHop } from './final-hop.ts';
export { sharesGateway } from './gateways/exit-gateways.ts';
export { type Guard, GuardSample, type GuardState, MAX_DRAWS, SAMPLE_SIZE } from './gateways/guard-sample.ts';
export { MAX_PATH_NODES, type NodeHealth, PathHealth } from './health/path-health.ts';
export { contentSlots, type FrameSource, idleSlots, LaneFeeder, type LaneFrame } from './lane-feeder.ts';
export { LoopLedger, MAX_LOOPS_IN_FLIGHT } from './loop-ledger.ts';
export type { EndpointOptions, TopologySource } from './options.ts';
export type { ReplyReceiver } from './reply-blocks.ts';
export { MAX_EXPECTED_RETURNS, ReturnTable } from './returns.ts';
export { RouteDrawer } from './routes.ts';
export { type Sealed, Sealer } from './sealer.ts';
