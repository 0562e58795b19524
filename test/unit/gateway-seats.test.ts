/** Seats of a gateway: how many clients the consensus lets it admit, who keeps one, and who is refused as full. */
import t from 'tap';
import { SEAT_MS } from '../../gateway/client.ts';
import { SILENT_SLOT_MS } from '../../gateway/clients.ts';
import { seatsOf } from '../../gateway/seats.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import { Door, idOf, termsOf } from '../support/gateway-door.ts';

/** Packets of class fast for one of class standard. */
const FAST = 706 / 156;

t.test('no more clients than the consensus says, each by the packets of its class', async (t) => {
  const door = new Door(5);
  t.same(
    [1, 2, 3, 4, 5, 6].map((n) => door.dial(n)),
    [true, true, true, true, true, 'full'],
  );
  door.leave(1);
  t.equal(door.dial(6), true);
  t.equal(seatsOf(DEFAULT_PARAMS, 'fast'), FAST);
  t.equal(seatsOf(DEFAULT_PARAMS, 'gone'), 1);
  const mixed = new Door(5);
  t.equal(mixed.dial(1, 'fast'), true);
  t.equal(mixed.dial(2), 'full', `${FAST} and 1 are more than 5`);
  mixed.seats = FAST + 1;
  t.equal(mixed.dial(2), true, 'to the last part of a seat');
});

t.test('the first client is admitted whatever its class', async (t) => {
  const door = new Door(4);
  t.equal(door.dial(1, 'fast'), true);
  t.equal(door.dial(2, 'fast'), 'full');
});

t.test('nobody is disconnected when the number falls: newcomers wait', async (t) => {
  const door = new Door(5);
  for (const n of [1, 2, 3, 4, 5]) door.dial(n);
  door.seats = 2;
  for (const n of [1, 2, 3, 4, 5])
    t.equal(door.clients.admits(idOf(n), termsOf('standard')), true, 'as asked when the consensus changes');
  for (const n of [1, 2, 3]) {
    door.leave(n);
    t.equal(door.dial(6), 'full');
  }
  door.leave(4);
  t.equal(door.dial(6), true);
});

t.test('exits have no client’s seat, and who is to become one gets its countersignature', async (t) => {
  const door = new Door(2);
  for (const n of [900, 901, 1, 2]) t.equal(door.dial(n), true);
  t.equal(door.dial(902), 'full', 'their own bound');
  t.equal(door.dial(3), 'full');
  t.equal(door.clients.admits(idOf(3), termsOf('standard'), 'countersign'), true);
});

t.test('a client whose link broke keeps its seat for a minute', async (t) => {
  const door = new Door(2);
  door.dial(1);
  door.dial(2);
  door.wait(SEAT_MS);
  door.leave(1, true);
  t.equal(door.dial(3), 'full');
  t.equal(door.dial(1), true, 'it is back');
  door.wait(SEAT_MS);
  door.leave(1, true);
  door.wait(SEAT_MS - 1000);
  t.equal(door.dial(3), 'full');
  door.wait(1000);
  t.equal(door.dial(3), true, 'it has stayed away too long');
  t.equal(door.dial(1), 'full');
});

t.test('who comes again in a class that takes more seats needs them like anybody else', async (t) => {
  const door = new Door(5);
  for (const n of [1, 2, 3, 4, 5]) door.dial(n);
  t.equal(door.dial(1, 'fast'), 'full', 'in place of its own link');
  door.wait(SEAT_MS);
  door.leave(1, true);
  t.equal(door.dial(1, 'fast'), 'full', 'on the seat that is kept for it');
  t.equal(door.dial(1), true);
  for (const n of [2, 3, 4]) door.leave(n);
  t.equal(door.dial(1, 'fast'), 'full', `${FAST} and 1 are more than 5`);
  door.leave(5);
  t.equal(door.dial(1, 'fast'), true, 'its own seat does not count beside those that it asks for');
  t.equal(door.dial(1), true, 'fewer are always there');
  const alone = new Door(4);
  alone.dial(1);
  t.equal(alone.dial(1, 'fast'), true, 'whoever is alone may have any class');
});

t.test('a seat that nothing is sent from goes to a newcomer', async (t) => {
  const door = new Door(2);
  door.dial(1);
  door.dial(2);
  door.wait(SILENT_SLOT_MS, false);
  t.equal(door.dial(3), true);
  t.equal(door.ports.size, 2);
});

t.test('nobody loses its seat for a newcomer who is not admitted all the same', async (t) => {
  const door = new Door(2);
  door.dial(1);
  door.dial(2);
  door.wait(SILENT_SLOT_MS, false);
  t.equal(door.dial(3, 'fast'), 'full', `${FAST} are more than the one seat that would be free`);
  t.equal(door.clients.admits(idOf(3), { trafficClass: 'gone', clocked: true }), false, 'there is no such class');
  t.same([...door.ports.keys()], [1, 2]);
});
