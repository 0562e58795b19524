/**
 * Attack: hoarding seats. The consensus lets a gateway admit so many clients; a client whose link broke keeps its seat for a minute, so that
 * newcomers do not crowd it out. Someone with few connections, which are bounded per source, connects, breaks off and connects again under
 * another identity: each leaves a seat behind, until no other user finds one.
 *
 * Defence: a seat is kept for whom it has held for a minute, and only when the link broke; who ends it gives it up. So nobody holds more than
 * twice as many seats as he has connections. A seat from which nothing is sent goes to a newcomer after two minutes. What remains: who keeps
 * as many clients connected as a gateway may admit, each sending by its clocks, closes it to others.
 */
import t from 'tap';
import { type Client, SEAT_MS } from '../../gateway/client.ts';
import { hasBroken } from '../../gateway/seats.ts';
import { addressKeyOf } from '../../lib/core/bytes.ts';
import { Door, idOf } from '../support/gateway-door.ts';

const SEATS = 20;
const CONNECTIONS = 4;
const MINUTES = 10;

/** The attacker breaks off each of his few connections after `stayMs`; how often a user asks for a seat in the meantime, and finds one. */
function usersBeside(stayMs: number): { found: number; asked: number } {
  const door = new Door(SEATS);
  let next = 10_000;
  let found = 0;
  let asked = 0;
  for (; door.nowMs < MINUTES * 60_000; asked++) {
    const mine = Array.from({ length: CONNECTIONS }, () => next++).filter((n) => door.dial(n) === true);
    door.wait(stayMs);
    for (const n of mine) door.leave(n, true);
    const user = 500_000 + asked;
    if (door.dial(user) === true) found += 1;
    door.leave(user);
  }
  return { found, asked };
}

t.test(
  'links that break off at once leave no seats behind, those that last as many as there are connections',
  async (t) => {
    for (const stayMs of [1_000, SEAT_MS]) {
      const { found, asked } = usersBeside(stayMs);
      t.ok(asked >= MINUTES);
      t.equal(found, asked, `${stayMs} ms: a user finds one each time`);
    }
  },
);

t.test('if a moment earned a seat for a minute, few connections would hold them all', async (t) => {
  const door = new Door(SEATS);
  for (let n = 1; n <= SEATS; n++) {
    door.dial(n);
    const client = door.clients.find(addressKeyOf(idOf(n))) as Client;
    door.leave(n, true);
    client.keepsSeat = true;
  }
  t.equal(door.dial(500_000), 'full');
});

t.test(
  'who has left, or was there for a moment, keeps none: seats cannot be hoarded by coming and going',
  async (t) => {
    const door = new Door(2);
    door.dial(1);
    door.dial(2);
    door.wait(SEAT_MS - 1000);
    door.leave(1, true);
    t.equal(door.dial(3), true, 'it had not been there for a minute');
    door.wait(SEAT_MS);
    door.leave(2);
    t.equal(door.dial(4), true, 'it had ended its link');
    for (const [reason, broke] of [
      ['ECONNRESET', true],
      ['ETIMEDOUT', true],
      ['stalled', true],
      ['peer-closed', false],
      ['closed', false],
      ['memory', false],
      ['replaced', false],
    ] as const) {
      t.equal(hasBroken(reason), broke, reason);
    }
  },
);
