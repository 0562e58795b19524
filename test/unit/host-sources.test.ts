/** The sources of authorities, which have seats of their own at a listener: also of those that go by a name. */
import t from 'tap';
import { ConnectionTable, sourceOf } from '../../lib/net/connection-table.ts';
import { HOST_RESOLVE_PERIOD_MS, HostSources, MAX_ADDRESSES_OF_HOST } from '../../lib/net/host-sources.ts';
import { settled } from '../support/reach-world.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const AT = '203.0.113.7';
const LIMITS = { total: 40, pending: 40, perSource: 0, reserved: 8 };

/** Names that are resolved: to addresses; undefined where there are none; late where one answers in the end. */
class Names {
  readonly clock = new VirtualClock();
  readonly answers = new Map<string, readonly string[] | undefined | Promise<readonly string[]>>();
  busy = 0;
  asked = 0;

  readonly resolve = async (name: string): Promise<readonly string[]> => {
    this.busy += 1;
    this.asked += 1;
    try {
      const answer = await this.answers.get(name);
      if (answer === undefined) throw new Error('ENOTFOUND');
      return answer;
    } finally {
      this.busy -= 1;
    }
  };

  sources(...hosts: string[]): HostSources {
    return new HostSources(hosts, this.clock, this.resolve);
  }
}

/** Whether an authority at AT gets a seat of a listener that strangers have filled. */
function isSeated(isNeighbour: (source: string) => boolean): boolean {
  const table = new ConnectionTable<number>(LIMITS, isNeighbour);
  for (let n = 0; n < LIMITS.total; n++) {
    table.open(n, `198.51.100.${n}`, monotonic(0));
    table.settle(n);
  }
  return table.open(1000, AT, monotonic(10)).seated;
}

t.test('who fills a node does not keep the tries of an authority out, by whatever its URL names it', async (t) => {
  const names = new Names();
  names.answers.set('authority.example', ['192.0.2.1', AT]);
  const byName = names.sources('authority.example');
  t.notOk(
    isSeated((source) => byName.has(source)),
    'where names are not resolved: rejected',
  );
  byName.start();
  await settled();
  t.ok(isSeated((source) => byName.has(source)));
  const literal = names.sources(AT, '2001:db8::1');
  t.ok(isSeated((source) => literal.has(source)));
  t.ok(literal.has(sourceOf('2001:db8::99')), 'of IPv6 the /64');
});

t.test('names are resolved again; while name servers fail the last answer counts', async (t) => {
  const names = new Names();
  const sources = names.sources('authority.example');
  const after = async (answer: readonly string[] | undefined) => {
    names.answers.set('authority.example', answer);
    names.clock.advance(HOST_RESOLVE_PERIOD_MS);
    await settled();
    return ['192.0.2.1', AT].map((source) => sources.has(source));
  };
  sources.start();
  await settled();
  t.same(await after(['192.0.2.1']), [true, false]);
  t.same(await after(undefined), [true, false]);
  t.same(await after([]), [true, false]);
  t.same(await after(['example']), [true, false], 'no address');
  t.same(await after([AT]), [false, true]);
  const many = Array.from({ length: 100 }, (_, n) => `198.51.100.${n}`);
  await after(many);
  t.equal(many.filter((source) => sources.has(source)).length, MAX_ADDRESSES_OF_HOST);
  sources.stop();
  t.equal(names.clock.pending, 0);
});

t.test('name servers that do not answer hold up one look-up, and no file operations', async (t) => {
  const names = new Names();
  let answer: (addresses: readonly string[]) => void = () => {};
  const late = new Promise<readonly string[]>((resolve) => {
    answer = resolve;
  });
  for (const name of ['a.example', 'b.example']) names.answers.set(name, late);
  names.answers.set('c.example', [AT]);
  const sources = names.sources('a.example', 'a.example', 'b.example', 'c.example', '192.0.2.1');
  sources.start();
  for (let periods = 0; periods < 3; periods++) {
    names.clock.advance(HOST_RESOLVE_PERIOD_MS);
    await settled();
    t.same([names.busy, names.asked], [1, 1]);
    t.ok(sources.has('192.0.2.1'), 'addresses count all the time');
  }
  answer([]);
  await settled();
  t.same([names.busy, names.asked], [0, 3]);
  t.ok(sources.has(AT));
  sources.stop();
  t.equal(names.clock.pending, 0);
});
