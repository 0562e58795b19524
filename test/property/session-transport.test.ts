/**
 * The transport on a simulated mixnet, for many seeds: whatever the network does, every byte comes once and in order,
 * streams end as told, nothing is left behind, and the accounts of reply blocks balance.
 *
 * SEEDS=5000 runs that many; SEED=123 replays one.
 */

import assert from 'node:assert/strict';
import t from 'tap';
import type { Rng } from '../../lib/core/rng.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { clientEnd, hostOf, type Plan, type StreamEnd, server } from '../support/sim/apps.ts';
import { SessionSim } from '../support/sim/session-sim.ts';
import { monotonic } from '../support/units.ts';

const SEEDS = Number(process.env.SEEDS ?? 30);
const ONLY = process.env.SEED;

/** Virtual time after which a run that is not over counts as a deadlock. */
const PATIENCE_MS = 900_000;

interface Client {
  readonly plan: Plan;
  readonly end: StreamEnd;
}

function choose<T>(rng: Rng, options: readonly T[]): T {
  return options[rng.int(options.length)] as T;
}

function randomPlan(rng: Rng, seed: number): Plan {
  const sizes = [0, 1, 300, 5_000, 40_000, 150_000];
  const fate = rng.uniform();
  return {
    up: choose(rng, sizes),
    down: choose(rng, sizes),
    seed,
    answers: rng.uniform() < 0.5,
    upReadMs: choose(rng, [0, 0, 5, 200]),
    connectMs: choose(rng, [0, 1, 80]),
    ...(fate < 0.08 ? { fate: 'refuse' as const } : fate < 0.16 ? { fate: 'reset-midway' as const } : {}),
  };
}

/** One random life of a session. Throws when something is wrong. */
function live(seed: number): void {
  const rng = seededRng(seed * 7919 + 17);
  const loss = choose(rng, [0, 0, 0.02, 0.05, 0.2]);
  const streams = 1 + rng.int(8);
  let sim: SessionSim | undefined;
  const served = server(() => (sim as SessionSim).events);
  sim = new SessionSim({
    seed,
    accept: served.accept,
    lossUp: loss,
    lossDown: choose(rng, [loss, loss, 0, 0.2]),
    duplicates: choose(rng, [0, 0.05]),
    downlink: choose(rng, ['steady', 'burst'] as const),
    mainRate: choose(rng, [20, 50, 200]),
    replyRate: choose(rng, [40, 100, 400]),
    meanDelayMs: choose(rng, [2, 15, 60]),
    linkMs: choose(rng, [0, 2, 60]),
    payloadBytes: choose(rng, [2048, 2048, 8192]),
    // Short lives of reply blocks stand for many epoch turns.
    surbLifeMs: choose(rng, [550_000, 550_000, 20_000]),
  });
  const clients: Client[] = [];
  for (let i = 0; i < streams; i++) {
    const plan = randomPlan(rng, 10 * (i + 1));
    const end = clientEnd(sim.events, plan, choose(rng, [0, 0, 5, 300]));
    clients.push({ plan, end });
    sim.events.after(rng.uniform() * 3000, () => start(sim as SessionSim, { plan, end }, rng));
  }
  const trouble = rng.uniform();
  if (trouble < 0.3) deaden(sim, rng);
  else if (trouble < 0.4) sim.events.at(rng.uniform() * 5000, () => sim?.events.sleep(rng.uniform() * 3_600_000));
  else if (trouble < 0.5) sim.events.at(rng.uniform() * 5000, () => sim?.loseReplyBlocks());
  if (trouble > 0.9) {
    partWays(sim, clients, served.ends, rng);
    return;
  }
  const all = () => clients.every(({ plan, end }) => isOver(plan, end, served.ends.get(plan.seed)));
  sim.run(PATIENCE_MS, all);
  for (const client of clients) check(sim, client, served.ends.get(client.plan.seed));
  settle(sim);
}

function start(sim: SessionSim, { plan, end }: Client, rng: Rng): void {
  end.stream = sim.proxy.open({ kind: 'tcp', host: hostOf(plan), port: 443 }, end, monotonic(sim.nowMs));
  if (rng.uniform() < 0.07) {
    sim.events.after(rng.uniform() * 1500, () => {
      if (end.over) return;
      end.reset = 'RESET';
      end.stream?.reset('RESET', monotonic(sim.nowMs));
    });
  }
  end.pump();
}

/** One side is started anew in the middle: all streams end with an error on both sides, and nothing is left. */
function partWays(sim: SessionSim, clients: readonly Client[], ends: ReadonlyMap<number, StreamEnd>, rng: Rng): void {
  sim.run(3200 + rng.uniform() * 2000);
  const requester = rng.uniform() < 0.5;
  if (requester) {
    // Its sockets die with it, unheard.
    sim.restartRequester();
    sim.run(150_000, () => sim.closedReason !== undefined);
    // With nothing left to say, an idle proxy in burst mode may not notice before it says something.
    if (sim.closedReason === undefined) assert.equal(sim.proxy.stats().streamsOpen, 0, 'streams wait for the dead');
  } else {
    const session = sim.proxy;
    session.abandon('shutdown', sim.nowMs);
    sim.restartProxy();
    const { sessions } = sim.table.stats();
    sim.run(400_000, () => sim.table.size < sessions || sim.table.size === 0);
    sim.run(60_000);
  }
  for (const { plan, end } of clients) {
    if (end.stream === undefined) continue;
    assert.ok(end.over, `the proxy's end is not told: ${JSON.stringify(plan)}`);
    const other = requester || plan.fate === 'refuse' ? undefined : ends.get(plan.seed);
    if (other !== undefined)
      assert.ok(other.over || other.stream === undefined, `the site is not told: ${JSON.stringify(plan)}`);
  }
}

/** Kills a direction for a while. */
function deaden(sim: SessionSim, rng: Rng): void {
  const fromMs = rng.uniform() * 5000;
  const forMs = rng.uniform() * 60_000;
  const up = rng.uniform() < 0.5;
  const set = (dead: boolean) => {
    if (up) sim.upDead = dead;
    else sim.downDead = dead;
  };
  sim.events.at(fromMs, () => set(true));
  sim.events.at(fromMs + forMs, () => set(false));
}

function isOver(plan: Plan, end: StreamEnd, other: StreamEnd | undefined): boolean {
  if (!end.over) return false;
  return end.refused !== undefined || end.reset === 'RESET' || plan.fate === 'refuse' || other?.over === true;
}

function check(sim: SessionSim, { plan, end }: Client, other: StreamEnd | undefined): void {
  const where = JSON.stringify({
    plan,
    end: [end.received, end.fin, end.over],
    other: [other?.received, other?.fin, other?.over, other?.sent],
    proxy: sim.proxy.stats(),
  });
  assert.equal(sim.closedReason, undefined, `session closed: ${sim.closedReason}`);
  assert.ok(isOver(plan, end, other), `stream hangs: ${where}`);
  if (plan.fate === 'refuse' && end.reset === undefined) assert.equal(end.refused, 'REFUSED', where);
  if (end.reset !== undefined || end.refused !== undefined) return;
  assert.equal(end.received, plan.down, where);
  if (other?.reset === undefined) assert.equal(other?.received, plan.up, where);
}

/** After everything: no stream, no queued byte is left on either side, and the accounts balance. */
function settle(sim: SessionSim): void {
  sim.run(100_000, () => sim.proxy.stats().streamsOpen === 0 && sim.served?.stats().streamsOpen === 0);
  sim.run(3_000);
  sim.run(3_000); // twice, since the machine may have slept at the end of the first
  const proxy = sim.proxy.stats();
  const requester = sim.served?.stats();
  assert.ok(requester, 'the requester lost the session');
  for (const stats of [proxy, requester]) {
    assert.equal(stats.streamsOpen, 0, `streams left: ${JSON.stringify({ proxy, requester })}`);
    assert.equal(stats.bytesQueued, 0, 'queued bytes left');
    assert.equal(stats.bytesHeldOutOfOrder, 0, 'held bytes left');
  }
  const supply = sim.proxy.surbStats();
  const stock = sim.served?.surbStats();
  assert.ok(stock);
  assert.equal(stock.received, stock.used + stock.expired + stock.evicted + stock.held, 'the stock does not balance');
  assert.ok(stock.received <= supply.created, 'more blocks received than created');
  assert.ok(supply.received <= stock.received && supply.used <= stock.used, 'the account runs ahead of the stock');
  if (sim.events.sleptMs === 0) assert.equal(sim.counts.surbsExpiredInNet, 0, 'blocks used after their end');
  // The controller holds: the requester can answer, and is not flooded.
  assert.ok(stock.held >= 1, `the requester ran dry: ${JSON.stringify({ stock, supply })}`);
}

t.test('whatever the network does, every byte of a session comes once and in order', async (t) => {
  const first = Number(process.env.FROM ?? 1);
  const seeds = ONLY === undefined ? Array.from({ length: SEEDS }, (_, i) => first + i) : [Number(ONLY)];
  for (const seed of seeds) {
    try {
      live(seed);
    } catch (error) {
      t.fail(`seed ${seed} (replay with SEED=${seed}): ${error instanceof Error ? error.stack : error}`);
      if (t.counts.fail >= 8) return;
    }
  }
  t.pass(`${seeds.length} seeds`);
});
