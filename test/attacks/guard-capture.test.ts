/**
 * Attack: whoever runs one gateway wants to be the gateway of as many users as possible. He announces any number of requesters
 * that name the honest gateways as theirs, closes honest gateways, cuts users off from them, and waits for months.
 *
 * Defence: a proxy draws its guards uniformly and before any exit, keeps three of them for 60 to 90 days, uses them in order, and
 * waits when none answers. What remains: an evil gateway is the first guard of 1/N of the users, and a guard of 3/N of them.
 */
import t from 'tap';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import {
  GatewaySelector,
  LINK_DOWN_TIMEOUT_MS,
  type UsableGateways,
} from '../../lib/endpoint/gateways/gateway-selector.ts';
import { GuardSample, MAX_DRAWS } from '../../lib/endpoint/gateways/guard-sample.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic, unix } from '../support/units.ts';

const PROXIES = 10_000;
const HONEST = 10;
const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1);
const REVIEW_MS = 2_000;

const gateway = (name: string) => ({ id: name as IdentityHex, name, role: 'gateway' }) as NodeEntry;
const EVIL = gateway('evil');
const ALL = [EVIL, ...Array.from({ length: HONEST }, (_, i) => gateway(`honest-${i}`))];
const SHARE = 1 / ALL.length;
/** Four standard deviations of a share among all proxies: one run in 16,000 is beyond it, and the seeds are fixed. */
const tolerance = (share: number) => 4 * Math.sqrt((share * (1 - share)) / PROXIES);

function networkOf(gateways: readonly NodeEntry[], falseRequesters = 0, day = 0): Topology {
  const byId = new Map<string, NodeEntry>(gateways.map((node) => [node.id, node]));
  const requesters = Array.from({ length: falseRequesters }, (_, i) => {
    const gateway = ALL[1 + (i % HONEST)] as NodeEntry;
    return { id: `false-${i}`, role: 'requester', gateways: [gateway.id] };
  });
  const validAfterMs = unix(START_MS + day * DAY_MS);
  return { gateways, soundGateways: gateways, requesters, validAfterMs, byId: (id: string) => byId.get(id) } as never;
}

/** What of a proxy decides about its gateway. */
class User {
  readonly sample: GuardSample;
  readonly selector: GatewaySelector;
  nowMs = 0;

  constructor(seed: number, network: Topology, usable?: UsableGateways) {
    this.sample = new GuardSample(seededRng(seed));
    this.sample.follow(network);
    this.selector = new GatewaySelector(usable ?? ((topology) => this.sample.listedIn(topology)), monotonic(0));
    this.selector.first(network);
  }

  get current(): string {
    return this.selector.current?.id ?? '';
  }

  /** A minute in which only some gateways can be reached. */
  pass(network: Topology, isReachable: (id: string) => boolean, spanMs = 8 * LINK_DOWN_TIMEOUT_MS): void {
    for (const endMs = this.nowMs + spanMs; this.nowMs < endMs; this.nowMs += REVIEW_MS) {
      const nowMs = monotonic(this.nowMs);
      const up = isReachable(this.current);
      this.selector.onLinkState(up ? 'up' : 'down', nowMs);
      if (up) return;
      const next = this.selector.review(network, 0, nowMs);
      if (next !== undefined && next !== 'redial') this.selector.moveTo(next, nowMs);
    }
  }
}

const shareAtEvil = (proxies: readonly User[]) =>
  proxies.filter(({ current }) => current === EVIL.id).length / proxies.length;

t.test('false requesters at all honest gateways move nobody to the evil one', async (t) => {
  const shareWith = (falseRequesters: number, usable?: UsableGateways) => {
    const network = networkOf(ALL, falseRequesters);
    return shareAtEvil(Array.from({ length: PROXIES }, (_, i) => new User(i + 1, network, usable)));
  };
  const isUniform = (share: number) => Math.abs(share - SHARE) <= tolerance(SHARE);
  for (const falseRequesters of [0, 1, HONEST, 1000]) {
    const share = shareWith(falseRequesters);
    t.ok(isUniform(share), `${falseRequesters} false requesters: ${(100 * share).toFixed(2)} % of the users`);
  }
  // Mutant: a proxy that avoids the gateways which requesters name, so that no gateway sees both ends.
  const avoidsNamed: UsableGateways = ({ gateways, requesters }) => {
    const named = new Set(requesters.flatMap((node) => node.gateways ?? []));
    const apart = gateways.filter(({ id }) => !named.has(id));
    return apart.length > 0 ? apart : gateways;
  };
  const captured = shareWith(HONEST, avoidsNamed);
  t.notOk(isUniform(captured), `the mutant is rejected: ${(100 * captured).toFixed(0)} %`);
});

t.test(
  'a network in which only the evil gateway can be reached gives it the users who have it in their sample',
  async (t) => {
    const network = networkOf(ALL);
    const onlyEvil = (id: string) => id === EVIL.id;
    const shareOf = (usable?: UsableGateways) => {
      const proxies = Array.from({ length: PROXIES / 10 }, (_, i) => new User(i + 1, network, usable));
      for (const proxy of proxies) proxy.pass(network, onlyEvil, 12 * LINK_DOWN_TIMEOUT_MS);
      return { share: shareAtEvil(proxies), waiting: proxies.filter(({ selector }) => selector.noneAnswers).length };
    };
    const isBounded = (share: number) => share <= 3 * SHARE + 4 * Math.sqrt((3 * SHARE) / (PROXIES / 10));
    const { share, waiting } = shareOf();
    t.ok(isBounded(share), `${(100 * share).toFixed(1)} % of the users, 3/N is ${(300 * SHARE).toFixed(1)} %`);
    t.equal(waiting, Math.round((1 - share) * (PROXIES / 10)), 'all others wait, and say so');
    // Mutant: a proxy that goes on to any gateway of the network.
    t.notOk(isBounded(shareOf(({ gateways }) => gateways).share), 'the mutant is rejected');
  },
);

/** 90 days in which gateways come and go: each is listed or not, for some days, at random. What each proxy used and had. */
function ninetyDays(count: number, usable?: (user: () => User) => UsableGateways) {
  const rng = seededRng(7);
  const away = new Map<string, number>();
  const networks: Topology[] = [];
  for (let day = 0; day <= 90; day++) {
    for (const { id } of ALL) if ((away.get(id) ?? 0) < day && rng.uniform() < 0.05) away.set(id, day + rng.int(20));
    networks.push(
      networkOf(
        ALL.filter(({ id }) => (away.get(id) ?? -1) < day),
        0,
        day,
      ),
    );
  }
  let outside = 0;
  let most = 0;
  for (let i = 0; i < count; i++) {
    const first = networks[0] as Topology;
    let proxy: User;
    proxy = new User(
      i + 1,
      first,
      usable?.(() => proxy),
    );
    const had = new Set<string>();
    for (const network of networks) {
      proxy.sample.follow(network);
      const adopted = proxy.selector.adopt(network);
      if (adopted !== undefined) proxy.selector.moveTo(adopted, monotonic(proxy.nowMs));
      if (i % 10 === 0) proxy.pass(network, () => rng.uniform() < 0.7);
      const sample = proxy.sample.state.guards.map(({ id }) => id);
      // Nothing listed may be used: it stays where it is, without a link.
      if (proxy.sample.listedIn(network).length > 0 && !sample.includes(proxy.current as IdentityHex)) outside += 1;
      for (const id of [...sample, proxy.current]) had.add(id);
    }
    most = Math.max(most, had.size);
  }
  return { outside, most };
}

t.test('over 90 days no user is at a gateway outside the sample, nor has more than six', async (t) => {
  const isKept = ({ outside, most }: { outside: number; most: number }) => outside === 0 && most <= MAX_DRAWS;
  const kept = ninetyDays(PROXIES / 2);
  t.ok(isKept(kept), `outside: ${kept.outside}, most gateways of one user: ${kept.most}`);
  // Mutant: a proxy that takes what is listed.
  const any = ninetyDays(
    100,
    () =>
      ({ gateways }) =>
        gateways,
  );
  t.notOk(isKept(any), `the mutant is rejected: outside ${any.outside}, most ${any.most}`);
});
