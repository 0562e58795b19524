/**
 * Attack: clients cost nothing, and what a client asks for costs it nothing either. Twenty of them open sessions without end at all
 * exits, ask for the highest reply rate in each, and want the exits closed to everybody else. They send as many packets as
 * their gateways let through, with real reply blocks, and answer every question.
 *
 * Defence: seats and replies are paid in packets. A session is served as fast as its client sends; who has proven that it receives
 * takes the seat of the one that paid least. What remains: k clients that pay as much as honest ones count as k honest ones.
 */
import t, { type Test } from 'tap';
import { PaidMeter } from '../../lib/session/requester/admission.ts';
import { PROTOCOL_VERSION } from '../../lib/transport/limits.ts';
import { FRAME } from '../../lib/transport/wire/frames.ts';
import { NOBODY } from '../../lib/transport/wire/packet-builder.ts';
import { beginUplink, decodeDownlink } from '../../lib/transport/wire/payload.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { type ExitWorld, PAYLOAD_BYTES, RATES, ExitWorld as World } from '../support/sim/exit-world.ts';

const SEATS = 100;
const CAPACITY = 1_000;
const HONEST = 50;
const HOSTILE = 20;
const NEWCOMERS = 100;
const ATTACK_MS = 60_000;
const SHORT_MS = 25_000;
/** What a gateway lets a client send (docs/PROTOCOL.md section 5.7). */
const PACKETS_PER_SECOND = 1.1 * (RATES.mainRate + RATES.loopRate + RATES.dropRate);

interface EvilSession {
  readonly id: Uint8Array;
  readonly exit: number;
  number: number;
  challenge: Uint8Array | undefined;
}

/** Adds a client that takes as many seats as it can. */
function addHostile(world: ExitWorld, seed: number): void {
  const rng = seededRng(seed);
  const sessions: EvilSession[] = [];
  const send = (session: EvilSession) => {
    const builder = beginUplink(PAYLOAD_BYTES, session.id, ++session.number);
    if (session.number === 1) builder.hello(NOBODY, PROTOCOL_VERSION, new Uint8Array(0), 1 << 20, 1 << 18);
    builder.rate(NOBODY, 2_000_000);
    if (session.challenge !== undefined) builder.response(NOBODY, session.challenge);
    const blocks = Array.from({ length: 5 }, () =>
      world.makeSurb((plaintext) => {
        for (const frame of decodeDownlink(plaintext)?.frames ?? []) {
          if (frame.type === FRAME.CHALLENGE) session.challenge = frame.bytes;
        }
      }),
    );
    builder.replyBlocks(NOBODY, 0, 120_000, blocks);
    const exit = world.exits[session.exit];
    if (exit !== undefined) world.send(exit.node, builder.bytes);
  };
  let credit = 0;
  world.others.push((stepMs) => {
    credit += (PACKETS_PER_SECOND * stepMs) / 1000;
    for (; credit >= 1; credit--) {
      const known = sessions[rng.int(Math.max(1, sessions.length))];
      if (known !== undefined && (sessions.length > 40 || rng.int(3) > 0)) {
        send(known);
        continue;
      }
      const session = { id: rng.bytes(16), exit: rng.int(world.exits.length), number: 0, challenge: undefined };
      sessions.push(session);
      send(session);
    }
  });
}

async function attack(attackMs = ATTACK_MS) {
  const world = new World(2, SEATS, CAPACITY);
  const honest = Array.from({ length: HONEST }, () => world.addClient());
  await world.run(5_000);
  for (let i = 0; i < HOSTILE; i++) addHostile(world, 5_000 + i);
  await world.run(5_000);
  const before = honest.map(({ replies }) => replies);
  await world.run(attackMs / 2);
  const startedMs = world.clock.nowMs();
  const newcomers = Array.from({ length: NEWCOMERS }, () => world.addClient());
  for (const client of newcomers) client.open();
  await world.run(10_000);
  const opened = newcomers.filter(
    ({ openedMs }) => (openedMs ?? Number.POSITIVE_INFINITY) <= startedMs + 10_000,
  ).length;
  await world.run(attackMs / 2 - 10_000);
  const seconds = attackMs / 1000;
  const rates = honest.map(({ replies }, i) => (replies - (before[i] ?? 0)) / seconds);
  return { slowest: Math.min(...rates), opened };
}

/** The same with a defence switched off. */
async function without(name: 'rate' | 'seatRate', always: number, t: Test) {
  const real = PaidMeter.prototype[name];
  t.teardown(() => {
    PaidMeter.prototype[name] = real;
  });
  PaidMeter.prototype[name] = () => always;
  const outcome = await attack(SHORT_MS);
  PaidMeter.prototype[name] = real;
  return outcome;
}

t.test('twenty hostile clients take nothing from fifty, and keep out no newcomers', async (t) => {
  const { slowest, opened } = await attack();
  t.ok(slowest >= 0.95 * RATES.replyRate, `${slowest} replies a second for the slowest`);
  t.ok(opened >= 95, `${opened} of ${NEWCOMERS} work within ten seconds`);
});

t.test('where a session has what it asks for, they take it from all', async (t) => {
  const { slowest } = await without('rate', Number.POSITIVE_INFINITY, t);
  t.ok(slowest < 0.95 * RATES.replyRate, `${slowest} replies a second for the slowest`);
});

t.test('where seats are kept for nothing, newcomers find none', async (t) => {
  const { opened } = await without('seatRate', 0, t);
  t.ok(opened < 95, `${opened} of ${NEWCOMERS}`);
});
