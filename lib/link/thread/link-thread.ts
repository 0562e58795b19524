/**
 * The link thread: owns the socket to the gateway and the clocks, so that neither waits for the work of main. This
 * file only connects its parts; what they decide is in `departures.ts` and `gateway-connection.ts`.
 * @module
 */

import { parentPort, workerData } from 'node:worker_threads';
import { every, systemClock } from '../../core/clock.ts';
import { MixError } from '../../core/errors.ts';
import { systemRng } from '../../core/rng.ts';
import { PreciseTimer, sleepThread } from '../../runtime/precise-timer.ts';
import { DOWNLINK_KIND } from '../framing.ts';
import { Departures } from './departures.ts';
import { GatewayConnection } from './gateway-connection.ts';
import { LaneMemory, LinkMemory } from './memory.ts';
import type { LinkOrder, LinkReport, LinkThreadData } from './messages.ts';

/** Immediate lanes fill the queue at most this far, so that clocked frames find room and little before them. */
const IMMEDIATE_QUEUE_FRAMES = 64;
/** How soon a full queue is looked at again. */
const RETRY_IMMEDIATE_MS = 2;

if (parentPort === null) throw new MixError('INTERNAL', 'the link thread was started as a program');
const main = parentPort;
const {
  memory: buffer,
  inboundSlots,
  packetBytes,
  networkId,
  client,
  keyExchange,
  localAddress,
} = workerData as LinkThreadData;
const memory = new LinkMemory(buffer, inboundSlots, packetBytes);
const departures = new Departures(systemRng, memory.lateness);
const timer = new PreciseTimer({ clock: systemClock, sleep: sleepThread, fire: serveClocks });
const gateway = new GatewayConnection({
  terms: { networkId, packetBytes },
  client,
  keyExchange,
  localAddress,
  clock: systemClock,
  rng: systemRng,
  onFrame: receive,
  onOtherVersion: (theirs) => report({ report: 'other-version', theirs }),
  onHello: (hello) => report({ report: 'hello', hello: new Uint8Array(hello) }),
  onState(state, reason, group) {
    if (state === 'up') memory.countConnect();
    report({ report: 'state', state, reason, group });
    sendImmediate();
  },
});
const measuring = every(systemClock, 1000, () => departures.measure());
let immediateRetry = false;

const ROOM: LinkReport = { report: 'room' };
const INBOUND: LinkReport = { report: 'inbound' };

function report(message: LinkReport): void {
  main.postMessage(message);
}

/** One deadline at a time: what has left is written to the socket at the end of the turn, and must not wait for the next. */
function serveClocks(): void {
  if (departures.runDue(systemClock.nowMs(), gateway.send) > 0 && memory.roomFlag.raise()) report(ROOM);
  timer.set(departures.nextDeadlineMs(), departures.leadMs());
}

/** With the link down, frames are taken and discarded: what waits would leave in a burst when it is back. */
function mayTakeImmediate(): boolean {
  return !gateway.up || gateway.queued < IMMEDIATE_QUEUE_FRAMES;
}

function sendImmediate(): void {
  memory.pushedFlag.lower();
  if (departures.runImmediate(gateway.send, mayTakeImmediate) > 0 && memory.roomFlag.raise()) report(ROOM);
  if (immediateRetry || !departures.immediateWaiting()) return;
  immediateRetry = true;
  systemClock.after(RETRY_IMMEDIATE_MS, () => {
    immediateRetry = false;
    sendImmediate();
  });
}

/** Padding ends here: it never reaches main. A piece of a consensus came in place of padding, and counts as such. */
function receive(frame: Buffer): void {
  const kind = frame[packetBytes];
  const isConsensus = kind === DOWNLINK_KIND.consensus;
  if (isConsensus || kind === DOWNLINK_KIND.padding) memory.countPadding();
  else if (kind !== DOWNLINK_KIND.packet) memory.countUnknownFrame();
  if (!isConsensus && kind !== DOWNLINK_KIND.packet) return;
  const slot = memory.inbound.reserve();
  if (slot === undefined) {
    memory.countInboundDropped();
    return;
  }
  frame.copy(slot, 0, 0, packetBytes + 1);
  memory.inbound.commit();
  if (kind === DOWNLINK_KIND.packet) memory.countReceived();
  if (memory.inboundFlag.raise()) report(INBOUND);
}

function onOrder(order: LinkOrder): void {
  switch (order.order) {
    case 'gateway':
      gateway.connect(order.target, order, order.access);
      break;
    case 'add-lane':
      addLane(order);
      break;
    case 'set-rate':
      departures.setRate(order.lane, order.ratePerSecond, systemClock.nowMs());
      break;
    case 'drop-idle':
      if (departures.dropIdle(order.lane, order.count) > 0 && memory.roomFlag.raise()) report(ROOM);
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
  else departures.add(order.lane, lane, order.ratePerSecond, systemClock.nowMs());
}

function stop(): void {
  timer.stop();
  measuring.cancel();
  gateway.close('stopped');
  main.close();
}

main.on('message', onOrder);
