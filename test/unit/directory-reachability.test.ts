/** Which nodes an authority has reached where they say they are. */
import t from 'tap';
import { attemptAll, problemText, refusalBy } from '../../directory/attempt.ts';
import {
  MAX_FAILURES,
  Reachability,
  TRIES_OF_MEMBER,
  TRIES_TO_SOURCE_BURST,
  TRIES_TO_SOURCE_PER_SECOND,
} from '../../directory/reachability.ts';
import { SourceRates } from '../../directory/source-rates.ts';
import { EPOCH_MS, ReachWorld, settled } from '../support/reach-world.ts';
import { consensusOf, keys, testNetwork } from '../support/signed-documents.ts';

const HOST = '203.0.113.7';

t.test('a node counts once it was reached, and at a new address only when it was reached there', async (t) => {
  const world = new ReachWorld();
  t.notOk(world.counts(1));
  t.equal(await world.announce(1, HOST), 'reached');
  t.ok(world.counts(1));
  t.equal(await world.announce(1, HOST), 'reached');
  t.same(world.dialled, [`${HOST}:4000`], 'the same again needs no other try');
  world.answers.set(`${HOST}:4001`, 'connection refused');
  t.equal(await world.announce(1, HOST, 4001), 'unreachable: connection refused');
  t.notOk(world.counts(1));
  world.answers.clear();
  t.equal(await world.announce(1, HOST, 4001), 'reached');
  t.ok(world.counts(1));
});

t.test('a node is tried once or twice an epoch, and counts until it has failed three times in a row', async (t) => {
  const world = new ReachWorld();
  await Promise.all([HOST, '203.0.113.8', '203.0.113.9'].map((host, i) => world.announce(i + 1, host)));
  const tries = () => world.dialled.filter((at) => at === `${HOST}:4000`).length;
  await world.pass(10 * EPOCH_MS);
  t.ok(tries() > 10 && tries() <= 21, `${tries()} tries in ten epochs`);
  world.answers.set(`${HOST}:4000`, 'connection refused');
  const before = tries();
  while (world.counts(1)) await world.pass(30_000);
  t.equal(tries() - before, MAX_FAILURES);
  t.match(world.reachability.problemOf([...world.held.values()][0]?.descriptor as never), 'connection refused');
  world.answers.clear();
  while (!world.counts(1)) await world.pass(30_000);
  world.answers.set(`${HOST}:4000`, 'connection refused');
  const again = tries();
  while (world.counts(1)) await world.pass(30_000);
  t.equal(tries() - again, MAX_FAILURES, 'counted from the start');
});

t.test(
  'after a restart the nodes of the last consensus count, and are tried within a quarter of an epoch',
  async (t) => {
    const nodes = consensusOf(testNetwork(), 1).nodes.map((node) =>
      node.role === 'requester' ? node : { ...node, host: HOST },
    );
    const world = new ReachWorld();
    world.reachability.trust(consensusOf(testNetwork(), 1, { nodes }));
    const announced = world.announce(3, HOST); // the gateway
    t.ok(world.counts(3));
    t.equal(await announced, 'reached');
    t.equal(world.dialled.length, 0);
    await world.pass(EPOCH_MS / 4);
    t.same(world.dialled, [`${HOST}:4000`], 'and those that are not held are forgotten');
    const moved = new ReachWorld();
    moved.reachability.trust(consensusOf(testNetwork(), 1, { nodes }));
    moved.answers.set(`${HOST}:4001`, 'connection refused');
    t.match(await moved.announce(3, HOST, 4001), /^unreachable/, 'it was not there before');
  },
);

t.test(
  'where others have used up what may go to an address, who announces there keeps the tries that it has',
  async (t) => {
    const spent = async (Kind?: typeof Reachability) => {
      const world = new ReachWorld(Kind);
      world.answers.set('203.0.113.8:4000', 'connection refused');
      world.answers.set(`${HOST}:4000`, 'connection refused');
      for (let i = 0; i < TRIES_TO_SOURCE_BURST; i++) await world.announce(10 + Math.floor(i / TRIES_OF_MEMBER), HOST);
      for (let i = 0; i < TRIES_OF_MEMBER; i++) t.match(await world.announce(1, HOST), 'untried');
      for (let i = 0; i < 2 * TRIES_OF_MEMBER; i++) await world.announce(1, '203.0.113.8');
      return world.dialled.filter((at) => at === '203.0.113.8:4000').length;
    };
    t.equal(await spent(), TRIES_OF_MEMBER);
    class InOrder extends Reachability {
      readonly #source = new SourceRates(TRIES_TO_SOURCE_PER_SECOND, TRIES_TO_SOURCE_BURST);
      protected override mayTry({ bucket, target }: Parameters<Reachability['mayTry']>[0]): boolean {
        const nowMs = this.options.clock.nowMs();
        return bucket.take(nowMs) && this.#source.take(target.host, nowMs);
      }
    }
    t.equal(await spent(InOrder), 0, 'a member that pays first loses them all: rejected');
  },
);

t.test('what was kept and is in no consensus is tried at once after a restart', async (t) => {
  const world = new ReachWorld();
  await world.announce(1, HOST);
  const restarted = new ReachWorld();
  for (const [id, held] of world.held) restarted.held.set(id, held);
  await restarted.pass(1);
  t.ok(restarted.counts(1));
});

t.test('where most nodes fail at once it is the connection of the authority: they stay listed', async (t) => {
  const world = new ReachWorld();
  const hosts = [1, 2, 3, 4, 5].map((n) => `198.51.100.${n}`);
  await Promise.all(hosts.map((host, i) => world.announce(i + 1, host)));
  for (const host of hosts.slice(0, 3)) world.answers.set(`${host}:4000`, 'the authority has no route');
  await world.pass(2 * EPOCH_MS);
  t.same(
    [1, 2, 3, 4, 5].map((n) => world.counts(n)),
    [true, true, true, true, true],
  );
  world.answers.delete(`${hosts[0]}:4000`);
  await world.pass(2 * EPOCH_MS);
  t.same(
    [1, 2, 3, 4, 5].map((n) => world.counts(n)),
    [true, false, false, true, true],
    'two of five are their own fault',
  );
});

t.test('while an authority is cut off for minutes, those that it tries meanwhile stay listed, too', async (t) => {
  const world = new ReachWorld();
  const hosts = Array.from({ length: 12 }, (_, n) => `198.51.100.${n + 1}`);
  await Promise.all(hosts.map((host, n) => world.announce(n + 1, host)));
  const listed = () => hosts.filter((_, n) => world.counts(n + 1)).length;
  for (let outage = 0; outage < 10; outage++) {
    for (const host of hosts) world.answers.set(`${host}:4000`, 'the authority has no route');
    await world.pass(480_000);
    t.equal(listed(), 12);
    world.answers.clear();
    for (let n = 0; n < 40; n++) {
      await world.pass(30_000);
      t.equal(listed(), 12);
    }
  }
});

t.test('who announces again and again learns the reason, and causes few tries', async (t) => {
  const world = new ReachWorld();
  world.answers.set(`${HOST}:4000`, 'connection refused');
  for (let n = 0; n < 100; n++) t.equal(await world.announce(1, HOST), 'unreachable: connection refused');
  t.equal(world.dialled.length, TRIES_OF_MEMBER);
  await world.pass(60_000);
  world.answers.clear();
  t.equal(await world.announce(1, HOST), 'reached', 'a minute later there is one more');
});

t.test('the answer to an announcement waits for a bounded time, and the try goes on', async (t) => {
  const world = new ReachWorld();
  world.answers.set(`${HOST}:4000`, 'silence');
  const answers = Array.from({ length: 20 }, (_, n) => world.announce(n, HOST));
  await settled();
  world.clock.advance(5_000); // those that were tried first
  await settled();
  world.clock.advance(2_500);
  const outcomes = await Promise.all(answers);
  t.equal(outcomes.filter((outcome) => outcome.startsWith('untried')).length, 12, 'eight at one source at a time');
  world.reachability.stop();
});

t.test('requesters are reached through their gateways, and are not tried', async (t) => {
  const { reachability } = new ReachWorld();
  const [requester] = consensusOf(testNetwork(), 1).nodes.filter(({ role }) => role === 'requester');
  t.ok(reachability.counts({ ...requester, identity: keys(4).id } as never));
});

t.test(
  'an authority dials addresses of the internet, private ones where it is at one, and loopback from loopback',
  (t) => {
    const dials = (own: string, allowPrivate?: boolean) =>
      ['203.0.113.7', '8.8.8.8', '10.0.0.1', '127.0.0.1', '::1', '169.254.169.254', '224.0.0.1', 'localhost'].filter(
        (host) => refusalBy(own, allowPrivate)(host) === undefined,
      );
    t.same(dials('8.8.4.4'), ['8.8.8.8']);
    t.same(dials('authority.example'), ['8.8.8.8'], 'a name says nothing');
    t.same(dials('10.0.0.9'), ['203.0.113.7', '8.8.8.8', '10.0.0.1']);
    t.same(dials('authority.example', true), ['203.0.113.7', '8.8.8.8', '10.0.0.1']);
    t.same(dials('10.0.0.9', false), ['8.8.8.8']);
    t.same(dials('127.0.0.1'), ['203.0.113.7', '8.8.8.8', '10.0.0.1', '127.0.0.1', '::1']);
    for (const spelled of [
      '0:0:0:0:0:0:0:1',
      '::0001',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '0:0:0:0:0:ffff:7f00:0001',
    ]) {
      t.match(refusalBy('10.0.0.9', undefined)(spelled), /an address of its own machine alone/, spelled);
    }
    t.match(refusalBy('8.8.4.4', undefined)('127.0.0.1'), /^127\.0\.0\.1 is an address of its own machine alone/);
    t.end();
  },
);

t.test('each way to fail is one line that names the address', (t) => {
  const target = { id: keys(1).id, host: '2001:db8::7', port: 9001 };
  const line = (reason: string) => problemText(reason, target);
  t.equal(line('ECONNREFUSED'), 'connection refused at [2001:db8::7]:9001');
  t.equal(line('handshake-timeout'), 'no answer at [2001:db8::7]:9001 within 5 s');
  t.equal(line('foreign-key'), 'another identity answers at [2001:db8::7]:9001');
  for (const reason of ['ENETUNREACH', 'refused', 'wrong-version', 'no-common-group', 'full', 'EPROTO']) {
    t.match(line(reason), /\[2001:db8::7\]:9001/);
  }
  t.end();
});

t.test('a node with two addresses has to answer at both, but where the authority has no route', async (t) => {
  const [ipv4, ipv6] = [
    { host: '192.0.2.7', port: 4001 },
    { host: '2001:db8::7', port: 4002 },
  ];
  const target = { id: keys(1).id, ...ipv4, ipv6 };
  /** What is tried, and what comes of it, where `failing` refuse and only `routed` have a route. */
  const attempt = async (failing: string[], routed: string[]) => {
    const tried: string[] = [];
    const all = attemptAll(
      async ({ id, host }) => {
        t.equal(id, target.id);
        tried.push(host);
        return failing.includes(host) ? 'ECONNREFUSED' : undefined;
      },
      async (host) => routed.includes(host),
    );
    return [await all(target), tried];
  };
  const both = [ipv4.host, ipv6.host];
  t.same(await attempt([], both), [undefined, both]);
  t.same(await attempt([ipv4.host], both), ['connection refused at 192.0.2.7:4001', both]);
  t.same(await attempt([ipv6.host], both), ['connection refused at [2001:db8::7]:4002', both]);
  t.match((await attempt(both, both))[0], /192\.0\.2\.7:4001; connection refused at \[2001:db8::7\]:4002/);
  t.same(await attempt([ipv6.host], [ipv4.host]), [undefined, [ipv4.host]], 'left to authorities that have IPv6');
  t.same(await attempt([ipv4.host], [ipv6.host]), [undefined, [ipv6.host]]);
  t.match(await attempt(both, []), [/connection refused/, both], 'without any route it does not count');
});

t.test('a node that adds or moves its IPv6 address is tried again', async (t) => {
  const world = new ReachWorld();
  const ipv6 = { host: '2001:db8::7', port: 4000 };
  t.equal(await world.announce(1, HOST), 'reached');
  world.answers.set('[2001:db8::7]:4000', 'connection refused');
  t.equal(await world.announce(1, HOST, 4000, ipv6), 'unreachable: connection refused');
  t.notOk(world.counts(1));
  t.equal(await world.announce(1, HOST), 'reached', 'it may do without');
  world.answers.clear();
  t.equal(await world.announce(1, HOST, 4000, ipv6), 'reached');
  t.ok(world.counts(1));
  const dials = world.dialled.length;
  t.equal(await world.announce(1, HOST, 4000, { ...ipv6 }), 'reached');
  t.equal(world.dialled.length, dials);
});
