/** Which gateways a proxy keeps to, over months, and whatever the clocks say. */
import t from 'tap';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import type { NodeEntry } from '../../lib/directory/index.ts';
import {
  CONFIRM_MS,
  DRAW_WINDOW_MS,
  GuardSample,
  MAX_DRAWS,
  MAX_TERM_MS,
  MIN_TERM_MS,
  SAMPLE_SIZE,
  UNLISTED_MS,
} from '../../lib/endpoint/gateways/guard-sample.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { unix } from '../support/units.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const START_MS = Date.UTC(2026, 0, 1);

const gateway = (index: number) => ({ id: `g${index}` as IdentityHex, role: 'gateway' }) as NodeEntry;
const gatewaysOf = (count: number) => Array.from({ length: count }, (_, i) => gateway(i));

/** A sample that follows a consensus an hour. */
class Followed {
  nowMs = START_MS;
  readonly sample: GuardSample;
  constructor(
    public gateways: readonly NodeEntry[],
    seed = 1,
  ) {
    this.sample = new GuardSample(seededRng(seed));
    this.see();
  }

  get ids(): string[] {
    return this.sample.state.guards.map(({ id }) => id);
  }

  see(nowMs = this.nowMs, gateways = this.gateways): this {
    this.sample.follow({ gateways, soundGateways: gateways, validAfterMs: unix(nowMs) });
    return this;
  }

  pass(spanMs: number): this {
    for (const endMs = this.nowMs + spanMs; this.nowMs < endMs; ) {
      this.nowMs += HOUR_MS;
      this.see();
    }
    return this;
  }

  without(...ids: string[]): this {
    this.gateways = this.gateways.filter(({ id }) => !ids.includes(id));
    return this;
  }
}

t.test(
  'a gateway that is private in an open network is drawn by nobody; one that becomes so stays its time',
  async (t) => {
    const isPrivate = (node: NodeEntry): NodeEntry => ({ ...node, clients: 'invited' });
    const [first, ...others] = gatewaysOf(4) as [NodeEntry, ...NodeEntry[]];
    for (let seed = 1; seed <= 8; seed++)
      t.notOk(new Followed([isPrivate(first), ...others], seed).ids.includes(first.id), `seed ${seed}`);
    t.strictSame(new Followed(gatewaysOf(2).map(isPrivate)).ids, [], 'rather none');
    const followed = new Followed(gatewaysOf(3));
    const before = followed.ids;
    followed.gateways = followed.gateways.map(isPrivate);
    t.strictSame(followed.pass(HOUR_MS).ids, before, 'nobody drives a client off its guards by that');
  },
);

t.test('it has three gateways, or as many as there are', async (t) => {
  t.equal(new Followed(gatewaysOf(10)).ids.length, SAMPLE_SIZE);
  const two = new Followed(gatewaysOf(2));
  t.equal(two.ids.length, 2);
  const before = two.ids;
  two.gateways = gatewaysOf(10);
  t.strictSame(two.see().ids.slice(0, 2), before, 'more come behind those that are there');
  t.equal(two.ids.length, 3);
  t.strictSame(new Followed([]).ids, []);
});

t.test('it draws no gateway that is marked as lossy, and keeps one that is marked later', async (t) => {
  const gateways = gatewaysOf(4);
  const sample = new GuardSample(seededRng(1));
  sample.follow({ gateways, soundGateways: gateways.slice(0, 2), validAfterMs: unix(START_MS) });
  t.strictSame([...sample.state.guards.map(({ id }) => id)].sort(), ['g0', 'g1']);
  sample.follow({ gateways, soundGateways: gateways.slice(1, 2), validAfterMs: unix(START_MS + HOUR_MS) });
  t.strictSame([...sample.state.guards.map(({ id }) => id)].sort(), ['g0', 'g1']);
});

t.test('each guard stays for 60 to 90 days', async (t) => {
  const terms: number[] = [];
  for (let seed = 1; seed <= 34; seed++) {
    const followed = new Followed(gatewaysOf(10), seed);
    let left = followed.ids;
    while (left.length > 0) {
      followed.pass(HOUR_MS);
      const gone = left.filter((id) => !followed.ids.includes(id));
      terms.push(...gone.map(() => followed.nowMs - START_MS));
      left = left.filter((id) => !gone.includes(id));
    }
  }
  t.equal(terms.length, 34 * SAMPLE_SIZE);
  t.ok(Math.min(...terms) >= MIN_TERM_MS, `${Math.min(...terms) / DAY_MS}`);
  t.ok(Math.max(...terms) <= MAX_TERM_MS + HOUR_MS, `${Math.max(...terms) / DAY_MS}`);
  t.ok(Math.min(...terms) < MIN_TERM_MS + 5 * DAY_MS && Math.max(...terms) > MAX_TERM_MS - 5 * DAY_MS, 'all of it');
});

t.test('a guard that is gone for less than seven days stays, one that is gone for seven is replaced', async (t) => {
  const followed = new Followed(gatewaysOf(10));
  const [first = '', second, third] = followed.ids;
  const all = followed.gateways;
  followed.without(first).pass(UNLISTED_MS - HOUR_MS);
  t.ok(followed.ids.includes(first));
  followed.gateways = all;
  followed
    .pass(HOUR_MS)
    .without(first)
    .pass(UNLISTED_MS - HOUR_MS);
  t.ok(followed.ids.includes(first), 'an hour on the list starts the time anew');
  followed.pass(2 * HOUR_MS);
  t.notOk(followed.ids.includes(first));
  t.strictSame(followed.ids.slice(0, 2), [second, third], 'the others keep their order, the new one is last');
  t.equal(followed.ids.length, 3);
});

t.test('those that the consensus does not list can not be used, and keep their places', async (t) => {
  const followed = new Followed(gatewaysOf(10));
  const [first = '', ...others] = followed.ids;
  const listed = (ids: readonly NodeEntry[]) => ({ byId: (id: string) => ids.find((node) => node.id === id) });
  t.strictSame(
    followed.sample.listedIn(listed(followed.gateways)).map(({ id }) => id),
    [first, ...others],
  );
  t.strictSame(
    followed.sample.listedIn(listed(followed.without(first).gateways)).map(({ id }) => id),
    others,
  );
});

t.test('at most six are drawn in ninety days; then only former guards come back', async (t) => {
  const followed = new Followed(gatewaysOf(100));
  const met = new Set(followed.ids);
  for (let week = 0; week < 6; week++) {
    followed.without(...followed.ids).pass(UNLISTED_MS + HOUR_MS);
    for (const id of followed.ids) met.add(id);
  }
  t.equal(met.size, MAX_DRAWS);
  t.strictSame(followed.ids, [], 'all six are gone: it waits');
  const [back = ''] = met;
  followed.gateways = [...followed.gateways, ...gatewaysOf(100).filter(({ id }) => id === back)];
  t.strictSame(followed.see().ids, [back], 'one that is back may be used');
  followed.pass(DRAW_WINDOW_MS);
  t.equal(followed.ids.length, SAMPLE_SIZE, 'ninety days later others may');
});

t.test('a clock that is set forward and back changes nothing', async (t) => {
  for (const jumpMs of [8 * DAY_MS, 100 * DAY_MS, 10_000 * DAY_MS]) {
    const followed = new Followed(gatewaysOf(20));
    followed.pass(DAY_MS);
    const before = followed.ids;
    followed.see(followed.nowMs, gatewaysOf(0)); // and nobody is listed just then
    followed.see(followed.nowMs + jumpMs);
    followed.see(followed.nowMs + jumpMs + 20 * HOUR_MS, gatewaysOf(0));
    t.strictSame(followed.ids, before, `${jumpMs / DAY_MS} days`);
    followed.see();
    t.strictSame(followed.ids, before);
    followed.pass(50 * DAY_MS);
    t.strictSame(followed.ids, before, 'the terms go on from where they were');
  }
});

t.test('a clock that is set back and forth a hundred times changes nothing', async (t) => {
  const followed = new Followed(gatewaysOf(20));
  const before = followed.ids;
  for (let i = 0; i < 100; i++)
    followed
      .see(followed.nowMs + 95 * DAY_MS)
      .see(followed.nowMs - 95 * DAY_MS)
      .see();
  t.strictSame(followed.ids, before);
});

t.test('a state of the future is used, and its guards stay no longer than any', async (t) => {
  const future = new Followed(gatewaysOf(20));
  future.nowMs += 1000 * DAY_MS;
  const later = new GuardSample(seededRng(5));
  later.follow({
    gateways: future.gateways,
    soundGateways: future.gateways,
    validAfterMs: unix(START_MS + 1000 * DAY_MS),
  });
  const now = new GuardSample(seededRng(6), later.state);
  const ids = later.state.guards.map(({ id }) => id);
  const at = (ms: number) =>
    now.follow({ gateways: future.gateways, soundGateways: future.gateways, validAfterMs: unix(ms) });
  at(START_MS);
  t.strictSame(
    now.state.guards.map(({ id }) => id),
    ids,
  );
  for (let ms = START_MS; ms <= START_MS + MAX_TERM_MS + 2 * CONFIRM_MS; ms += HOUR_MS) at(ms);
  t.notOk(now.state.guards.some(({ id }) => ids.includes(id)));
});

t.test('a proxy that was off for a year replaces its guards a day after it is back', async (t) => {
  const followed = new Followed(gatewaysOf(20));
  const before = followed.ids;
  followed.nowMs += 365 * DAY_MS;
  followed.see();
  t.strictSame(followed.ids, before);
  followed.pass(CONFIRM_MS);
  t.notOk(followed.ids.some((id) => before.includes(id)));
});
