import t from 'tap';
import { LocalnetConfig } from '../../cli/localnet/config.ts';
import { configOf, slotsOf } from '../../cli/localnet/plan.ts';
import {
  defaultBudgetBytes,
  MemoryAccount,
  MemoryBudget,
  REVIEW_MS,
  VAIN_LOOK_MS,
} from '../../lib/core/memory-budget.ts';
import { type AcceptedStream, ProxySession, SessionTable } from '../../lib/session/index.ts';
import { sessionMemory } from '../../lib/transport/session-memory.ts';
import { giveRing, MAX_FREE_BYTES, takeRing } from '../../lib/transport/streams/ring-memory.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { delay, PAYLOAD_BYTES } from '../support/session-packets.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const KB = 1_000;
const LIMIT = 1_000 * KB;

/** A queue that keeps an account, and lets go of everything on demand. */
function queueOn(memory: MemoryBudget, bytes: number, owner?: unknown) {
  const queue = {
    isShed: false,
    taken: 0,
    account: memory.account('streams', () => queue.shed(), owner),
    shed() {
      queue.isShed = true;
      queue.account.set(0);
    },
    /** Whoever it is for takes some, and as much comes. */
    pass(passed: number) {
      queue.taken += passed;
      queue.account.set(queue.account.bytes, queue.taken);
    },
  };
  queue.account.set(bytes);
  return queue;
}

/** Time passes, and what was put off to the end of a turn is done. */
async function pass(clock: VirtualClock, ms: number) {
  clock.advance(ms);
  await Promise.resolve();
}

function budget() {
  const clock = new VirtualClock();
  const memory = new MemoryBudget(LIMIT, clock);
  const watch = memory.watch(clock);
  return { clock, memory, watch };
}

t.test('at the budget the slowest lets go, and as little as makes room', async (t) => {
  const { clock, memory, watch } = budget();
  t.teardown(() => watch.cancel());
  const stalled = queueOn(memory, 300 * KB);
  const trickling = queueOn(memory, 300 * KB);
  const quick = queueOn(memory, 300 * KB);
  for (let second = 0; second < 20; second++) {
    trickling.pass(10 * KB);
    quick.pass(300 * KB);
    await pass(clock, REVIEW_MS);
  }
  const other = queueOn(memory, 200 * KB);
  await pass(clock, 1);
  t.ok(stalled.isShed, 'who takes nothing');
  t.notOk(trickling.isShed || quick.isShed || other.isShed);
  t.equal(memory.usedBytes, 800 * KB);
  other.account.set(500 * KB);
  await pass(clock, 1);
  t.ok(trickling.isShed, 'then who takes little, although he takes something all the time');
  t.notOk(quick.isShed || other.isShed);
  t.equal(memory.kinds.find(({ kind }) => kind === 'streams')?.shed, 2);
});

t.test('what an owner holds counts as a whole: many small queues weigh as much as a large one', async (t) => {
  const { clock, memory, watch } = budget();
  t.teardown(() => watch.cancel());
  const many = Array.from({ length: 30 }, () => queueOn(memory, 20 * KB, 'one owner'));
  const one = queueOn(memory, 300 * KB);
  await pass(clock, 5 * REVIEW_MS);
  queueOn(memory, 150 * KB);
  await pass(clock, 1);
  t.notOk(one.isShed);
  t.equal(many.filter(({ isShed }) => isShed).length, 6, 'down to fifteen sixteenths');
});

t.test('a newcomer is refused while those who are in keep up, and let in where slow ones can give way', async (t) => {
  const { clock, memory, watch } = budget();
  t.teardown(() => watch.cancel());
  const quick = Array.from({ length: 9 }, () => queueOn(memory, 100 * KB));
  for (let second = 0; second < 30; second++) {
    for (const queue of quick) queue.pass(100 * KB);
    await pass(clock, REVIEW_MS);
  }
  t.notOk(memory.admits('streams'));
  t.equal(memory.kinds.find(({ kind }) => kind === 'streams')?.refused, 1, 'counted');
  t.notOk(quick.some(({ isShed }) => isShed));
  for (let second = 0; second < 30; second++) {
    for (const queue of quick.slice(1)) queue.pass(100 * KB);
    await pass(clock, REVIEW_MS);
  }
  t.ok(memory.admits('streams'));
  t.ok(quick[0]?.isShed, 'the one that stalls');
  t.equal(quick.filter(({ isShed }) => isShed).length, 1);
});

t.test('who holds little is left alone, however long', async (t) => {
  const { clock, memory, watch } = budget();
  t.teardown(() => watch.cancel());
  const idle = queueOn(memory, 10 * KB);
  await pass(clock, 600_000);
  const large = queueOn(memory, LIMIT);
  await pass(clock, 1);
  t.notOk(idle.isShed);
  t.ok(large.isShed);
});

t.test('while nothing can go one does not look for it again with every byte', async (t) => {
  const { clock, memory, watch } = budget();
  t.teardown(() => watch.cancel());
  let looks = 0;
  const stuck = memory.account('streams', () => looks++);
  stuck.set(LIMIT);
  for (let i = 0; i < 100; i++) {
    stuck.add(10);
    await pass(clock, 1);
  }
  t.ok(looks <= 2, `${looks} looks`);
  stuck.add(LIMIT / 32);
  await pass(clock, 1);
  t.ok(looks >= 2, 'but when it has grown');
});

t.test('a hundred newcomers at once, for whom nobody gives way, cost one look at who is slow', async (t) => {
  const { clock, memory, watch } = budget();
  t.teardown(() => watch.cancel());
  let asked = 0;
  const { slowness } = MemoryAccount.prototype;
  t.teardown(() => {
    MemoryAccount.prototype.slowness = slowness;
  });
  MemoryAccount.prototype.slowness = function (...now) {
    asked += 1;
    return slowness.apply(this, now);
  };
  const queues = Array.from({ length: 9 }, () => queueOn(memory, 100 * KB));
  for (let n = 0; n < 100; n++) t.notOk(memory.admits('streams'));
  t.equal(asked, queues.length);
  t.equal(memory.kinds.find(({ kind }) => kind === 'streams')?.refused, 100);
  await pass(clock, VAIN_LOOK_MS);
  memory.admits('streams');
  t.equal(asked, 2 * queues.length, 'and another one a moment later');
  queues[0]?.account.set(0);
  t.ok(memory.admits('streams'), 'room that there is is given at once');
});

t.test('nothing is taken away from under whoever asks for more', (t) => {
  const { memory, watch } = budget();
  t.teardown(() => watch.cancel());
  const queue = queueOn(memory, LIMIT);
  queue.account.add(1);
  t.notOk(queue.isShed, 'only when this turn is over');
  t.ok(memory.isFull);
  t.end();
});

t.test('what a stream has drawn is given back when it is over, whichever way it ends', async (t) => {
  const clock = new VirtualClock();
  const memory = new MemoryBudget(100_000_000, clock);
  const rng = seededRng(1);
  const ends: AcceptedStream[] = [];
  const table = new SessionTable({
    rng,
    payloadBytes: PAYLOAD_BYTES,
    terms: () => ({ delay }),
    memory,
    accept: (stream) => {
      ends.push(stream);
      stream.opened({ host: '192.0.2.1', port: 1 }, clock.nowMs());
      const handlers = { onData: (bytes: Uint8Array) => stream.consume(bytes.byteLength, clock.nowMs()) };
      return { onFin() {}, onReset() {}, onDrain() {}, ...handlers };
    },
  });
  const proxy = new ProxySession(
    {
      rng,
      payloadBytes: PAYLOAD_BYTES,
      delay,
      mainRatePerSecond: 200,
      replyRatePerSecond: 500,
      downlink: 'burst',
      surbLifeMs: 560_000,
      ownPath: () => ({ loops: () => ({ seen: 0, lost: 0 }), usableShare: 1, avoidableFirstHops: 0 }),
      mintSurb: () => rng.bytes(372),
      ...sessionMemory(memory),
    },
    clock.nowMs(),
  );
  /** `loses`: every third packet of the proxy, so that there are holes. */
  const run = (ms: number, loses = false) => {
    for (let i = 0; i < ms / 5; i++) {
      const nowMs = clock.nowMs();
      proxy.tick(nowMs);
      const up = proxy.fill(nowMs);
      if (up !== undefined && !(loses && i % 3 === 0)) table.receive(up, nowMs);
      for (const session of table.sessions()) {
        session.tick(nowMs);
        const reply = session.nextReply(nowMs);
        if (reply !== undefined) proxy.receive(reply.plaintext, nowMs);
      }
      clock.advance(5);
    }
  };
  const open = () => {
    const onData = (bytes: Uint8Array) => stream.consume(bytes.byteLength, clock.nowMs());
    const target = { kind: 'tcp', host: '192.0.2.1', port: 1 } as const;
    const handlers = { onOpened() {}, onRefused() {}, onData, onFin() {}, onReset() {}, onDrain() {} };
    const stream = proxy.open(target, handlers, clock.nowMs());
    return stream;
  };
  const streamBytes = () => memory.kinds.find(({ kind }) => kind === 'streams')?.bytes;
  const first = open();
  run(1_000);
  for (let n = 0; n < 20; n++) {
    const stream = n === 0 ? first : open();
    stream.write(new Uint8Array(30_000), clock.nowMs());
    run(500);
    ends.at(-1)?.write(new Uint8Array(3_000), clock.nowMs());
    run(500);
    stream.end(clock.nowMs());
    ends.at(-1)?.end(clock.nowMs());
    run(1_000);
  }
  t.equal(ends.length, 20);
  t.equal(streamBytes(), 0, 'after an orderly end');
  const broken = [open(), open()];
  for (const stream of broken) stream.write(new Uint8Array(100_000), clock.nowMs());
  run(300, true);
  t.ok((streamBytes() ?? 0) > 50_000, 'something is on its way');
  broken[0]?.reset('RESET', clock.nowMs());
  run(3_000);
  ends.at(-1)?.reset('RESET', clock.nowMs());
  run(3_000);
  t.equal(streamBytes(), 0, 'after resets');
  for (const stream of [open(), open()]) stream.write(new Uint8Array(100_000), clock.nowMs());
  run(300, true);
  table.closeAll('shutdown', clock.nowMs());
  proxy.abandon('shutdown', clock.nowMs());
  t.equal(streamBytes(), 0, 'and after the end of the session');
  t.ok(memory.usedBytes < 10_000, 'of which only the id is remembered');
});

t.test('nodes of a localnet divide what one process would take', (t) => {
  const config = LocalnetConfig.parse({ memoryBudgetMiB: 1_100 });
  const slots = slotsOf(config);
  const budgets = slots.map((slot) => {
    const ports = { listen: 1, metrics: 2 };
    const node = { ...slot, dir: '/', address: '127.0.0.1', ports, identity: undefined };
    return (configOf(node, config, '') as { memoryBudgetMiB: number }).memoryBudgetMiB;
  });
  const sum = budgets.reduce((sum, budget) => sum + budget, 0);
  t.ok(sum <= 1_100 && sum > 1_000, `${sum} MB`);
  const small = configOf(
    {
      ...(slots[0] as (typeof slots)[0]),
      dir: '/',
      address: '127.0.0.1',
      ports: { listen: 1, metrics: 2 },
      identity: undefined,
    },
    { ...config, memoryBudgetMiB: 16 },
    '',
  );
  t.match(small, { memoryBudgetMiB: 16 }, 'but not less than a process needs');
  t.end();
});

t.test('rings that are given back are used again, erased, and not without bound', (t) => {
  const ring = takeRing(8 * 1024 * 1024);
  ring.fill(7);
  giveRing(ring);
  const again = takeRing(8 * 1024 * 1024);
  t.equal(again, ring);
  t.notOk(again.some((byte) => byte !== 0));
  const many = Array.from({ length: 3 }, () => takeRing(8 * 1024 * 1024));
  for (const one of many) giveRing(one);
  const back = many.map(() => takeRing(8 * 1024 * 1024));
  const keptBytes = back.filter((one) => many.includes(one)).length * 8 * 1024 * 1024;
  t.ok(keptBytes > 0 && keptBytes <= MAX_FREE_BYTES);
  t.end();
});

t.test('the default is a quarter of what the process may have', (t) => {
  const total = 8_000_000_000;
  t.equal(defaultBudgetBytes(1_000_000_000, total), 250_000_000, 'of its cgroup');
  for (const unbounded of [undefined, 0, 2 ** 64, 2 ** 63 - 4096, total]) {
    t.equal(defaultBudgetBytes(unbounded, total), 2_000_000_000, `of the machine, where the cgroup says ${unbounded}`);
  }
  t.end();
});
