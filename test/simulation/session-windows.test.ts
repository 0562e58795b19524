/** How wide windows must be, so that a download through a network with large packets can use the reply clock. */
import t from 'tap';
import { clientEnd, hostOf, server } from '../support/sim/apps.ts';
import { SessionSim, type SimOptions } from '../support/sim/session-sim.ts';
import { monotonic } from '../support/units.ts';

const MIB = 1024 * 1024;
const RATES = { mainRate: 60, replyRate: 500, deliveryRate: 650, meanDelayMs: 40, drawsAhead: true };
const DOWNLOAD_BYTES = 40 * MIB;
/** By then the window has grown. */
const GROWN_BYTES = 16 * MIB;

/** Share of the reply slots that carry the later part of a download. */
function contentShare(options: Pick<SimOptions, 'payloadBytes' | 'limits'>): number {
  let sim: SessionSim | undefined;
  const { accept } = server(() => (sim as SessionSim).events);
  const world = new SessionSim({ seed: 1, ...RATES, ...options, accept });
  sim = world;
  world.run(5_000);
  const plan = { up: 0, down: DOWNLOAD_BYTES, seed: 1 };
  const end = clientEnd(world.events, plan);
  end.stream = world.proxy.open({ kind: 'tcp', host: hostOf(plan), port: 443 }, end, monotonic(world.nowMs));
  world.until(() => end.received >= GROWN_BYTES, 120_000);
  const { downContent, downDummy } = world.counts;
  world.until(() => end.received >= DOWNLOAD_BYTES - 2 * MIB, 120_000);
  const content = world.counts.downContent - downContent;
  return content / (content + world.counts.downDummy - downDummy);
}

t.test('the largest packets find windows that are wide enough for the clock of class fast', async (t) => {
  const share = contentShare({ payloadBytes: 32_768 });
  t.ok(share > 0.65, `${share.toFixed(2)} of the slots`);
  const narrow = contentShare({
    payloadBytes: 32_768,
    limits: { maxStreamWindowBytes: 4 * MIB, maxSessionWindowBytes: 16 * MIB },
  });
  t.ok(narrow < 0.55, `${narrow.toFixed(2)} with the windows of small packets`);
});
