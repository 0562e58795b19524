/** How many identities have sessions at a time, and what happens to streams beyond that. */
import t from 'tap';
import { DEFAULT_SESSION_PARAMS } from '../../lib/core/session-params.ts';
import type { StreamKind } from '../../lib/session/index.ts';
import { EXTRA_SESSIONS } from '../../lib/session/proxy/session-pool.ts';
import { MAX_WAITING_STREAMS } from '../../lib/session/proxy/waiting-streams.ts';
import { type Asked, HubWorld, type HubWorldOptions } from '../support/sim/hub-world.ts';

const FAST = { mainRate: 500, replyRate: 500 };
const STEP_MS = 5;
const KINDS: readonly StreamKind[] = ['tcp', 'udp', 'resolve'];

/** A world with one stream each of `count` identities, all kinds of requests in turn. */
async function busyWorld(count: number, options: HubWorldOptions) {
  const world = new HubWorld({ ...FAST, ...options });
  world.run(200);
  const asked: Asked[] = [];
  for (let i = 0; i < count; i++) asked.push(await world.open(`h${i}`, `t${i}`, 80, KINDS[i % 3]));
  return { world, asked };
}

/** Lets time pass until `condition` holds. */
function runUntil(world: HubWorld, limitMs: number, condition: () => boolean): void {
  for (let ms = 0; ms < limitMs && !condition(); ms += STEP_MS) world.run(STEP_MS);
}

const arrivedAt = (world: HubWorld, host: string) => world.arrived.find((one) => one.host === host);

/** Ends the stream to `host`, both ways. */
function close(world: HubWorld, asked: Asked | undefined, host: string): void {
  const arrived = arrivedAt(world, host);
  if (asked !== undefined && arrived !== undefined) world.close({ asked, arrived });
}

t.test(
  'hundreds of identities at once: by default 256 are served, the others as soon as some have ended',
  async (t) => {
    const { world, asked } = await busyWorld(290, {});
    const opened = () => asked.filter((one) => one.opened).length;
    runUntil(world, 20_000, () => opened() === 256);
    t.equal(opened(), 256);
    world.run(1000);
    t.equal(opened(), 256, 'the others wait');
    t.ok(world.sessionsAt('r0') <= 256 + EXTRA_SESSIONS);
    t.ok(world.repliesAsked('r0') <= FAST.replyRate + 0.1, 'the replies asked for stay within the class');
    t.ok(Math.max(...asked.map((one, i) => (one.opened ? i : 0))) < 256, 'first come, first served');
    for (let i = 0; i < 34; i++) close(world, asked[i], `h${i}`);
    runUntil(world, 40_000, () => opened() === 290);
    t.equal(opened(), 290, 'all are served');
    t.equal(asked.filter((one) => one.refused !== undefined || one.reset !== undefined).length, 0, 'none failed');
    const owners = new Map<string, Set<string>>();
    for (const { session, host } of world.arrived) owners.set(session, (owners.get(session) ?? new Set()).add(host));
    t.ok(
      [...owners.values()].every((hosts) => hosts.size === 1),
      'each has a session of its own',
    );
  },
);

t.test('identities that are used once, one after the other, need no bound', async (t) => {
  const world = new HubWorld({ ...FAST, maxIdentities: 8 });
  world.run(200);
  for (let i = 0; i < 60; i++) {
    const asked = await world.open(`h${i}`, `t${i}`, 80, KINDS[i % 3]);
    runUntil(world, 10_000, () => asked.opened);
    t.ok(asked.opened, `identity ${i}`);
    close(world, asked, `h${i}`);
    world.run(50);
  }
});

t.test('a stream beyond the bound is served in a moment when an identity is free', async (t) => {
  const { world, asked } = await busyWorld(4, { maxIdentities: 3 });
  runUntil(world, 2000, () => asked.filter((one) => one.opened).length === 3);
  world.run(5000);
  const [first, , , fourth] = asked;
  t.notOk(fourth?.opened);
  t.equal(fourth?.refused, undefined);
  const newcomer = await world.open('newcomer', 'another');
  const known = await world.open('known', 't1');
  runUntil(world, 1000, () => known.opened);
  t.ok(known.opened, 'an identity that has a session does not wait');
  close(world, first, 'h0');
  const session = world.hub.sessions().find(({ streamsOpen }) => streamsOpen === 0);
  t.equal(session, undefined, 'its end is on the way');
  runUntil(world, 1000, () => world.hub.sessions().some((one) => one.state === 'draining'));
  const sinceMs = world.clock.nowMs();
  runUntil(world, 2000, () => fourth?.opened === true);
  t.ok(world.clock.nowMs() - sinceMs < 300, `after ${world.clock.nowMs() - sinceMs} ms`);
  t.notOk(newcomer.opened, 'who came later waits longer');
  fourth?.stream.reset('RESET', world.clock.nowMs());
  runUntil(world, 2000, () => newcomer.opened);
  t.ok(newcomer.opened, 'a reset frees an identity, too');
});

t.test('a stream that waits for an identity is refused when the time for opening is over', async (t) => {
  const { world, asked } = await busyWorld(2, { mainRate: 50, replyRate: 100, maxIdentities: 1, openTimeoutMs: 8000 });
  world.run(7_900);
  t.ok(asked[0]?.opened);
  t.equal(asked[1]?.refused, undefined);
  world.run(200);
  t.equal(asked[1]?.refused, 'LIMIT');
});

t.test('a stream that gives up waiting is forgotten', async (t) => {
  const { world, asked } = await busyWorld(3, { maxIdentities: 1 });
  world.run(1000);
  asked[1]?.stream.reset('TIMEOUT', world.clock.nowMs());
  close(world, asked[0], 'h0');
  runUntil(world, 2000, () => asked[2]?.opened === true);
  t.ok(asked[2]?.opened);
  t.equal(asked[1]?.refused, undefined, 'and not answered');
  t.equal(arrivedAt(world, 'h1'), undefined, 'nor asked for');
});

t.test('the number of streams that wait is bounded', async (t) => {
  const { world, asked } = await busyWorld(1 + MAX_WAITING_STREAMS, { maxIdentities: 1 });
  t.equal(asked.filter((one) => one.refused !== undefined).length, 0);
  const further = await world.open('further', 'further');
  t.equal(further.refused, 'LIMIT');
  asked[5]?.stream.reset('TIMEOUT', world.clock.nowMs());
  const next = await world.open('next', 'next');
  t.equal(next.refused, undefined, 'who gave up has made room');
  await world.hub.stop();
  t.equal(next.refused, 'SESSION_CLOSED');
});

t.test('the identity idle for longest gives way; one with streams does not', async (t) => {
  const { world, asked } = await busyWorld(8, { maxIdentities: 8 });
  runUntil(world, 5000, () => asked.every((one) => one.opened));
  for (const i of [2, 3]) close(world, asked[i], `h${i}`);
  world.run(1000);
  await world.connect('h3 again', 't3');
  await world.connect('one more', 'another');
  world.run(15_000);
  t.equal(world.hub.sessions().length, 8, 'the session of t2 is gone');
  t.ok(
    asked.every(({ reset }) => reset === undefined),
    'and no stream was reset',
  );
});

t.test('sessions that are rotated leave room for new identities', async (t) => {
  const { world, asked } = await busyWorld(40, { mainRate: 10, replyRate: 20, maxIdentities: 44 });
  runUntil(world, 40_000, () => asked.every((one) => one.opened));
  world.run(DEFAULT_SESSION_PARAMS.rotationMs + 5000);
  const draining = () => world.hub.sessions().filter(({ state }) => state === 'draining').length;
  t.ok(draining() > 0, 'the old ones wait for their streams');
  t.ok(draining() < EXTRA_SESSIONS);
  for (let i = 0; i < 4; i++) t.ok((await world.connect(`new${i}`, `new${i}`)).asked.opened);
});

t.test('an exit whose sessions share few replies is not taken for one that does not answer', async (t) => {
  const lines: string[] = [];
  const note = (_: unknown, line: string) => lines.push(line);
  const log = { info: note, warn: note, error: note, debug() {}, trace() {}, fatal: note } as never;
  const { world, asked } = await busyWorld(40, { mainRate: 20, replyRate: 5, log });
  world.run(60_000);
  t.equal(asked.filter((one) => one.opened).length, 40);
  t.strictSame(lines, []);
  world.dead.add('r0');
  world.run(75_000);
  const late = await world.open('late', 't1');
  t.equal(late.refused, 'NO_REQUESTER');
});
