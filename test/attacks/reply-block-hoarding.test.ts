/**
 * Attack: an exit wants many reply blocks of a user at once. Sent together, they write a pattern onto the user's link that an
 * accomplice there recognises. The exit keeps blocks back, and says in whatever counter makes the proxy send more that they
 * are gone: expired, used, evicted, never received, or needed for a download.
 *
 * Defence: the proxy's own ledger. It makes blocks no faster than replies can be due, lets no more of them be unsettled than a few
 * round trips need, and ends the session when many more fail to come back than its own loops explain. The exit is then avoided.
 *
 * What remains: an exit that keeps a fifth of the blocks stays below the bar, and has 0.25 × reply rate × life of them in the end.
 */
import t from 'tap';
import { SessionMeter } from '../../lib/session/session-meter.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { Hoarder, type HoarderOptions } from '../support/sim/block-exits.ts';
import { BlockWorld, type BlockWorldOptions, LIFE_MS, type Random } from '../support/sim/block-world.ts';
import { HubWorld } from '../support/sim/hub-world.ts';

const REPLY_RATE = 100;
/** In burst mode: what 50 packets a second can carry. */
const BURST_RATE = 250;
const SPARED = 2_000;
const boundOf = (rate: number) => (0.25 * rate * LIFE_MS) / 1000 + SPARED;
/** docs/ATTACKS.md states them. */
const STEADY_BOUND = 16_000;
const BURST_BOUND = 37_000;
/** What an exit that keeps more than the tolerated share has when it is found out. */
const FOUND_OUT_BOUND = 6_000;

const CLAIMS = ['expired', 'used', 'evicted', 'not received', 'demand'] as const;

function session(hoarder: HoarderOptions, more: Partial<BlockWorldOptions> = {}, untilMs = LIFE_MS) {
  const world = new BlockWorld({ seed: 7, mixesPerLayer: 3, ...more, exit: (random) => new Hoarder(random, hoarder) });
  world.run(untilMs);
  return { accused: world.accusedMs !== undefined, held: world.exit.held(world.nowMs) };
}

t.test('the stated bounds follow from rate and life', async (t) => {
  t.equal(boundOf(REPLY_RATE), STEADY_BOUND);
  t.equal(boundOf(BURST_RATE), BURST_BOUND);
});

t.test('an exit that keeps most blocks loses the session, whatever it says', async (t) => {
  for (const claims of CLAIMS) {
    for (const downlink of ['steady', 'burst'] as const) {
      const { accused, held } = session({ claims, keeps: 0.7 }, { downlink }, 120_000);
      t.ok(accused, `${claims}, ${downlink}: accused`);
      t.ok(held < FOUND_OUT_BOUND, `${claims}, ${downlink}: ${held} blocks`);
    }
  }
  const { accused, held } = session({ claims: 'expired', keeps: 0.7 }, { without: 'missing bound' });
  t.notOk(accused, 'without the bound on missing blocks it stays');
  t.ok(held > BURST_BOUND, `and has ${held}`);
});

t.test('newest first, or used after minutes: what lies at the exit is missing meanwhile', async (t) => {
  t.ok(session({ claims: 'expired', keeps: 0, order: 'newest', replies: 0.5 }).accused);
  t.ok(session({ claims: 'used', keeps: 0.6, spendsMs: 90_000 }).accused);
});

t.test('an exit that keeps a little is not accused, and does not get more than the bound', async (t) => {
  const { held } = session({ claims: 'expired', keeps: 0.2 });
  t.ok(held < STEADY_BOUND, `${held} blocks`);
  t.ok(held > STEADY_BOUND / 2, 'that is what remains');
  t.ok(session({ claims: 'demand', keeps: 0.2 }, { downlink: 'burst' }).held < BURST_BOUND, 'burst');
});

t.test(
  'where the network loses so much that nobody can be accused, an exit gets what replies need and no more',
  async (t) => {
    const lossy = {
      replyRate: 20,
      fate: (_way: unknown, random: Random) => (random() < 0.45 ? Number.POSITIVE_INFINITY : 0),
    };
    const bound = (0.5 * 1.25 * lossy.replyRate * LIFE_MS) / 1000 + SPARED; // it keeps half of what arrives
    const { accused, held } = session({ claims: 'expired', keeps: 0.5 }, lossy);
    t.notOk(accused);
    t.ok(held < bound, `${held} blocks`);
    const unbounded = session({ claims: 'expired', keeps: 0.5 }, { ...lossy, without: 'making bound' });
    t.ok(unbounded.held > bound, `without the bound on making: ${unbounded.held}`);
  },
);

t.test('an exit that hardly replies gets a window of blocks and no more', async (t) => {
  const slow: HoarderOptions = { claims: 'expired', keeps: 0, replies: 0.02 };
  const { held } = session(slow);
  t.ok(held < FOUND_OUT_BOUND, `${held} blocks`);
  t.ok(session(slow, { without: 'window' }).held > STEADY_BOUND, 'without the window it gets as many as can be made');
});

/** A proxy with two exits, of which one keeps blocks back. */
async function proxyAtHoarder(loops: boolean) {
  const metrics = new Metrics();
  const world = new HubWorld({ requesters: 2, meter: new SessionMeter(metrics), loops });
  world.run(1_000);
  const evil = world.hub.sessions().map((one) => world.hub.requesterOf(one)?.name)[0] as string;
  world.hoarders.add(evil);
  world.run(45_000);
  const exits = world.hub.sessions().map((one) => world.hub.requesterOf(one)?.name);
  return { evil, exits, metrics: await metrics.text(), world };
}

t.test('the hub ends the session, counts it, and goes to another exit', async (t) => {
  const { evil, exits, metrics, world } = await proxyAtHoarder(true);
  t.ok(exits.length > 0);
  t.notOk(exits.includes(evil), 'the exit is avoided');
  t.match(metrics, /sessions_total\{event="hoarding"\} 1/);
  const { arrived } = await world.connect('example.org');
  t.not(arrived.requester, evil);
  const careless = await proxyAtHoarder(false);
  t.ok(careless.exits.includes(careless.evil), 'a proxy that does not compare with loops of its own stays');
});
