import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { DEFAULT_SESSION_PARAMS } from '../../lib/core/session-params.ts';
import { shareRate } from '../../lib/session/proxy/rate-shares.ts';
import { type Arrived, HubWorld } from '../support/sim/hub-world.ts';

const REPLY_RATE = 40;

/** Session → token of the streams that arrived; throws when a session served two. */
function tokensOf(arrived: readonly Arrived[], tokenOf: (host: string) => string): Map<string, string> {
  const owners = new Map<string, string>();
  for (const { session, host } of arrived) {
    const token = tokenOf(host);
    assert.equal(owners.get(session) ?? token, token, 'a session serves one token');
    owners.set(session, token);
  }
  return owners;
}

t.test('a session stands ready, and the first token gets it', async (t) => {
  const world = new HubWorld();
  t.notOk(world.hub.ready, 'the requester has not answered');
  world.run(1000);
  t.ok(world.hub.ready);
  t.equal(world.sessionsAt('r0'), 1);
  await world.connect('a.example', 'alice');
  t.equal(world.sessionsAt('r0'), 1, 'no other was made');
  t.equal(world.missed, 0);
});

t.test('tokens share no session, streams of one token do', async (t) => {
  const world = new HubWorld();
  world.run(500);
  const a1 = await world.connect('a1', 'a');
  const b = await world.connect('b1', 'b');
  const a2 = await world.connect('a2', 'a');
  const none = await world.connect('none');
  t.equal(a1.arrived.session, a2.arrived.session);
  t.equal(new Set([a1, b, none].map(({ arrived }) => arrived.session)).size, 3);
  t.equal(world.sessionsAt('r0'), 3);
  t.equal(new Set(world.hub.sessions().map(({ id }) => Buffer.from(id).toString('hex'))).size, 3);
});

t.test('whatever the order of streams, no session ever serves two tokens', async (t) => {
  const step = fc.record({
    token: fc.integer({ min: 0, max: 5 }),
    waitMs: fc.constantFrom(0, 50, 1000, 60_000, 200_000),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), fc.boolean(), async (steps, wide) => {
      const world = new HubWorld({ mainRate: 5, replyRate: 10, requesters: wide ? 3 : 1, spread: wide ? 2 : 1 });
      world.run(1000);
      const open = [];
      for (const [i, { token, waitMs }] of steps.entries()) {
        open.push({ token, ...(await world.connect(`${token}.${i}`, `t${token}`)) });
        const oldest = open.length > 3 ? open.shift() : undefined;
        if (oldest !== undefined) world.close(oldest);
        world.run(waitMs);
      }
      tokensOf(world.arrived, (host) => host.split('.')[0] ?? '');
      await world.hub.stop();
    }),
    { numRuns: 4, seed: 3 },
  );
  t.pass();
});

t.test('the replies asked for add up to the rate, with one session or many', async (t) => {
  const world = new HubWorld({ replyRate: REPLY_RATE });
  world.run(1000);
  const streams = [];
  for (let n = 1; n <= 12; n++) {
    streams.push(await world.connect(`host${n}`, `token${n}`));
    world.run(1500);
    t.ok(Math.abs(world.repliesAsked('r0') - REPLY_RATE) < 0.02, `${n} busy: ${world.repliesAsked('r0')}`);
  }
  for (const stream of streams.slice(1)) world.close(stream);
  world.run(15_000);
  t.ok(Math.abs(world.repliesAsked('r0') - REPLY_RATE) < 0.02, 'one busy, eleven idle');
  const rates = [...(world.tables.get('r0')?.sessions() ?? [])].map((session) => session.replyRatePerSecond);
  t.ok(Math.max(...rates) > 0.79 * REPLY_RATE, `the busy one has nearly all of it: ${Math.max(...rates)}`);
  const before = world.replies;
  world.run(20_000);
  const measured = (world.replies - before) / 20;
  t.ok(Math.abs(measured - REPLY_RATE) < 0.05 * REPLY_RATE, `and so many come: ${measured}/s`);
});

t.test('shares add up to the whole, and none is nothing', async (t) => {
  t.same(shareRate(100, [true]), [100]);
  t.same(shareRate(100, [false, false]), [50, 50]);
  t.same(shareRate(100, [true, false, false]), [98, 1, 1]);
  fc.assert(
    fc.property(
      fc.double({ min: 1, max: 5000, noNaN: true }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 320 }),
      (total, busy) => {
        const shares = shareRate(total, busy);
        assert.ok(Math.abs(shares.reduce((sum, one) => sum + one, 0) - total) < 1e-6 * total);
        assert.ok(shares.every((one) => one > 0));
        const of = (kind: boolean) => shares.filter((_, i) => busy[i] === kind);
        assert.ok(
          Math.min(...of(true)) >= Math.max(...of(false)) - 1e-9 || of(true).length === 0 || of(false).length === 0,
        );
        const asked = shares.reduce((sum, one) => sum + Math.round(one * 1000), 0);
        assert.ok(asked <= total * 1000 + busy.length * 1e-6 + 0.5, 'what RATE asks for is not more');
      },
    ),
    { seed: 4 },
  );
});

t.test('of hundreds of sessions few change their rate when one comes, goes, or falls idle', async (t) => {
  /** How many sessions have another rate on average when a session is added, and when one falls idle. */
  const changes = (before: readonly boolean[], after: readonly boolean[]) => {
    const [was, is] = [shareRate(100, before), shareRate(100, after)];
    return before.filter((_, i) => was[i] !== is[i]).length;
  };
  let added = 0;
  let idle = 0;
  for (let count = 1; count < 256; count++) {
    added += changes(new Array(count).fill(true), new Array(count + 1).fill(true));
    const busyUpTo = (busy: number) => Array.from({ length: 256 }, (_, i) => i < busy);
    idle += changes(busyUpTo(count), busyUpTo(count + 1));
  }
  t.ok(added / 255 < 12, `added: ${added / 255} of 128 on average`);
  t.ok(idle / 255 < 24, `idle: ${idle / 255} of 256 on average`);
});

t.test('packets go to the requesters evenly, whatever is sent', async (t) => {
  const world = new HubWorld({ requesters: 4, spread: 2, mainRate: 50, replyRate: 100 });
  world.run(1000);
  const used = new Set(world.departures);
  used.delete('drop');
  t.equal(used.size, 2, 'two of four are used');
  /** Share of the first of the two among the packets that left while `ms` passed. */
  const share = (ms: number) => {
    const from = world.departures.length;
    world.run(ms);
    const left = world.departures.slice(from);
    t.notOk(left.includes('drop'));
    return left.filter((name) => name === [...used][0]).length / left.length;
  };
  // 2000 packets: six standard deviations are 0.067.
  const idle = share(40_000);
  t.ok(Math.abs(idle - 0.5) < 0.067, `idle: ${idle}`);
  const { asked, arrived } = await world.connect('upload', 'a');
  for (let i = 0; i < 40; i++) asked.stream.write(new Uint8Array(100_000), world.clock.nowMs());
  const busy = share(40_000);
  t.ok(Math.abs(busy - 0.5) < 0.067, `uploading: ${busy}`);
  t.ok(arrived.bytes > 1_000_000, `which went on: ${arrived.bytes}`);
  for (const name of used) t.ok(Math.abs(world.repliesAsked(name) - 50) < 0.02, `${name}: half of the replies`);
  t.equal(world.missed, 0);
});

t.test('tokens are drawn to requesters, and stay', async (t) => {
  const world = new HubWorld({ requesters: 2, spread: 2 });
  world.run(1000);
  const exits = new Map<string, string>();
  for (let i = 0; i < 30; i++) {
    const token = `t${i % 15}`;
    const stream = await world.connect(`${token}.${i}`, token);
    t.equal(exits.get(token) ?? stream.arrived.requester, stream.arrived.requester, 'the same as before');
    exits.set(token, stream.arrived.requester);
    world.close(stream);
  }
  t.equal(new Set(exits.values()).size, 2, 'both are used');
  world.run(1500); // the last change of rates arrives
  for (const { name } of world.nodes) t.ok(Math.abs(world.repliesAsked(name) - REPLY_RATE / 2) < 0.02);
});

t.test('after ten minutes new streams go to a new session; the old one lives until its streams end', async (t) => {
  const world = new HubWorld({ mainRate: 5, replyRate: 10 });
  world.run(1000);
  const first = await world.connect('first', 'a');
  world.run(DEFAULT_SESSION_PARAMS.rotationMs - 60_000);
  const second = await world.connect('second', 'a');
  t.equal(second.arrived.session, first.arrived.session, 'not yet');
  world.close(second);
  world.run(65_000);
  const third = await world.connect('third', 'a');
  t.not(third.arrived.session, first.arrived.session);
  t.equal(world.sessionsAt('r0'), 2);
  first.asked.stream.write(new Uint8Array(1000), world.clock.nowMs());
  world.run(2000);
  t.equal(first.arrived.bytes, 1000, 'the old stream goes on');
  world.close(first);
  world.run(15_000);
  t.equal(world.sessionsAt('r0'), 1, 'and then its session ends');
  t.ok(Math.abs(world.repliesAsked('r0') - 10) < 0.02);
});

t.test('a session nobody used is turned over too', async (t) => {
  const world = new HubWorld({ mainRate: 5, replyRate: 10 });
  world.run(1000);
  const [before] = world.hub.sessions();
  world.run(DEFAULT_SESSION_PARAMS.rotationMs + 15_000);
  t.equal(world.hub.sessions().length, 1);
  t.not(world.hub.sessions()[0], before);
  t.ok(world.hub.ready);
});

t.test('a requester that was restarted gets a new session, and streams work', async (t) => {
  const world = new HubWorld();
  world.run(1000);
  const before = await world.connect('before', 'a');
  await world.connect('other', 'b');
  world.restart('r0');
  world.run(20_000);
  t.equal(before.asked.reset, 'SESSION_CLOSED', 'what was open is reset');
  const after = await world.connect('after', 'a');
  t.not(after.arrived.session, before.arrived.session);
  const other = await world.connect('other again', 'b');
  t.not(other.arrived.session, after.arrived.session, 'and isolation holds');
  t.ok(Math.abs(world.repliesAsked('r0') - REPLY_RATE) < 0.02);
});

t.test('an idle token is forgotten and its session closed, while another is left', async (t) => {
  const world = new HubWorld();
  world.run(1000);
  const [a, b] = [await world.connect('a', 'a'), await world.connect('b', 'b')];
  world.close(a);
  world.run(DEFAULT_SESSION_PARAMS.identityIdleMs + 15_000);
  t.equal(world.sessionsAt('r0'), 1, 'the one with a stream stays');
  world.close(b);
  world.run(DEFAULT_SESSION_PARAMS.identityIdleMs + 15_000);
  t.equal(world.sessionsAt('r0'), 1, 'the last one stays: it carries the clocks');
  const again = await world.connect('a again', 'a');
  t.not(again.arrived.session, a.arrived.session);
  t.not(again.arrived.session, b.arrived.session, 'and never serves another');
});

t.test('a requester that is no longer listed is left for another', async (t) => {
  const world = new HubWorld({ requesters: 2 });
  world.run(1000);
  const before = await world.connect('before', 'a');
  world.listed = world.nodes.filter(({ name }) => name !== before.arrived.requester);
  world.run(3000);
  const after = await world.connect('after', 'a');
  t.not(after.arrived.requester, before.arrived.requester);
  before.asked.stream.write(new Uint8Array(500), world.clock.nowMs());
  world.run(3000);
  t.equal(before.arrived.bytes, 500, 'what was open goes on as long as it can');
});

t.test('failures are told at once', async (t) => {
  const world = new HubWorld();
  world.run(1000);
  world.listed = [];
  await t.rejects(world.open('x'), { code: 'NO_REQUESTER' });
  world.listed = world.nodes;
  world.linkDownMs = 60_000;
  await t.rejects(world.open('x'), { code: 'NO_GATEWAY' });
});

t.test('a port goes to a requester that lets it through', async (t) => {
  const policies = ['accept 80,443', 'reject 25', 'accept 80,443,6667'];
  const world = new HubWorld({ requesters: 3, spread: 3, policies });
  world.run(1000);
  const at = async (host: string, port: number, token?: string) =>
    (await world.connect(host, token, port)).arrived.requester;
  for (let i = 0; i < 10; i++) {
    t.not(await at(`irc${i}`, 6667, `t${i}`), 'r0');
    t.equal(await at(`ssh${i}`, 22, `t${i}`), 'r1');
  }
  t.ok(new Set(world.arrived.map(({ requester }) => requester)).size > 1);
  tokensOf(world.arrived, (host) => `t${host.slice(3)}`);
});

t.test('what goes to no port in particular goes where a port is let through, if one is named', async (t) => {
  const world = new HubWorld({ requesters: 3, spread: 1, policies: ['accept 80,443', 'accept 53', 'accept 80,443'] });
  world.run(1000);
  const quiet = { onOpened() {}, onRefused() {}, onReset() {}, onData() {}, onFin() {}, onDrain() {} };
  const anywhere = { kind: 'udp', host: '0.0.0.0', port: 0 } as const;
  const usual = world.hub.open(anywhere, quiet);
  t.notOk(world.hub.suits(usual, 53), 'another one would do better');
  t.ok(world.hub.suits(usual, 80));
  t.ok(world.hub.suits(usual, 25), 'nobody does: no reason to go elsewhere');
  const dns = world.hub.open(anywhere, quiet, '', 53);
  t.ok(world.hub.suits(dns, 53));
  world.run(1000);
  t.same(
    world.arrived.map(({ requester }) => requester === 'r1').sort(),
    [false, true],
    'in whatever order they arrive',
  );
});

t.test('a token keeps its requester for what that lets through, and has one other for the rest', async (t) => {
  const world = new HubWorld({ requesters: 2, spread: 2, policies: ['accept 80', 'reject 1'] });
  world.run(1000);
  const sessions = new Map<string, Set<string>>();
  for (let i = 0; i < 12; i++) {
    const port = i % 2 === 0 ? 80 : 1000 + i;
    const { arrived, asked } = await world.connect(`host${i}`, 'one', port);
    const key = `${arrived.requester} ${port === 80 ? 'web' : 'other'}`;
    sessions.set(key, (sessions.get(key) ?? new Set()).add(arrived.session));
    world.close({ arrived, asked });
  }
  for (const [key, ids] of sessions) t.equal(ids.size, 1, key);
  t.equal([...sessions.keys()].filter((key) => key.endsWith('other')).join(), 'r1 other');
});

t.test(
  'the usual ports decide whom the proxy uses; a requester for other ports is added when it is needed',
  async (t) => {
    const policies = ['accept 22', 'accept 80,443', 'accept 22'];
    const world = new HubWorld({ requesters: 3, policies });
    world.run(1000);
    t.equal((await world.connect('web.example')).arrived.requester, 'r1');
    const shell = await world.connect('shell.example', undefined, 22);
    t.match(shell.arrived.requester, /r0|r2/);
    t.equal(
      (await world.connect('other.example', 'b', 22)).arrived.requester,
      shell.arrived.requester,
      'one is enough',
    );
    world.run(60_000);
    world.departures.length = 0;
    world.run(60_000);
    const share = world.departures.filter((name) => name === shell.arrived.requester).length / world.departures.length;
    t.ok(share > 0.4 && share < 0.6, `it keeps an even share: ${share}`);
    t.ok(world.hub.ready);
  },
);

t.test("what nobody lets through is asked for all the same: the refusal is the requester's to say", async (t) => {
  const world = new HubWorld({ requesters: 2, policies: ['accept 80', 'accept 80'] });
  world.run(1000);
  t.ok((await world.connect('mail.example', 'a', 25)).asked.opened);
  t.equal(world.hub.sessions().length, 1, 'no exit was added');
});

t.test('the main clock follows the consensus', async (t) => {
  const world = new HubWorld({ mainRate: 20 });
  t.equal(world.mainRate, 20);
  world.mainRate = 50;
  world.turn();
  t.equal(world.mainRate, 50);
});
