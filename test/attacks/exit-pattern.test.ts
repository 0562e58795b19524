/**
 * Attack: whoever records the links of all clients runs an exit, and writes a pattern into the replies to one of its sessions: he
 * stops for three seconds, sends twice as much, or switches between the two. The client on whose link the pattern shows is
 * the one behind the session.
 *
 * Defence: the near gateway delivers by a clock of its own. At each tick one frame leaves, a packet that waits or padding, so that
 * the departures to a client do not depend on what comes for it. What remains: an exit that records the links from layer 3 to the
 * gateways sees to which gateway its volume goes, and who runs the near gateway too sees everything.
 */
import t from 'tap';
import { DeliveryWorld, STANDARD } from '../support/delivery-world.ts';

const RUN_MS = 20_000;
const { replyRate, deliveryRate } = STANDARD;

/** Replies per second that an exit sends, by the time since the start. */
type Exit = (sinceMs: number) => number;
const during = (sinceMs: number) => sinceMs >= 8_000 && sinceMs < 11_000;
const HONEST: Exit = () => replyRate;
const EVIL: Readonly<Record<string, Exit>> = {
  'stops for 3 s': (ms) => (during(ms) ? 0 : replyRate),
  'doubles its rate for 3 s': (ms) => (during(ms) ? 2 * replyRate : replyRate),
  'doubles its rate for good': (ms) => (ms < 8_000 ? replyRate : 2 * replyRate),
  'switches between nothing and twice its rate every 500 ms': (ms) => (Math.floor(ms / 500) % 2) * 2 * replyRate,
  'goes silent for good': (ms) => (ms < 8_000 ? replyRate : 0),
};

/** When frames leave for the client whose exit behaves like that. A gateway without the clock sends packets as they come. */
function departures(exit: Exit, clocked = true): readonly number[] {
  const world = new DeliveryWorld();
  const link = world.connect(1, { trafficClass: 'standard', clocked });
  world.sends(link, RUN_MS);
  world.replies(1, RUN_MS, exit);
  world.run(RUN_MS);
  return link.times;
}

/** What an observer compares: every single time, so that nothing coarser can differ either. */
const same = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((atMs, i) => atMs === b[i]);

function perHalfSecond(times: readonly number[]): number[] {
  const counts = new Array<number>(RUN_MS / 500).fill(0);
  for (const atMs of times) counts[Math.floor(atMs / 500)]! += 1;
  return counts.slice(4); // the clock starts with what the client has sent
}

t.test('no exit changes when frames leave for a client', async (t) => {
  const honest = departures(HONEST);
  for (const [name, exit] of Object.entries(EVIL)) {
    t.ok(same(departures(exit), honest), `an exit that ${name} changes no departure`);
  }
  const counts = perHalfSecond(honest);
  t.ok(Math.max(...counts) - Math.min(...counts) <= 1, `${Math.min(...counts)} to ${Math.max(...counts)} per 500 ms`);
  t.ok(Math.abs(honest.length - (RUN_MS / 1000) * deliveryRate) <= deliveryRate, 'at the rate of the class');
});

t.test('a gateway without the clock fails the same comparison', async (t) => {
  const honest = departures(HONEST, false);
  for (const [name, exit] of Object.entries(EVIL)) {
    t.notOk(same(departures(exit, false), honest), `an exit that ${name} shows`);
  }
});
