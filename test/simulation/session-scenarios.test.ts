/**
 * The transport under named conditions on the simulated mixnet: throughput against the law, small requests beside
 * bulk, readers that stop, loss, dead paths, restarts, sleep.
 */

import t, { type Test } from 'tap';
import type { SessionStats } from '../../lib/session/index.ts';
import { clientEnd, hostOf, type Plan, type StreamEnd, server } from '../support/sim/apps.ts';
import { SessionSim, type SimOptions } from '../support/sim/session-sim.ts';
import { monotonic } from '../support/units.ts';

interface World {
  readonly sim: SessionSim;
  readonly ends: Map<number, StreamEnd>;
  open(plan: Omit<Plan, 'seed'>, readMs?: number): StreamEnd;
  other(end: StreamEnd): StreamEnd | undefined;
}

function world(options: Omit<SimOptions, 'accept' | 'seed'> & { seed?: number } = {}): World {
  let sim: SessionSim | undefined;
  const { accept, ends } = server(() => (sim as SessionSim).events);
  const made = new SessionSim({ seed: 1, ...options, accept });
  sim = made;
  let seed = 0;
  return {
    sim: made,
    ends,
    open(rest, readMs = 0) {
      seed += 10;
      const plan = { ...rest, seed };
      const end = clientEnd(made.events, plan, readMs);
      end.stream = made.proxy.open({ kind: 'tcp', host: hostOf(plan), port: 443 }, end, monotonic(made.nowMs));
      end.pump();
      return end;
    },
    other: (end) => ends.get(end.sendSeed),
  };
}

const KB = 1000;
const MB = 1000 * KB;

function kbPerSecond(bytes: number, ms: number): number {
  return bytes / ms;
}

function spuriousShare(stats: SessionStats): number {
  return stats.packetsLostSpuriously / Math.max(1, stats.elicitingSent);
}

t.test('steady download at the law, without spurious losses', async (t) => {
  const { sim, open } = world();
  sim.run(2000);
  const end = open({ up: 0, down: 5 * MB });
  const ms = sim.until(() => end.over, 120_000);
  const law = 100 * 2.048;
  t.ok(kbPerSecond(end.received, ms) > 0.9 * law, `${kbPerSecond(end.received, ms).toFixed(0)} of ${law} kB/s`);
  const stats = sim.served?.stats() as SessionStats;
  t.ok(spuriousShare(stats) < 0.02, `spurious ${spuriousShare(stats)}`);
  t.equal(sim.closedReason, undefined);
});

t.test('burst download near its law', async (t) => {
  const { sim, open } = world({ downlink: 'burst' });
  sim.run(2000);
  const end = open({ up: 0, down: 6 * MB });
  const ms = sim.until(() => end.over, 120_000);
  const law = 5 * 50 * 2.048;
  t.ok(kbPerSecond(end.received, ms) > 0.85 * law, `${kbPerSecond(end.received, ms).toFixed(0)} of ${law} kB/s`);
});

t.test('upload gets what reply blocks leave', async (t) => {
  const { sim, open, other } = world();
  sim.run(2000);
  const end = open({ up: 2 * MB, down: 0 });
  const ms = sim.until(() => other(end)?.fin === true, 300_000);
  // 100 blocks a second take 37 of the 102 kB/s.
  const law = 50 * 2.02 - 100 * 0.372;
  t.ok(kbPerSecond(2 * MB, ms) > 0.9 * law, `${kbPerSecond(2 * MB, ms).toFixed(0)} of ${law} kB/s`);
});

t.test('both ways at once: neither starves the other', async (t) => {
  const { sim, open, other } = world();
  sim.run(2000);
  const down = open({ up: 0, down: 4 * MB });
  const up = open({ up: 1 * MB, down: 0 });
  const upMs = sim.until(() => other(up)?.fin === true, 300_000);
  t.ok(kbPerSecond(1 * MB, upMs) > 50, `up ${kbPerSecond(1 * MB, upMs).toFixed(0)} kB/s`);
  t.ok(kbPerSecond(down.received, upMs) > 160, `down ${kbPerSecond(down.received, upMs).toFixed(0)} kB/s`);
});

/** Median time of requests of 300 bytes answered with 1 kB. */
function requestMs({ sim, open }: World): number {
  const times: number[] = [];
  for (let i = 0; i < 9; i++) {
    const end = open({ up: 300, down: 1000, answers: true });
    times.push(sim.until(() => end.fin, 20_000));
    sim.run(100);
  }
  return times.sort((a, b) => a - b)[4] as number;
}

for (const downlink of ['steady', 'burst'] as const) {
  t.test(`a small request beside eight bulk downloads, ${downlink}`, async (t) => {
    const idle = world({ downlink });
    idle.sim.run(2000);
    const idleMs = requestMs(idle);
    const busy = world({ downlink });
    busy.sim.run(2000);
    for (let i = 0; i < 8; i++) busy.open({ up: 0, down: 20 * MB });
    busy.sim.run(4000);
    const busyMs = requestMs(busy);
    t.ok(busyMs < 3 * idleMs, `${busyMs.toFixed(0)} ms beside bulk, ${idleMs.toFixed(0)} ms alone`);
    t.ok(busyMs < 1000, `${busyMs.toFixed(0)} ms`);
  });
}

t.test('a reader that stops: bounded memory, other streams go on, and it resumes', async (t) => {
  const { sim, open } = world();
  sim.run(2000);
  const stopped = open({ up: 0, down: 60 * MB });
  sim.until(() => stopped.received > MB, 60_000);
  stopped.reading = false;
  sim.run(60_000);
  const held = sim.proxy.stats().bytesHeldOutOfOrder + stopped.unread;
  t.ok(held < 8 * MB, `proxy holds ${held}`);
  t.ok(stopped.unread < 300 * KB, `the application holds ${stopped.unread}`);
  const queued = sim.served?.stats().bytesQueued ?? Number.NaN;
  t.ok(queued < MB, `requester holds ${queued}`);
  const other = open({ up: 0, down: 500 * KB });
  const ms = sim.until(() => other.fin, 60_000);
  t.ok(ms < 10_000, `another stream takes ${ms.toFixed(0)} ms`);
  const before = stopped.received;
  stopped.resume();
  sim.run(10_000);
  t.ok(stopped.received > before + MB, 'it goes on');
});

t.test('a site that does not read stops the upload', async (t) => {
  const { sim, open, other } = world();
  sim.run(2000);
  const end = open({ up: 20 * MB, down: 0 });
  sim.until(() => other(end) !== undefined, 5000);
  const site = other(end) as StreamEnd;
  site.reading = false;
  sim.run(60_000);
  const held = (sim.served?.stats().bytesHeldOutOfOrder ?? 0) + site.unread;
  t.ok(held < MB, `requester holds ${held}`);
  t.ok(sim.proxy.stats().bytesQueued < MB, 'proxy queues little');
  t.ok(end.sent < 2 * MB, `the application was stopped after ${end.sent}`);
  site.resume();
  const before = site.received;
  sim.run(20_000);
  t.ok(site.received > before + 500 * KB, 'it goes on');
});

for (const [loss, share] of [
  [0.05, 0.7],
  [0.2, 0.4],
] as const) {
  t.test(`${loss * 100} % loss at every mix, both ways`, async (t) => {
    for (const downlink of ['steady', 'burst'] as const) {
      const { sim, open } = world({ lossUp: loss, lossDown: loss, downlink });
      sim.run(2000);
      const end = open({ up: 0, down: 2 * MB });
      const ms = sim.until(() => end.over, 300_000);
      const arrive = (1 - loss) ** 3;
      const law = downlink === 'steady' ? 204.8 * arrive : 512 * arrive * arrive;
      t.ok(end.fin, 'it ends');
      const rate = kbPerSecond(end.received, ms);
      t.ok(rate > share * law, `${downlink}: ${rate.toFixed(0)} of ${law.toFixed(0)} kB/s`);
      const stats = sim.served?.stats() as SessionStats;
      t.ok(spuriousShare(stats) < 0.02, `spurious ${spuriousShare(stats)}`);
    }
  });
}

t.test('cold start: the first download is at full rate within two seconds', async (t) => {
  for (const downlink of ['steady', 'burst'] as const) {
    const { sim, open } = world({ downlink, seed: 5 });
    const end = open({ up: 0, down: 20 * MB });
    sim.run(2000);
    const before = end.received;
    sim.run(2000);
    const rate = (end.received - before) / 2000;
    t.ok(
      rate > (downlink === 'steady' ? 160 : 300),
      `${downlink}: ${rate.toFixed(0)} kB/s in the third and fourth second`,
    );
  }
});

for (const downlink of ['steady', 'burst'] as const) {
  for (const path of ['upDead', 'downDead'] as const) {
    t.test(`${path} for a minute, ${downlink}`, async (t) => {
      const { sim, open, other } = world({ downlink });
      sim.run(2000);
      const down = open({ up: 0, down: 40 * MB });
      const up = open({ up: 3 * MB, down: 0 });
      sim.run(3000);
      sim[path] = true;
      sim.run(60_000);
      sim[path] = false;
      const before = { down: down.received, up: other(up)?.received ?? 0 };
      sim.run(6000);
      const moved = { down: down.received - before.down, up: (other(up)?.received ?? 0) - before.up };
      t.ok(moved.down > 500 * KB, `down moved ${moved.down}`);
      t.ok(moved.up > 50 * KB || other(up)?.fin === true, `up moved ${moved.up}`);
      t.equal(sim.closedReason, undefined);
      const stock = sim.served?.surbStats();
      t.equal(stock?.evicted, 0, 'no flood of reply blocks meanwhile');
    });
  }

  t.test(`requester restarted, ${downlink}`, async (t) => {
    const { sim, open } = world({ downlink });
    sim.run(2000);
    const end = open({ up: 100 * KB, down: 40 * MB });
    const idle = open({ up: 10, down: 0 });
    sim.run(3000);
    sim.restartRequester();
    const ms = sim.until(() => sim.proxy.state === 'closed', 30_000);
    t.ok(ms < 5000, `noticed after ${ms.toFixed(0)} ms`);
    t.equal(sim.closedReason, 'unknown');
    t.equal(end.reset, 'SESSION_CLOSED');
    t.ok(idle.over, 'every stream is told');
    sim.restartProxy();
    const again = open({ up: 100, down: 1000, answers: true });
    t.ok(sim.until(() => again.fin, 20_000) < 2000, 'new streams work at once');
  });

  t.test(`requester restarted while idle, ${downlink}`, async (t) => {
    const { sim, open } = world({ downlink });
    sim.run(60_000);
    sim.restartRequester();
    sim.run(3000);
    if (sim.proxy.state === 'closed') sim.restartProxy();
    const end = open({ up: 100, down: 1000, answers: true });
    const ms = sim.until(() => end.over, 20_000);
    t.ok(ms < 3000, `an answer or an error after ${ms.toFixed(0)} ms`);
  });

  t.test(`the whole machine sleeps for an hour, ${downlink}`, async (t) => {
    const { sim, open } = world({ downlink });
    sim.run(2000);
    const end = open({ up: 0, down: 40 * MB });
    sim.run(5000);
    sim.events.sleep(3_600_000);
    const before = end.received;
    sim.run(5000);
    t.ok(end.received > before + 300 * KB, `${end.received - before} bytes within five seconds of waking`);
    t.ok(sim.counts.surbsExpiredInNet < 60, 'no reply block outlived its keys but those on their way');
  });

  t.test(`the proxy's machine sleeps for an hour, ${downlink}`, async (t) => {
    const { sim, open } = world({ downlink });
    sim.run(2000);
    const end = open({ up: 0, down: 40 * MB });
    sim.run(5000);
    sim.proxyAsleep = true;
    sim.run(3_600_000);
    t.equal(sim.table.size, 0, 'the requester keeps nothing of it');
    sim.proxyAsleep = false;
    const ms = sim.until(() => sim.proxy.state === 'closed', 30_000);
    t.ok(ms < 5000, `it learns that the session is gone after ${ms.toFixed(0)} ms`);
    t.equal(end.reset, 'SESSION_CLOSED');
  });

  t.test(`reply blocks become worthless, ${downlink}`, async (t) => {
    const { sim, open } = world({ downlink });
    sim.run(2000);
    const end = open({ up: 0, down: 40 * MB });
    sim.run(5000);
    sim.loseReplyBlocks();
    const before = end.received;
    sim.run(5000);
    t.ok(end.received > before + 400 * KB, `${end.received - before} bytes within five seconds`);
    t.equal(sim.closedReason, undefined);
  });
}

t.test('an idle session costs no content beyond reply blocks', async (t) => {
  const { sim } = world();
  sim.run(10_000);
  const before = { ...sim.counts };
  sim.run(60_000);
  const perSecond = (sim.counts.upContent - before.upContent) / 60;
  t.ok(perSecond > 15 && perSecond < 26, `${perSecond} packets a second carry reply blocks`);
  t.ok((sim.counts.downMissed - before.downMissed) / 6000 < 0.01, 'the reply clock does not miss');
});

t.test('an idle burst session is silent', async (t) => {
  const { sim } = world({ downlink: 'burst' });
  sim.run(10_000);
  const before = { ...sim.counts };
  sim.run(60_000);
  t.ok(sim.counts.downContent - before.downContent <= 2, `${sim.counts.downContent - before.downContent} replies`);
});

t.test('what is asked after a long silence of a burst session is given time to be answered', async (t) => {
  const { sim, open } = world({ downlink: 'burst' });
  sim.run(200_000);
  const end = open({ up: 100, down: 1000, answers: true });
  sim.upDead = true;
  sim.run(1000);
  sim.upDead = false;
  const ms = sim.until(() => end.over, 20_000);
  t.ok(end.fin, `answered after ${ms.toFixed(0)} ms`);
  t.equal(sim.closedReason, undefined);
});

t.test('an end leaves nothing behind', async (t) => {
  const { sim, open } = world();
  sim.run(2000);
  const end = open({ up: 1000, down: 1000 });
  sim.until(() => end.over, 10_000);
  sim.proxy.close(monotonic(sim.nowMs));
  const ms = sim.until(() => sim.proxy.state === 'closed', 20_000);
  t.ok(ms < 5000, `closed after ${ms.toFixed(0)} ms`);
  t.equal(sim.closedReason, 'done');
  sim.run(2000);
  t.equal(sim.table.size, 0, 'the requester has forgotten it');
});

t.test('draining waits for the streams', async (t) => {
  const { sim, open } = world();
  sim.run(2000);
  const end = open({ up: 0, down: MB });
  sim.run(500);
  sim.proxy.drain(monotonic(sim.nowMs));
  t.throws(() => open({ up: 0, down: 1 }), { code: 'SESSION_CLOSED' });
  sim.until(() => end.over, 60_000);
  t.ok(end.fin);
  sim.until(() => sim.proxy.state === 'closed', 20_000);
  t.equal(sim.closedReason, 'done');
});

t.test('a proxy with the right access token is let in, others are refused', async (t: Test) => {
  const right = world({ accessToken: Buffer.from('secret') });
  const end = right.open({ up: 10, down: 10 });
  right.sim.until(() => end.over, 10_000);
  t.ok(end.fin, 'the right one is let in');
  const wrong = world({ accessToken: Buffer.from('secret'), proxyToken: Buffer.from('guess') });
  const refused = wrong.open({ up: 10, down: 10 });
  wrong.sim.until(() => refused.over, 10_000);
  t.equal(refused.refused, 'POLICY');
  t.equal(wrong.sim.closedReason, 'token');
  t.equal(wrong.sim.table.size, 0);
});

t.test('a writer that waits is released when its peer reads no more', async (t) => {
  const { sim, open, other } = world();
  sim.run(2000);
  const end = open({ up: 5 * MB, down: 5 * MB });
  sim.until(() => (other(end)?.received ?? 0) > 0, 10_000);
  let drained = 0;
  const onDrain = end.onDrain.bind(end);
  end.onDrain = () => {
    drained += 1;
    onDrain();
  };
  other(end)?.stream?.stop('RESET', monotonic(sim.nowMs));
  const before = drained;
  sim.until(() => drained > before && sim.proxy.stats().bytesQueued === 0, 10_000);
  t.ok(
    end.stream?.write(new Uint8Array(MB), monotonic(sim.nowMs)),
    'what it writes now is discarded, and it need not wait',
  );
  t.equal(sim.proxy.stats().bytesQueued, 0);
});
