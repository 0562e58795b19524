/**
 * Members choose which address an authority dials. They try to make it knock at a victim, look into its own network for them, or
 * wait for them in place of others; and one tries to be listed though only one authority reaches it.
 */
import t from 'tap';
import { refusalBy } from '../../directory/attempt.ts';
import {
  MAX_TRIES_TO_SOURCE,
  Reachability,
  TRIES_OF_MEMBER,
  TRIES_TO_SOURCE_BURST,
} from '../../directory/reachability.ts';
import { viewOf } from '../../directory/voting/ballot-view.ts';
import { mergeBallots, quorumOf } from '../../directory/voting/merge.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import { Verifier } from '../../lib/directory/index.ts';
import { ReachWorld, SILENCE_MS, settled } from '../support/reach-world.ts';
import {
  crypto,
  descriptorOf,
  draft,
  epochOf,
  keys,
  signedDescriptor,
  testNetwork,
} from '../support/signed-documents.ts';
import { epochNumber } from '../support/units.ts';

const VICTIM = '203.0.113.7';

/** Without the bounds of members and sources. */
class Unbounded extends Reachability {
  protected override mayTry = () => true;
}

t.test('a member that names port after port of a victim gets few tries, one connection each', async (t) => {
  const scan = async (Kind: typeof Reachability) => {
    const world = new ReachWorld(Kind);
    for (let port = 1; port <= 500; port++) await world.announce(1, VICTIM, port);
    return world.dialled.length;
  };
  t.equal(await scan(Reachability), TRIES_OF_MEMBER);
  t.equal(await scan(Unbounded), 500, 'a mutant without the bound scans: rejected');
});

t.test('many members that name one victim cause no flood', async (t) => {
  const flood = async (Kind: typeof Reachability) => {
    const world = new ReachWorld(Kind);
    const ports = Array.from({ length: 300 }, (_, n) => 1 + n);
    for (const port of ports) world.answers.set(`${VICTIM}:${port}`, 'silence');
    void ports.map((port) => world.announce(port, VICTIM, port));
    await settled();
    const atOnce = world.busiest;
    for (let n = 0; n < 50; n++) {
      world.clock.advance(SILENCE_MS);
      await settled();
    }
    world.reachability.stop();
    return { atOnce, dialled: world.dialled.length };
  };
  t.same(await flood(Reachability), { atOnce: MAX_TRIES_TO_SOURCE, dialled: TRIES_TO_SOURCE_BURST });
  t.equal((await flood(Unbounded)).dialled, 300, 'a mutant without the bound dials all: rejected');
});

t.test('a victim as the second address of a member is knocked at no more than as the first', async (t) => {
  const VICTIM6 = '2a00:7::7';
  const isVictim = (at: string) => at.startsWith('[2a00:7:');
  const scan = async (Kind: typeof Reachability) => {
    const world = new ReachWorld(Kind);
    for (let port = 1; port <= 500; port++) await world.announce(1, '198.18.0.1', 4000, { host: VICTIM6, port });
    return world.dialled.filter(isVictim).length;
  };
  t.equal(await scan(Reachability), TRIES_OF_MEMBER);
  t.equal(await scan(Unbounded), 500, 'a mutant without the bound scans: rejected');
  const world = new ReachWorld();
  const members = Array.from({ length: 300 }, (_, n) => 1 + n);
  for (const n of members) world.answers.set(`[${VICTIM6}]:${n}`, 'silence');
  void members.map((n) => world.announce(n, `198.18.1.${n & 255}`, n, { host: VICTIM6, port: n }));
  await settled();
  t.equal(world.busiest, MAX_TRIES_TO_SOURCE, 'each from a source of its own, all to one');
  for (let n = 0; n < 50; n++) {
    world.clock.advance(SILENCE_MS);
    await settled();
  }
  t.equal(world.dialled.filter(isVictim).length, TRIES_TO_SOURCE_BURST);
  world.reachability.stop();
});

t.test('addresses where nobody answers do not keep an honest node waiting', async (t) => {
  const world = new ReachWorld();
  const evil = Array.from({ length: 300 }, (_, n) => `198.18.${n >> 8}.${n & 255}`);
  for (const host of evil) world.answers.set(`${host}:4000`, 'silence');
  void evil.map((host, n) => world.announce(100 + n, host));
  for (let n = 0; n < 10; n++) {
    await settled();
    world.clock.advance(SILENCE_MS);
  }
  await settled();
  void evil.map((host, n) => world.announce(100 + n, host)); // again: all have failed before
  const honest = world.announce(1, VICTIM);
  await settled();
  world.clock.advance(SILENCE_MS);
  t.equal(await honest, 'reached', 'after those that are being tried, before all that wait');
  world.reachability.stop();
});

t.test("nobody looks into the authority's own machine and network by its tries", async (t) => {
  const inside = ['127.0.0.1', '::1', '10.0.0.1', '192.168.1.1', 'fd00::1', '169.254.169.254', '64:ff9b::a00:1'];
  const look = async (refusalOf: (host: string) => string | undefined) => {
    const world = new ReachWorld(Reachability, { refusalOf });
    const outcomes = await Promise.all(inside.map((host, n) => world.announce(n, host)));
    return { dialled: world.dialled.length, refused: outcomes.filter((one) => one.startsWith('unreachable: ')).length };
  };
  t.same(await look(refusalBy('authority.example', undefined)), { dialled: 0, refused: inside.length });
  t.equal((await look(() => undefined)).dialled, inside.length, 'a mutant without the rule dials: rejected');
  const behind = new ReachWorld(Reachability, { refusalOf: refusalBy('authority.example', undefined) });
  for (const host of ['::1', 'fd00::1', 'fe80::1', '64:ff9b::a00:1']) {
    t.match(await behind.announce(1, '8.8.8.8', 4000, { host, port: 4000 }), `unreachable: ${host} is `);
  }
  await behind.pass(3_600_000);
  t.same(behind.dialled, [], 'behind a public address as well');
});

t.test('a name that means another address tomorrow cannot be announced', (t) => {
  const network = testNetwork();
  const nowMs = Date.now();
  const epoch = epochOf(network, nowMs);
  const named = descriptorOf(network, 1, draft('gateway', [epoch, epoch + 1], { host: 'rebind.example' }), nowMs);
  t.throws(() => new Verifier(network, crypto).descriptor(signedDescriptor(1, named)), /expected an IPv4 or IPv6/);
  t.end();
});

t.test('a node that answers one of three authorities is not listed', async (t) => {
  const network = testNetwork(3, 2);
  const nowMs = Date.now();
  const epoch = epochOf(network, nowMs);
  const verifier = new Verifier(network, crypto);
  const params = { ...DEFAULT_PARAMS, epochMs: 60_000 };
  const held = [1, 2].map((n) => {
    const made = descriptorOf(network, n, draft('gateway', [epoch, epoch + 1], { host: `203.0.113.${n}` }), nowMs);
    return verifier.descriptor(signedDescriptor(n, made));
  });
  /** The nodes on which three authorities agree, if each votes for what `isIn` says. */
  const agreed = async (isIn: (world: ReachWorld, n: number) => boolean) => {
    const worlds = [new ReachWorld(), new ReachWorld(), new ReachWorld()];
    const ballots = [];
    for (const [index, world] of worlds.entries()) {
      if (index > 0) world.answers.set('203.0.113.2:4000', 'connection refused');
      for (const { descriptor } of held) {
        if ('host' in descriptor) await world.reachability.confirm(descriptor, 0).catch(() => {});
      }
      const listed = held.filter((_, n) => isIn(world, n));
      const { ballot } = viewOf(epochNumber(epoch), listed, undefined, { verifier, params, crypto });
      ballots.push({ ...ballot, version: 2 as const });
    }
    return mergeBallots(ballots, quorumOf(network))?.nodes.map(([identity]) => identity);
  };
  const reached = ({ reachability }: ReachWorld, n: number) =>
    reachability.counts((held[n] ?? held[0])?.descriptor as never);
  t.same(await agreed(reached), [keys(1).id]);
  t.equal((await agreed(() => true))?.length, 2, 'authorities that believe what it says list it: rejected');
});
