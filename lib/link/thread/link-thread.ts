/**
 * The link thread: owns the socket to the gateway and the clocks, so that neither waits for the work of main. This
 * file only connects its parts; what they decide is in `departures.ts` and `uplink.ts`.
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads';
import { every, systemClock } from '../../clock.ts';
import { MixError } from '../../errors.ts';
import { monotonicMs } from '../../monotonic.ts';
import { systemRng } from '../../rng.ts';
import { Departures } from './departures.ts';
import { LaneMemory, LinkMemory } from './memory.ts';
import type { LinkNews, LinkOrder, LinkThreadData } from './messages.ts';
import { Uplink } from './uplink.ts';

/** Immediate lanes fill the queue at most this far, so that clocked frames find room and little before them. */
const IMMEDIATE_QUEUE_FRAMES = 64;
/** How soon a full queue is looked at again. */
const RETRY_IMMEDIATE_MS = 2;

if (parentPort === null) throw new MixError('INTERNAL', 'the link thread was started as a program');
const main = parentPort;
const { memory: buffer, inboundSlots, packetBytes, networkId, clockPort } = workerData as LinkThreadData;
const memory = new LinkMemory(buffer, inboundSlots, packetBytes);
const departures = new Departures(systemRng, memory.lateness);
const uplink = new Uplink({
  terms: { networkId, packetBytes },
  clock: systemClock,
  rng: systemRng,
  onFrame: receive,
  onState(state, reason) {
    if (state === 'up') memory.countConnect();
    tell({ news: 'state', state, reason });
    sendImmediate();
  },
});
const measuring = every(systemClock, 1000, () => departures.measure());
let immediateRetry = false;

const ROOM: LinkNews = { news: 'room' };
const INBOUND: LinkNews = { news: 'inbound' };

function tell(news: LinkNews): void {
  main.postMessage(news);
}

/**
 * The alarm rings ahead of time, since waking takes a few tenths of a millisecond, and the rest is waited here, exactly.
 * One deadline at a time: what has left is written to the socket at the end of the turn, and must not wait for the next.
 */
function serveClocks(): void {
  const leadMs = departures.leadMs();
  const aheadMs = departures.nextDeadlineMs() - monotonicMs();
  if (aheadMs <= leadMs) {
    if (aheadMs > 0) spin(aheadMs);
    if (departures.runDue(monotonicMs(), uplink.send) > 0 && memory.roomFlag.raise()) tell(ROOM);
  }
  memory.alarm.set(departures.nextDeadlineMs() - leadMs);
}

function spin(durationMs: number): void {
  const endMs = performance.now() + durationMs;
  while (performance.now() < endMs);
}

/** With the link down, frames are taken and discarded: what waits would leave in a burst when it is back. */
function mayTakeImmediate(): boolean {
  return !uplink.up || uplink.queued < IMMEDIATE_QUEUE_FRAMES;
}

function sendImmediate(): void {
  memory.pushedFlag.lower();
  if (departures.runImmediate(uplink.send, mayTakeImmediate) > 0 && memory.roomFlag.raise()) tell(ROOM);
  if (immediateRetry || !departures.immediateWaiting()) return;
  immediateRetry = true;
  systemClock.after(RETRY_IMMEDIATE_MS, () => {
    immediateRetry = false;
    sendImmediate();
  });
}

function receive(frame: Buffer): void {
  const slot = memory.inbound.reserve();
  if (slot === undefined) {
    memory.countInboundDropped();
    return;
  }
  frame.copy(slot, 0, 0, packetBytes);
  memory.inbound.commit();
  memory.countReceived();
  if (memory.inboundFlag.raise()) tell(INBOUND);
}

function obey(order: LinkOrder): void {
  switch (order.order) {
    case 'gateway':
      uplink.connect(order.target, order);
      break;
    case 'add-lane':
      addLane(order);
      break;
    case 'set-rate':
      departures.setRate(order.lane, order.ratePerSecond, monotonicMs());
      break;
    case 'drop-idle':
      if (departures.dropIdle(order.lane, order.count) > 0 && memory.roomFlag.raise()) tell(ROOM);
      break;
    case 'remove-lane':
      departures.remove(order.lane);
      break;
    case 'pushed':
      sendImmediate();
      return;
    case 'stop':
      stop();
      return;
  }
  serveClocks();
}

function addLane(order: LinkOrder & { order: 'add-lane' }): void {
  const lane = new LaneMemory(order.memory, order.shape);
  if (order.immediate) departures.addImmediate(order.lane, lane);
  else departures.add(order.lane, lane, order.ratePerSecond, monotonicMs());
}

function stop(): void {
  memory.alarm.stop();
  measuring.cancel();
  uplink.close('stopped');
  clockPort.close();
  main.close();
}

main.on('message', obey);
clockPort.on('message', serveClocks);
