import t from 'tap';
import { type Metered, SessionMeter } from '../../lib/session/session-meter.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { proxySession } from '../support/session-packets.ts';

/** A real session's counters with some set by the test. */
function session(fields: object): Metered {
  const idle = proxySession({ mintSurb: () => undefined }, seededRng(1));
  return { stats: () => ({ ...idle.stats(), ...fields }), surbStats: () => ({ ...idle.surbStats(), ...fields }) };
}

t.test('counters go on when sessions end, gauges do not', async (t) => {
  const metrics = new Metrics();
  const meter = new SessionMeter(metrics);
  const value = async (line: string) =>
    Number(
      (await metrics.text())
        .split('\n')
        .find((one) => one.startsWith(`mixsocks_${line} `))
        ?.split(' ')[1],
    );
  const sessions = Array.from({ length: 40 }, () =>
    session({ packetsSent: 10, packetsLostSpuriously: 1, used: 3, streamsOpen: 2 }),
  );
  for (const one of sessions) meter.begun(one);
  t.equal(await value('sessions'), 40);
  t.equal(await value('session_streams'), 80);
  t.equal(await value('session_packets_total{event="sent"}'), 400);
  for (const one of sessions.slice(1)) meter.ended(one);
  for (const one of sessions.slice(1)) meter.ended(one); // twice counts once
  t.equal(await value('sessions'), 1);
  t.equal(await value('session_streams'), 2);
  t.equal(await value('session_packets_total{event="sent"}'), 400);
  t.equal(await value('session_packets_total{event="spurious"}'), 40);
  t.equal(await value('session_surbs_total{event="used"}'), 120);
  t.equal(await value('session_packets_total{event="sent"}'), 400, 'reading changes nothing');
  t.equal(await value('sessions_total{event="begun"}'), 40);
});
