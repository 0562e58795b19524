/**
 * What every node with a Sphinx key does to packets: keys, replay protection, the pool, own loops. State machines on
 * injected time and randomness; only the key files and the replay journal touch the disk.
 * @module
 */
export { acceptedRate, FILTER_BYTES_PER_TAG } from './accepted-rate.ts';
export { Arrivals, MOST_WAIT_MS, MOST_WAITING, TURN_MS } from './arrivals.ts';
export { DelayQueue } from './delay-queue.ts';
export { DepartureTicks, TICK_MS } from './departure-ticks.ts';
export { NODE_DROPS, type NodeDrop } from './drop-reason.ts';
export { FairPolicer, type PolicedLink } from './fair-policer.ts';
export { type ActiveKey, type KeyRingOptions, SphinxKeyRing } from './key-ring.ts';
export { LoopAlarm } from './loop-alarm.ts';
export { excessMs, type LoopInFlight, LoopsInFlight } from './loops-in-flight.ts';
export { drawRoute, type FinishedLoop, LOOP_GRACE_MS, LOOP_LATE_MS, LOOPS_IN_FLIGHT, NodeLoops } from './node-loops.ts';
export { cappedDelayMs, PacketPipeline } from './pipeline.ts';
export { openPolicedKeys, type PolicedKeys } from './policed-keys.ts';
export { FILTER_KEY_BYTES, RECORD_BYTES, ReplayFilter } from './replay-filter.ts';
export { drawnDelayMs, type RouteHop, toSphinxHops, withDelays } from './route-hops.ts';
export { TokenBucket, takeOfEach } from './token-bucket.ts';
