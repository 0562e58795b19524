/** The requester's sessions on lanes of its link: which clock each gets, what fills it, and when it goes. */

import t from 'tap';
import { DelayLaws } from '../../lib/core/delay-law.ts';
import { MixError } from '../../lib/core/errors.ts';
import { DEFAULT_SESSION_PARAMS } from '../../lib/core/session-params.ts';
import type { Topology } from '../../lib/directory/index.ts';
import type { LaneFrame } from '../../lib/endpoint/index.ts';
import { MeasuredCapacity } from '../../lib/runtime/measured-capacity.ts';
import { type AcceptedStream, type Downlink, ProxySession } from '../../lib/session/index.ts';
import type { RequesterEndpoint, RequesterHubOptions } from '../../lib/session/requester/hub-options.ts';
import {
  MAX_REPLY_RATE,
  MAX_TOTAL_REPLY_RATE,
  RequesterHub,
  SHARE_PERIOD_MS,
} from '../../lib/session/requester/requester-hub.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { FRAME } from '../../lib/transport/wire/frames.ts';
import { decodeDownlink } from '../../lib/transport/wire/payload.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { HandLane } from '../support/sim/hand-lane.ts';
import { soundPath } from '../support/sim/own-loops.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const PAYLOAD_BYTES = 2048;
const STEP_MS = 5;
const delay = new DelayLaws({ meanDelayMs: 1, mixHops: 3 });

/** A hub and the proxies' sessions that it serves, without a network between them. */
class World {
  readonly clock = new VirtualClock();
  readonly lanes: HandLane[] = [];
  readonly accepted: AcceptedStream[] = [];
  readonly hub: RequesterHub;
  maxLanes = Number.POSITIVE_INFINITY;
  turn: () => void = () => {};
  #feed: () => void = () => {};
  readonly #rng = seededRng(3);

  readonly endpoint: RequesterEndpoint;
  /** The link over which packets come; the first by default. */
  cameOver: RequesterEndpoint | undefined;

  constructor(load?: RequesterHubOptions['load']) {
    const endpoint: RequesterEndpoint = {
      linkState: 'up',
      laws: delay,
      topology: {
        params: { meanDelayMs: 1, payloadBytes: PAYLOAD_BYTES, epochMs: 3_600_000, classes: {} },
      } as unknown as Topology,
      surbUsable: () => true,
      addLane: (options) => {
        if (this.lanes.filter(({ removed }) => !removed).length >= this.maxLanes) throw new MixError('LIMIT', 'full');
        const lane = new HandLane(options);
        this.lanes.push(lane);
        return lane;
      },
      addFeeder: (feed) => {
        this.#feed = feed;
      },
      onTopology: (notify) => {
        this.turn = notify;
      },
      sealReply: (_surb, plaintext) => ({ firstHop: new Uint8Array(32), packet: plaintext }),
    };
    this.endpoint = endpoint;
    this.hub = new RequesterHub({
      components: { log: silentLog, clock: this.clock, rng: this.#rng },
      ...(load === undefined ? {} : { load }),
      endpoint,
      accept: (stream) => {
        this.accepted.push(stream);
        stream.opened({ host: '192.0.2.1', port: 1 }, this.clock.nowMs());
        return { onData() {}, onFin() {}, onReset() {}, onDrain() {} };
      },
    });
    this.hub.start();
  }

  proxy(replyRatePerSecond: number, downlink: Downlink = 'steady'): ProxySession {
    const terms = { rng: this.#rng, payloadBytes: PAYLOAD_BYTES, delay, downlink, replyRatePerSecond };
    const options = {
      ...terms,
      mainRatePerSecond: 200,
      surbLifeMs: 600_000,
      ownPath: () => soundPath,
      mintSurb: () => this.#rng.bytes(372),
    };
    return new ProxySession(options, this.clock.nowMs());
  }

  /** Lanes that still are. */
  get alive(): HandLane[] {
    return this.lanes.filter(({ removed, name }) => !removed && name === 'reply');
  }

  /** Lets time pass: the proxy sends a packet per step, and gets what one tick of each lane takes. */
  run(proxy: ProxySession, steps: number): LaneFrame[] {
    const left: LaneFrame[] = [];
    for (let step = 0; step < steps; step++) {
      this.clock.advance(STEP_MS);
      const nowMs = this.clock.nowMs();
      proxy.tick(nowMs);
      const up = proxy.fill(nowMs);
      if (up !== undefined) this.hub.receive(up, this.cameOver);
      for (const lane of this.lanes.filter(({ removed }) => !removed)) {
        const frame = lane.content.length + lane.idleFrames.length > 0 ? lane.tick() : undefined;
        if (frame === undefined) continue;
        left.push(frame);
        proxy.settled({ fate: 'returned', firstHop: '' }, nowMs);
        proxy.receive(frame.packet, nowMs);
      }
      this.#feed();
    }
    return left;
  }
}

const framesIn = (frames: readonly LaneFrame[]) => frames.flatMap(({ packet }) => decodeDownlink(packet)?.frames ?? []);

t.test('a session gets a lane with the clock that it asked for, filled with dummies or data', async (t) => {
  const world = new World();
  t.match(world.lanes, [{ name: 'answers', options: { immediate: true } }], 'the lane of answers is always there');
  const proxy = world.proxy(100);
  world.run(proxy, 40);
  const [lane] = world.alive;
  t.equal(world.alive.length, 1);
  t.match(lane, { rate: 100, options: { immediate: false } });
  t.equal(lane?.idleRoom(), 0, 'dummies stand ready');
  t.equal(lane?.content.length, 0);

  proxy.open({ kind: 'tcp', host: 'a', port: 80 }, silent(), world.clock.nowMs());
  world.run(proxy, 40);
  world.accepted[0]?.write(new Uint8Array(50_000), world.clock.nowMs());
  world.clock.advance(0); // the next turn of the event loop
  t.ok((lane?.content.length ?? 0) > 0, 'data has the content slots at once');
  const data = framesIn(world.run(proxy, 60)).filter(({ type }) => type === FRAME.DATA);
  const bytes = data.reduce((sum, frame) => sum + (frame.type === FRAME.DATA ? frame.bytes.byteLength : 0), 0);
  t.ok(bytes >= 50_000, `${bytes} bytes came`);
  t.equal(lane?.idleRoom(), 0, 'and dummies stand ready again');
  await world.hub.stop();
});

/** How many numbers of packets the requester leaves out of 60 or so that carry data of `stream`. */
function gapsIn(world: World, proxy: ProxySession, stream: AcceptedStream | undefined): number {
  stream?.write(new Uint8Array(100_000), world.clock.nowMs());
  const numbers = world.run(proxy, 100).flatMap(({ packet }) => decodeDownlink(packet)?.number || []);
  return (numbers.at(-1) ?? 0) - (numbers[0] ?? 0) + 1 - numbers.length;
}

t.test('a session has the parameters that were in force when it began, whenever the requester did', async (t) => {
  const world = new World();
  const { params } = world.endpoint.topology;
  const inForce = (skipEvery: number) => {
    const topology = { params: { ...params, session: { ...DEFAULT_SESSION_PARAMS, skipEvery } } };
    Object.assign(world.endpoint, { topology });
  };
  const begin = () => {
    const proxy = world.proxy(100);
    proxy.open({ kind: 'tcp', host: 'a', port: 80 }, silent(), world.clock.nowMs());
    world.run(proxy, 40);
    return proxy;
  };
  inForce(1024);
  const before = begin();
  inForce(2);
  t.ok(gapsIn(world, before, world.accepted[0]) < 5, 'one that goes on keeps its own');
  world.hub.sessions()[0]?.close('idle', world.clock.nowMs());
  world.run(before, 10);
  const after = begin();
  t.ok(gapsIn(world, after, world.accepted[1]) > 20, 'one that begins has the new ones');
  await world.hub.stop();
});

t.test('the reply rate of a session has a bound', async (t) => {
  const world = new World();
  const proxy = world.proxy(50_000);
  world.run(proxy, 20);
  t.equal(MAX_REPLY_RATE, 2000);
  t.strictSame(
    world.alive.map(({ rate }) => rate),
    [MAX_REPLY_RATE],
  );
  proxy.setReplyRate(1000, world.clock.nowMs());
  world.run(proxy, 20);
  proxy.setReplyRate(3000, world.clock.nowMs());
  world.run(proxy, 20);
  t.strictSame(
    world.alive.map(({ rate }) => rate),
    [MAX_REPLY_RATE],
    'when it is raised, too',
  );
});

t.test('beyond the bound of all reply clocks sessions share it, and none ends', async (t) => {
  const world = new World();
  const most = Math.floor(MAX_TOTAL_REPLY_RATE / MAX_REPLY_RATE); // and one that wants 100 beside them
  const proxies = Array.from({ length: most }, () => world.proxy(MAX_REPLY_RATE));
  const small = world.proxy(100);
  for (const proxy of [...proxies, small]) world.hub.receive(proxy.fill(world.clock.nowMs()) ?? new Uint8Array(0));
  await Promise.resolve();
  world.clock.advance(SHARE_PERIOD_MS);
  t.equal(world.hub.sessions().length, most + 1);
  const rates = () => world.alive.map(({ rate }) => rate).sort((a, b) => a - b);
  t.equal(rates()[0], 100, 'who wants little has it');
  t.ok(Math.abs(rates().reduce((sum, rate) => sum + rate, 0) - MAX_TOTAL_REPLY_RATE) < 1);
  t.equal(rates()[1], rates()[most], 'the others have the same');
});

t.test('sessions share what the machine carries by its own measure, and no more when it is too busy', async (t) => {
  let busyShare = 0.6;
  const capacity = new MeasuredCapacity({ measured: 3000, most: MAX_TOTAL_REPLY_RATE }, monotonic(0));
  const world = new World({ capacity, busyShare: () => busyShare });
  const proxies = Array.from({ length: 4 }, () => world.proxy(MAX_REPLY_RATE));
  for (const proxy of proxies) world.hub.receive(proxy.fill(world.clock.nowMs()) ?? new Uint8Array(0));
  await Promise.resolve();
  const sum = () => world.alive.reduce((total, { rate }) => total + rate, 0);
  const pay = (seconds: number) => {
    for (let ms = 0; ms < seconds * 1000; ms += STEP_MS) {
      world.clock.advance(STEP_MS);
      for (const proxy of proxies) world.hub.receive(proxy.padding(0));
    }
  };
  pay(8);
  t.ok(Math.abs(sum() - 3000) < 1, `${sum()} replies per second, as measured`);
  busyShare = 1;
  pay(8);
  t.ok(capacity.perSecond <= 1500);
  t.ok(Math.abs(sum() - capacity.perSecond) < 1, `${sum()} replies per second once the thread is busy`);
  t.equal(world.hub.replyCapacity, capacity.perSecond);
  t.equal(world.hub.sessions().length, 4, 'no session ends for it');
});

t.test('without a lane to be had a session ends, and the requester goes on', async (t) => {
  const world = new World();
  world.maxLanes = 2;
  const first = world.proxy(100);
  world.run(first, 20);
  const second = world.proxy(100);
  world.run(second, 20);
  t.equal(world.hub.sessions().length, 1);
  t.equal(second.state, 'closed', 'it was told');
  world.run(first, 20);
  t.equal(first.state, 'open');
});

t.test('a new rate is a new speed of the lane, or a lane with more room', async (t) => {
  const world = new World();
  const proxy = world.proxy(100);
  world.run(proxy, 20);
  const [lane] = world.alive;
  for (const rate of [20, 40]) {
    proxy.setReplyRate(rate, world.clock.nowMs());
    world.run(proxy, 20);
    t.equal(world.alive[0], lane);
    t.equal(lane?.rate, rate);
  }
  proxy.setReplyRate(400, world.clock.nowMs());
  world.run(proxy, 20);
  t.ok(lane?.removed, 'its rings are too small for ten times the rate');
  t.strictSame(
    world.alive.map(({ rate }) => rate),
    [400],
  );
});

t.test('a burst session gets a lane without a clock, and no dummies', async (t) => {
  const world = new World();
  const proxy = world.proxy(100, 'burst');
  world.run(proxy, 40);
  t.match(world.alive, [{ rate: 0, options: { immediate: true }, idleFrames: [] }]);
});

t.test('dummies are made anew with a consensus, and when they get old', async (t) => {
  const world = new World();
  const proxy = world.proxy(1000 / STEP_MS); // as often as lanes tick here
  world.run(proxy, 40);
  const [lane] = world.alive;
  t.equal(lane?.dropped, 0);
  world.turn();
  world.run(proxy, 2); // the ring is filled up first
  t.ok((lane?.dropped ?? 0) > 0, 'a consensus came');
  world.run(proxy, 40);
  const before = lane?.dropped ?? 0;
  world.run(proxy, 20_000 / STEP_MS);
  t.ok((lane?.dropped ?? 0) > before, 'twenty seconds went by');
});

t.test('a session that ends takes its lane along; a packet of none is answered with CLOSE', async (t) => {
  const world = new World();
  const proxy = world.proxy(100);
  world.run(proxy, 40);
  proxy.close(world.clock.nowMs());
  world.run(proxy, 40);
  t.strictSame(world.hub.sessions(), []);
  t.strictSame(world.alive, []);

  const stranger = world.proxy(100);
  const other = new World();
  other.run(stranger, 100); // it said hello elsewhere
  for (const reply of world.run(stranger, 200)) t.match(decodeDownlink(reply.packet)?.frames, [{ type: FRAME.CLOSE }]);
  t.equal(stranger.state, 'closed');
});

t.test('a stop tells the sessions', async (t) => {
  const world = new World();
  const proxy = world.proxy(100);
  world.run(proxy, 40);
  const [lane] = world.alive;
  await world.hub.stop();
  const closes = framesIn([...(lane?.content ?? []), ...(world.lanes[0]?.content ?? [])]);
  t.ok(
    closes.some(({ type }) => type === FRAME.CLOSE),
    'CLOSE stands ready to leave',
  );
  t.strictSame(world.hub.sessions(), []);
});

function silent() {
  return { onOpened() {}, onRefused() {}, onReset() {}, onData() {}, onFin() {}, onDrain() {} };
}

t.test('replies leave by the gateway through which the packets of the session come', async (t) => {
  const world = new World();
  const other = { ...world.endpoint, linkState: 'up' as 'up' | 'down' };
  const overOther: HandLane[] = [];
  other.addLane = (options) => {
    const lane = world.endpoint.addLane(options) as HandLane;
    overOther.push(lane);
    return lane;
  };
  world.hub.attach(other);
  const isOverOther = () => {
    t.equal(world.alive.length, 1, 'one lane per session');
    return overOther.includes(world.alive[0] as HandLane);
  };
  const proxy = world.proxy(100);
  proxy.open({ kind: 'tcp', host: 'a', port: 80 }, silent(), world.clock.nowMs());
  world.run(proxy, 40);
  t.notOk(isOverOther());
  world.cameOver = other;
  world.run(proxy, 100);
  t.notOk(isOverOther(), 'packets that were overtaken on the way do not move it');
  world.run(proxy, 300);
  t.ok(isOverOther(), 'the proxy has gone over to the other gateway');
  world.accepted[0]?.write(new Uint8Array(50_000), world.clock.nowMs());
  const data = framesIn(world.run(proxy, 300)).filter(({ type }) => type === FRAME.DATA);
  t.ok(data.length > 0, 'the session goes on there');

  other.linkState = 'down';
  world.cameOver = world.endpoint;
  world.run(proxy, 5);
  t.notOk(isOverOther(), 'at once when the link to the gateway is down');
  await world.hub.stop();
});

t.test('a requester that stops sends CLOSE to all its proxies, more than a ring holds at once', async (t) => {
  const world = new World();
  const proxies = Array.from({ length: 40 }, () => world.proxy(100));
  for (const proxy of proxies) world.run(proxy, 10);
  const served = world.hub.sessions().length;
  t.ok(served > 20, `${served} sessions, and 16 slots`);
  const [answers] = world.lanes;
  answers?.content.splice(0);
  let stopped = false;
  const done = world.hub.stop().then(() => {
    stopped = true;
  });
  const left: LaneFrame[] = [];
  for (let turns = 0; !stopped && turns < 500; turns++) {
    left.push(...(answers?.content.splice(0) ?? []));
    world.clock.advance(STEP_MS);
    await new Promise(setImmediate);
  }
  await done;
  left.push(...(answers?.content.splice(0) ?? []));
  const closes = framesIn(left).filter(({ type }) => type === FRAME.CLOSE);
  t.ok(closes.length >= served, `${closes.length} CLOSE for ${served} sessions`);
});

t.test('a requester without a link does not wait when it stops', async (t) => {
  const world = new World();
  const proxies = Array.from({ length: 40 }, () => world.proxy(100));
  for (const proxy of proxies) world.run(proxy, 10);
  Object.assign(world.endpoint, { linkState: 'down' });
  await world.hub.stop(); // the clock stands still
  t.equal(world.hub.sessions().length, 0);
});
