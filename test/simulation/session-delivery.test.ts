/** What the gateway's delivery clock costs: at most 30 ms for a round trip, and no download. */
import t from 'tap';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import { clientEnd, hostOf, server } from '../support/sim/apps.ts';
import { SessionSim } from '../support/sim/session-sim.ts';
import { monotonic } from '../support/units.ts';

/** One run's mean differs by 10 ms from another's. */
const SEEDS = [1, 2, 3];
const REQUESTS = 40;
const DOWNLOAD_BYTES = 1_000_000;
const { deliveryRate = 0, replyRate = 0 } = DEFAULT_PARAMS.classes.standard ?? {};

/** Mean time to the first byte of an answer, round trip, and share of the reply clock that a download gets. */
function measure(perSecond: number, seed: number) {
  let sim: SessionSim | undefined;
  const { accept } = server(() => (sim as SessionSim).events);
  const world = new SessionSim({ seed, accept, deliveryRate: perSecond });
  sim = world;
  const open = (up: number, down: number, seed: number) => {
    const plan = { up, down, seed, answers: up > 0 };
    const end = clientEnd(world.events, plan, 0);
    end.stream = world.proxy.open({ kind: 'tcp', host: hostOf(plan), port: 443 }, end, monotonic(world.nowMs));
    end.pump();
    return end;
  };
  world.run(5_000);
  let firstByteMs = 0;
  for (let i = 1; i <= REQUESTS; i++) {
    const startMs = world.nowMs;
    const end = open(200, 500, 10 * i);
    world.until(() => end.over, 20_000);
    firstByteMs += (end.firstByteMs - startMs) / REQUESTS;
    world.run(300);
  }
  const roundTripMs = world.proxy.stats().smoothedRttMs ?? 0;
  const end = open(0, DOWNLOAD_BYTES, 9_000);
  const ms = world.until(() => end.over, 60_000);
  const share = end.received / ((ms / 1000) * replyRate * 2048);
  return { firstByteMs, roundTripMs, share, dropped: world.gateway?.dropped ?? 0 };
}

t.test('a delivery clock costs at most 30 ms per round trip, and a download has 0.9 of the reply clock', async (t) => {
  const runs = SEEDS.map((seed) => ({ without: measure(0, seed), clocked: measure(deliveryRate, seed) }));
  const mean = (of: (run: (typeof runs)[number]) => number) =>
    runs.reduce((sum, run) => sum + of(run), 0) / runs.length;
  const firstByteMs = mean(({ without, clocked }) => clocked.firstByteMs - without.firstByteMs);
  const roundTripMs = mean(({ without, clocked }) => clocked.roundTripMs - without.roundTripMs);
  const share = mean(({ clocked }) => clocked.share);
  t.ok(firstByteMs < 30, `first byte: ${firstByteMs.toFixed(1)} ms`);
  t.ok(roundTripMs < 30, `smoothed round trip: ${roundTripMs.toFixed(1)} ms`);
  t.ok(share >= 0.9, `download: ${share.toFixed(3)} of the clock`);
  t.equal(
    mean(({ clocked }) => clocked.dropped),
    0,
  );
});
