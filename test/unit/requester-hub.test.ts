/** The requester's sessions on lanes of its link: which clock each gets, what fills it, and when it goes. */
import t from 'tap';
import type { Frame } from '../../lib/client/index.ts';
import type { Topology } from '../../lib/directory/index.ts';
import { MixError } from '../../lib/errors.ts';
import { FRAME } from '../../lib/session/frames.ts';
import { type AcceptedStream, type Downlink, ProxySession } from '../../lib/session/index.ts';
import { decodeDownlink } from '../../lib/session/payload.ts';
import {
  MAX_REPLY_RATE,
  MAX_TOTAL_REPLY_RATE,
  type RequesterEndpoint,
  RequesterHub,
} from '../../lib/session/requester-hub.ts';
import { HandLane } from '../support/hand-lane.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const PAYLOAD_BYTES = 2048;
const STEP_MS = 5;
const delay = { meanDelayMs: 1, mixHops: 3 };

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

  constructor() {
    const endpoint: RequesterEndpoint = {
      topology: { params: { meanDelayMs: 1, payloadBytes: PAYLOAD_BYTES, epochMs: 3_600_000 } } as unknown as Topology,
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
    this.hub = new RequesterHub({
      components: { clock: this.clock, rng: this.#rng },
      endpoint,
      accept: (stream) => {
        this.accepted.push(stream);
        stream.opened({ host: '192.0.2.1', port: 1 }, this.clock.nowMs());
        return { onData() {}, onFin() {}, onReset() {}, onDrain() {} };
      },
    });
  }

  proxy(replyRatePerSecond: number, downlink: Downlink = 'steady'): ProxySession {
    const terms = { rng: this.#rng, payloadBytes: PAYLOAD_BYTES, delay, downlink, replyRatePerSecond };
    const options = { ...terms, mainRatePerSecond: 200, surbLifeMs: 600_000, mintSurb: () => this.#rng.bytes(372) };
    return new ProxySession(options, this.clock.nowMs());
  }

  /** Lanes that still are. */
  get alive(): HandLane[] {
    return this.lanes.filter(({ removed, name }) => !removed && name === 'reply');
  }

  /** Lets time pass: the proxy sends a packet per step, and gets what one tick of each lane takes. */
  run(proxy: ProxySession, steps: number): Frame[] {
    const left: Frame[] = [];
    for (let step = 0; step < steps; step++) {
      this.clock.advance(STEP_MS);
      const nowMs = this.clock.nowMs();
      proxy.tick(nowMs);
      const up = proxy.fill(nowMs);
      if (up !== undefined) this.hub.receive(up);
      for (const lane of this.lanes.filter(({ removed }) => !removed)) {
        const frame = lane.content.length + lane.idleFrames.length > 0 ? lane.tick() : undefined;
        if (frame === undefined) continue;
        left.push(frame);
        proxy.receive(frame.packet, nowMs);
      }
      this.#feed();
    }
    return left;
  }
}

const framesIn = (frames: readonly Frame[]) => frames.flatMap(({ packet }) => decodeDownlink(packet)?.frames ?? []);

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

t.test('the reply clocks of all sessions together have a bound: beyond it a session ends', async (t) => {
  const world = new World();
  const most = Math.floor(MAX_TOTAL_REPLY_RATE / MAX_REPLY_RATE);
  const proxies = Array.from({ length: most }, () => world.proxy(MAX_REPLY_RATE));
  for (const proxy of proxies) world.run(proxy, 2);
  t.equal(world.hub.sessions().length, most);
  const refused = world.proxy(MAX_REPLY_RATE);
  world.run(refused, 2);
  t.equal(world.hub.sessions().length, most, 'one too many');
  const [generous = refused] = proxies;
  generous.setReplyRate(MAX_REPLY_RATE / 2, world.clock.nowMs());
  world.run(generous, 4);
  const next = world.proxy(MAX_REPLY_RATE / 2);
  world.run(next, 2);
  t.equal(world.hub.sessions().length, most + 1, 'what one gives back another may have');
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
  const proxy = world.proxy(100);
  world.run(proxy, 40);
  const [lane] = world.alive;
  t.equal(lane?.dropped, 0);
  world.turn();
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
