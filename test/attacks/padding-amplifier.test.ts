/**
 * Attack: the delivery clock as an amplifier. A thousand clients connect to a gateway, ask for the clock and send one frame a minute, so
 * that each of them gets a stream of padding, and the honest clients get what is left of the gateway's line.
 *
 * Defence: padding is paid for. A clock starts only for a client that sends by its own clocks, stops with half of that over 30 s, and
 * the sum of all clocks is bounded. What remains: half a second of frames buys at most 30 s of padding, and the connection
 * is lost with it.
 */
import t from 'tap';
import { uplinkRate } from '../../lib/core/params.ts';
import { DeliveryWorld, idOf, STANDARD, type WorldLink } from '../support/delivery-world.ts';

const CLIENTS = 1_000;
const MINUTES = 3;
const UPLINK = uplinkRate(STANDARD);

/** A client that sends a frame at the beginning of each minute. */
function sendsRarely(world: DeliveryWorld, link: WorldLink): void {
  for (let minute = 0; minute < MINUTES; minute++) {
    world.events.at(minute * 60_000, () => void (link.closed || world.frameFrom(link)));
  }
}

/** Frames of padding for the hostile clients, and the honest one's frames, in a world with or without the defence. */
function attack(paysForPadding: boolean) {
  const world = new DeliveryWorld({}, paysForPadding ? {} : { uplink: 0 });
  const honest = world.connect(0);
  world.sends(honest, MINUTES * 60_000);
  const hostile = Array.from({ length: CLIENTS }, (_, i) => world.connect(1 + i));
  for (const link of hostile) sendsRarely(world, link);
  world.run(paysForPadding ? MINUTES * 60_000 : 2_000);
  return { world, honest, padding: hostile.reduce((sum, link) => sum + link.departures.length, 0) };
}

t.test('a thousand clients that send a frame a minute get no padding, and lose their connections', async (t) => {
  const { world, honest, padding } = attack(true);
  t.equal(padding, 0);
  t.equal(world.silent, CLIENTS);
  const expected = MINUTES * 60 * STANDARD.deliveryRate;
  t.ok(honest.departures.length > 0.98 * expected, `an honest one gets ${honest.departures.length} of ${expected}`);
});

t.test('a gateway that asks for nothing in return fails the same test', async (t) => {
  t.ok(attack(false).padding > 10_000);
});

t.test('who begins to send and then stops gets padding for 30 s at most', async (t) => {
  const world = new DeliveryWorld();
  const link = world.connect(1);
  world.sends(link, 1_500);
  world.run(120_000);
  t.ok(link.closed);
  t.ok(link.departures.length <= 31 * STANDARD.deliveryRate, `${link.departures.length} frames`);
});

t.test('who sends 60 % of its class is served, who sends 40 % is not', async (t) => {
  const world = new DeliveryWorld();
  const [enough, little] = [world.connect(1), world.connect(2)];
  world.sends(enough, 100_000, 0.6 * UPLINK);
  world.sends(little, 100_000, 0.4 * UPLINK);
  world.run(100_000);
  t.notOk(enough.closed);
  t.ok(little.closed);
});

t.test('the clocks of all clients together are bounded, whoever asks for them', async (t) => {
  const world = new DeliveryWorld({ maxDeliveryRate: 10 * STANDARD.deliveryRate });
  for (let n = 0; n < 9; n++) world.connect(n);
  const standard = { trafficClass: 'standard', clocked: true };
  t.equal(world.clients.admits(idOf(20), standard), true);
  t.not(world.clients.admits(idOf(20), { trafficClass: 'fast', clocked: true }), true, 'a faster one needs more');
  world.connect(9);
  t.not(world.clients.admits(idOf(20), standard), true);
  t.equal(world.clients.admits(idOf(9), standard), true, 'but for its own link');
  t.equal(
    world.clients.admits(idOf(20), { trafficClass: 'standard', clocked: false }),
    true,
    'who needs no clock has room',
  );
});
