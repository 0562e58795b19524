/**
 * A client's end of the mixnet.
 * @module
 */
export { MixEndpoint } from './endpoint.ts';
export { FinalHop } from './final-hop.ts';
export { sharesGateway } from './gateways/exit-gateways.ts';
export { GuardSample, type GuardState, MAX_DRAWS, SAMPLE_SIZE } from './gateways/guard-sample.ts';
export { contentSlots, type FrameSource, idleSlots, LaneFeeder, type LaneFrame } from './lane-feeder.ts';
export type { EndpointOptions } from './options.ts';
export type { ReplyReceiver } from './reply-blocks.ts';
export { RouteDrawer } from './routes.ts';
