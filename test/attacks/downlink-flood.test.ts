/**
 * Attack: an exit sends far more replies than its user has asked for. The queue at the user's gateway is full then, the user's own
 * loops are lost in it, and the user takes the gateway for the reason and moves to another one of its guards, perhaps the attacker's.
 *
 * Defence: while no padding comes and replies and loops come at the full rate of the gateway's clock, losses are no evidence; and the
 * session of an exit that exceeds its rate by 1.3 is ended, and the exit avoided. What remains: service is bad for about ten
 * seconds, and floods excuse losses for a minute only, so that a gateway cannot hide what it drops behind one.
 */

import t from 'tap';
import { delayLawOf } from '../../lib/core/delay-law.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import type { NodeEntry } from '../../lib/directory/index.ts';
import { Downlink } from '../../lib/endpoint/downlink.ts';
import { HealthReports } from '../../lib/endpoint/health/health-reports.ts';
import { LoopLedger } from '../../lib/endpoint/loop-ledger.ts';
import { EndpointMetrics } from '../../lib/endpoint/metrics.ts';
import type { ClientLinkStats } from '../../lib/link/index.ts';
import { ReplyExcess } from '../../lib/session/proxy/reply-excess.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { DeliveryWorld, STANDARD } from '../support/delivery-world.ts';
import { nodeEntry } from '../support/nodes.ts';
import { monotonic } from '../support/units.ts';

const { replyRate, deliveryRate, loopRate } = STANDARD;
const BEGIN_MS = 30_000;
const WAY_MS = 60;
const ROUTE = [1, 2, 3].map((layer) => nodeEntry(layer, { role: 'mixnode', name: `mix-${layer}`, layer } as never));
const REPLY = 0;

type Exit = (sinceMs: number) => number;

/** A client's loops and one session over a gateway with the clock, for `ms`. */
function attacked(exit: Exit, ms: number, defended = true) {
  const world = new DeliveryWorld();
  const ledger = new LoopLedger();
  const reports = new HealthReports(silentLog, new EndpointMetrics(new Metrics()));
  const downlink = new Downlink('clock', ledger.health, reports, () => {});
  const excess = new ReplyExcess(replyRate, monotonic(0));
  const found = { badAtMs: Number.POSITIVE_INFINITY, endedAtMs: Number.POSITIVE_INFINITY, used: 0, lost: 0 };
  const link = world.connect(1);
  world.sends(link, ms);
  link.onPacket = (packet) => {
    const nowMs = monotonic(world.nowMs);
    const [kind = 0] = packet;
    downlink.onRecognised();
    if (kind !== REPLY) ledger.returned(loopId(packet), nowMs);
    else if (excess.onReply(replyNumber(packet), nowMs)) found.endedAtMs = Math.min(found.endedAtMs, nowMs);
  };
  for (const atMs of world.poisson(loopRate, ms, 11)) {
    world.events.at(atMs, () => {
      const id = ledger.sent(ROUTE as NodeEntry[], monotonic(atMs), WAY_MS);
      world.events.after(WAY_MS, () => world.deliver(1, numbered(1, id)));
    });
  }
  world.replies(1, ms, exit, () => numbered(REPLY, ++found.used), 4 * replyRate);
  for (let atMs = 250; atMs < ms; atMs += 250) {
    world.events.at(atMs, () => {
      const nowMs = monotonic(atMs);
      const { padding } = link;
      const stats = { state: 'up', padding, received: link.departures.length - padding } as ClientLinkStats;
      if (defended) downlink.review(stats, deliveryRate, delayLawOf(DEFAULT_PARAMS), nowMs);
      found.lost += ledger.sweep(nowMs);
      ledger.health.review(nowMs);
      if (ledger.health.pathIsBad(nowMs)) found.badAtMs = Math.min(found.badAtMs, atMs);
    });
  }
  world.run(ms);
  return { ...found, excluded: ledger.health.excluded.length, alarm: ledger.alarm.raised };
}

const numbered = (kind: number, n: number) => Uint8Array.of(kind, n & 255, (n >> 8) & 255, n >> 16);
const numberIn = ([, a = 0, b = 0, c = 0]: Uint8Array) => a + 256 * b + 65_536 * c;
const loopId = numberIn;
const replyNumber = numberIn;

const flood: Exit = (ms) => (ms < BEGIN_MS ? replyRate : 4 * replyRate);
const inBursts: Exit = (ms) => (ms < BEGIN_MS ? replyRate : ms % 2_500 < 1_500 ? 4 * replyRate : 0);

t.test('a flood does not drive a user off the gateway, and ends the session within fifteen seconds', async (t) => {
  const { badAtMs, endedAtMs, lost, excluded, alarm } = attacked(flood, BEGIN_MS + 50_000);
  t.ok(lost > 50, `${lost} loops are lost in the queue`);
  t.equal(badAtMs, Number.POSITIVE_INFINITY, 'the gateway is not taken for the reason');
  t.equal(excluded, 0, 'nor is a mix');
  t.notOk(alarm);
  t.ok(endedAtMs - BEGIN_MS < 15_000, `ended after ${endedAtMs - BEGIN_MS} ms`);
});

t.test('a client without the defence leaves its gateway', async (t) => {
  t.ok(attacked(flood, BEGIN_MS + 50_000, false).badAtMs < Number.POSITIVE_INFINITY);
});

t.test('bursts shorter than what counts as a flood end the session before they have an effect', async (t) => {
  const { badAtMs, endedAtMs } = attacked(inBursts, BEGIN_MS + 15_000);
  t.ok(endedAtMs - BEGIN_MS < 15_000, `ended after ${endedAtMs - BEGIN_MS} ms`);
  t.equal(badAtMs, Number.POSITIVE_INFINITY);
});

t.test('an honest exit is never accused', async (t) => {
  const { endedAtMs, badAtMs, lost } = attacked(() => replyRate, 120_000);
  t.equal(endedAtMs, Number.POSITIVE_INFINITY);
  t.equal(badAtMs, Number.POSITIVE_INFINITY);
  t.equal(lost, 0);
});

t.test('a flood that goes on excuses losses for a minute only', async (t) => {
  const { badAtMs } = attacked(flood, BEGIN_MS + 110_000);
  t.ok(badAtMs > BEGIN_MS + 60_000 && badAtMs < BEGIN_MS + 100_000, `${badAtMs - BEGIN_MS} ms after its beginning`);
});
