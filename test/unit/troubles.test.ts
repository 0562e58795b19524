/** Why requests were refused or slow: the judgements, the table of the last minutes, and what machine and transfers tell. */
import t from 'tap';
import type { ProxyMixnet } from '../../lib/access/mixnet.ts';
import { StreamCounters } from '../../lib/access/stream-counters.ts';
import { Diagnosis } from '../../lib/access/troubles/diagnosis.ts';
import {
  judgeAbandoned,
  judgeBreak,
  judgeFailure,
  judgeOpening,
  LOSSY_SHARE,
  type Situation,
  SLOW_OPEN_MS,
  UNTROUBLED,
} from '../../lib/access/troubles/judge.ts';
import { LOOKS, MachineLateness, STANDSTILL_MS } from '../../lib/access/troubles/machine-lateness.ts';
import { REASONS, type Reason } from '../../lib/access/troubles/reasons.ts';
import { RecentTroubles, TROUBLE_MINUTES } from '../../lib/access/troubles/recent-troubles.ts';
import { ERRORS, type ErrorCode } from '../../lib/core/errors.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const seen = (changes: Partial<Situation>): Situation => ({ ...UNTROUBLED, ...changes });
const unready = { obstacle: 'NO_CONSENSUS', session: 'none' } as const;

/** Code, what else is known, and the reason that it must be. */
type Row = readonly [code: ErrorCode, known: Partial<Situation>, reason: Reason];

t.test('what the exit or the network answers', async (t) => {
  const rows: readonly Row[] = [
    ['POLICY', {}, 'exit-refused'],
    ['POLICY', { portIsClosed: true }, 'no-exit-for-port'],
    ['COMMAND', {}, 'exit-refused'],
    ['REFUSED', {}, 'site-refused'],
    ['REFUSED', { machineIsLate: true, lossShare: 1, clockIsWrong: true }, 'site-refused'],
    ['NOT_FOUND', {}, 'no-such-name'],
    ['HOST_UNREACHABLE', {}, 'site-unreachable'],
    ['NET_UNREACHABLE', {}, 'exit-no-way'],
    ['TIMEOUT', {}, 'site-timeout'],
    ['LIMIT', {}, 'exit-full'],
    ['RESET', {}, 'site-reset'],
    ['MALFORMED', {}, 'site-malformed'],
    ['NO_CONSENSUS', unready, 'no-consensus'],
    ['NO_CONSENSUS', { ...unready, clockIsWrong: true }, 'clock-wrong'],
    ['NO_GATEWAY', { session: 'none' }, 'no-gateway'],
    ['NO_GATEWAY', { session: 'none', noCommonGroup: true }, 'key-exchange'],
    ['NO_GATEWAY', { session: 'none', networkIsFull: true }, 'network-full'],
    ['NO_REQUESTER', { session: 'none', obstacle: 'NO_REQUESTER' }, 'no-exit'],
    ['NO_REQUESTER', { session: 'none' }, 'exit-silent'],
    ['NO_REQUESTER', {}, 'exit-silent'],
    ['NO_REQUESTER', { loopAlarm: true }, 'path-lossy'],
    ['NO_REQUESTER', { machineIsLate: true, loopAlarm: true }, 'machine-slow'],
    ['NO_REQUESTER', { session: 'none', versionsDiffer: true }, 'exit-version'],
    ['LIMIT', { session: 'none', waitedForIdentity: true }, 'identities-full'],
    ['LIMIT', { session: 'none' }, 'streams-full'],
    ['NO_ROUTE', { session: 'none' }, 'no-route'],
    ['SESSION_CLOSED', { session: 'ended' }, 'session-ended'],
    ['SESSION_CLOSED', { session: 'ended', versionsDiffer: true }, 'exit-version'],
    ['POLICY', { session: 'ended' }, 'exit-token'],
    ['LIMIT', { session: 'ended' }, 'exit-full'],
    ['TIMEOUT', { session: 'ended' }, 'exit-silent'],
    ['INTERNAL', {}, 'defect'],
  ];
  for (const [code, known, reason] of rows)
    t.equal(judgeFailure(code, false, seen(known)), reason, `${code} ${JSON.stringify(known)}`);
});

t.test('what the proxy refuses itself', async (t) => {
  const rows: readonly Row[] = [
    ['POLICY', {}, 'private-destination'],
    ['UNSAFE', {}, 'address-for-name'],
    ['ADDRESS_TYPE', {}, 'bad-request'],
    ['COMMAND', {}, 'bad-request'],
    ['REFUSED', {}, 'bad-request'],
    ['MALFORMED', {}, 'not-a-request'],
    ['LIMIT', {}, 'connections-full'],
  ];
  for (const [code, known, reason] of rows) t.equal(judgeFailure(code, true, seen(known)), reason, code);
});

t.test('a time that is up has the reason that is nearest to the user', async (t) => {
  const rows: readonly (readonly [Partial<Situation>, Reason])[] = [
    [{ obstacle: 'NO_CONSENSUS', clockIsWrong: true, machineIsLate: true }, 'clock-wrong'],
    [{ obstacle: 'NO_CONSENSUS' }, 'no-consensus'],
    [{ obstacle: 'NO_GATEWAY', lossShare: 1 }, 'no-gateway'],
    [{ obstacle: 'NO_GATEWAY', noCommonGroup: true, lossShare: 1 }, 'key-exchange'],
    [{ obstacle: 'NO_REQUESTER' }, 'no-exit'],
    [{ session: 'none', waitedForIdentity: true, machineIsLate: true }, 'identities-full'],
    [{ versionsDiffer: true }, 'exit-version'],
    [{ machineIsLate: true, lossShare: 0.5 }, 'machine-slow'],
    [{ lossShare: LOSSY_SHARE }, 'path-lossy'],
    [{ loopAlarm: true }, 'path-lossy'],
    [{ sharing: 4 }, 'rates-shared'],
    [{ obstacle: 'TIMEOUT' }, 'exit-silent'],
    [{ lossShare: LOSSY_SHARE / 2 }, 'no-answer'],
    [{ clockIsWrong: true }, 'no-answer'], // there is a way: a wrong clock does not hold it up
    [{}, 'no-answer'],
  ];
  for (const [known, reason] of rows) {
    t.equal(judgeFailure('TIMEOUT', true, seen(known)), reason, JSON.stringify(known));
    t.equal(judgeAbandoned(60_000, seen(known)), reason, `given up: ${JSON.stringify(known)}`);
  }
  t.equal(judgeAbandoned(UNTROUBLED.lawfulOpenMs, seen({ machineIsLate: true })), undefined, 'given up soon');
});

t.test('an opening is slow from one second beyond the law, and says why', async (t) => {
  const edgeMs = UNTROUBLED.lawfulOpenMs + SLOW_OPEN_MS;
  t.equal(judgeOpening('connection', edgeMs, seen({ machineIsLate: true })), undefined);
  const slow = (known: Partial<Situation>, kind: 'connection' | 'association' = 'connection') =>
    judgeOpening(kind, edgeMs + 1000, seen(known));
  t.equal(slow({}), 'site-slow-connect');
  t.equal(slow({}, 'association'), 'exit-slow', 'no site is asked for an association');
  t.equal(slow({ machineIsLate: true, lossShare: 0.3 }), 'machine-slow', 'a late machine loses packets too');
  t.equal(slow({ lossShare: 0.3 }), 'path-lossy');
  t.equal(slow({ sharing: 40 }), 'rates-shared');
  t.equal(slow({ waitedMs: 1900, waitedForIdentity: true, machineIsLate: true }), 'identities-full');
  t.equal(slow({ waitedMs: 1900 }), 'no-session');
  t.equal(slow({ waitedMs: 100 }), 'site-slow-connect', 'that was not it');
  t.equal(judgeOpening('connection', edgeMs + 1000, seen({ lawfulOpenMs: 3000 })), undefined, 'a slower law');
});

t.test('a break of an open stream is named unless site or program broke it', async (t) => {
  t.equal(judgeBreak('RESET', UNTROUBLED), undefined);
  t.equal(judgeBreak('TIMEOUT', UNTROUBLED), 'idle');
  t.equal(judgeBreak('SESSION_CLOSED', seen({ session: 'ended' })), 'session-ended');
  t.equal(judgeBreak('TIMEOUT', seen({ session: 'ended', loopAlarm: true })), 'path-lossy');
});

t.test('every code has a reason, in whatever situation', async (t) => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    for (const session of ['none', 'open', 'ended'] as const) {
      for (const own of [true, false]) {
        const { words, remedy } = REASONS[judgeFailure(code, own, seen({ session }))];
        t.ok(words.length > 10 && remedy.length > 5, `${code}, ${session}`);
      }
    }
  }
});

t.test('the table counts by reason, kind and effect, and forgets', async (t) => {
  const clock = new VirtualClock();
  const troubles = new RecentTroubles(clock);
  t.match(troubles.status(), { verdict: /^Nothing was refused/, reasons: [] });
  for (let i = 0; i < 3; i++) troubles.note('site-refused', 'refused', 'connection');
  troubles.note('site-refused', 'refused', 'request');
  clock.advance(90_000);
  troubles.note('machine-slow', 'slow', 'transfer');
  troubles.note('machine-slow', 'slow', 'look-up');
  clock.advance(5_000);
  t.match(troubles.status(), {
    minutes: TROUBLE_MINUTES,
    verdict: '6 refused, slow or broken off in the last 10 minutes, 4 of 6 because of the site.',
    reasons: [
      {
        reason: 'machine-slow',
        where: 'this machine',
        count: 2,
        what: ['10 s of transfers slow', '1 look-up slow'],
        secondsAgo: 5,
      },
      { reason: 'site-refused', count: 4, what: ['3 connections refused', '1 request refused'], secondsAgo: 95 },
    ],
  });
  clock.advance((TROUBLE_MINUTES - 1) * 60_000);
  t.match(troubles.status().reasons, [{ reason: 'machine-slow' }], 'the older one is forgotten');
  t.match(troubles.status().verdict, /2 refused.*, all because of this machine\.$/);
  troubles.note('class-rate', 'slow', 'transfer');
  clock.advance(60_000);
  t.match(troubles.status(), { verdict: /^Nothing was refused/, reasons: [{ reason: 'class-rate' }] }, 'no trouble');
});

t.test('the table does not grow with what goes wrong', async (t) => {
  const clock = new VirtualClock();
  const troubles = new RecentTroubles(clock);
  for (let minute = 0; minute < 50; minute++) {
    for (const reason of Object.keys(REASONS) as Reason[]) {
      for (let i = 0; i < 10; i++) troubles.note(reason, 'refused', 'connection');
    }
    clock.advance(60_000);
  }
  const { reasons } = troubles.status();
  t.equal(reasons.length, Object.keys(REASONS).length);
  for (const { count } of reasons) t.equal(count, 10 * (TROUBLE_MINUTES - 1), 'the minutes that are over are gone');
});

t.test('a late machine shows by missed ticks, unread packets, or an event loop that stood still', async (t) => {
  const fresh = () => {
    const machine = new MachineLateness();
    let nowMs = 0;
    return (slotsMissed: number, unread = 0, afterMs = 1000) => {
      nowMs += afterMs;
      machine.look({ slotsMissed, departures: 0, unread, ticksPerSecond: 56 }, monotonic(nowMs));
      return machine.isLate;
    };
  };
  let look = fresh();
  t.notOk(look(7), 'what was before does not count');
  t.notOk(look(9), 'two of many');
  t.ok(look(13));
  for (let i = 0; i < LOOKS; i++) look(13);
  t.notOk(look(13), 'ten seconds later it is over');
  look = fresh();
  look(0);
  t.ok(look(0, 10));
  look = fresh();
  look(0);
  t.notOk(look(0, 0, 1000 + STANDSTILL_MS));
  t.ok(look(0, 0, 1001 + STANDSTILL_MS));
});

t.test('a machine that sends less than the gateway asks for is known by what left at its ticks', async (t) => {
  const sends = (share: number, looks: number) => {
    const machine = new MachineLateness();
    for (let n = 1; n <= looks; n++) {
      machine.look({ slotsMissed: 0, departures: 56 * share * n, unread: 0, ticksPerSecond: 56 }, monotonic(1000 * n));
    }
    return machine.sendsTooLittle;
  };
  t.ok(sends(0.45, LOOKS));
  t.notOk(sends(0.7, LOOKS));
  t.notOk(sends(0.1, 5), 'too short to tell');
  t.notOk(new MachineLateness().sendsTooLittle);
});

t.test('a link that the gateway ended because this machine sent too little is said; another is not', async (t) => {
  const lane = { name: '', set: 0, measured: 0, sentContent: 0, sentIdle: 0, missed: 0, discarded: 0 };
  const linkEnds = (share: number) => {
    const troubles = new RecentTroubles(new VirtualClock());
    let seconds = 0;
    const main = () => ({ ...lane, sentContent: 10 * share * seconds, discarded: 40 * share * seconds });
    const endpoint = {
      trafficClass: { mainRate: 50, loopRate: 5, dropRate: 5 },
      stats: () => ({ link: { reconnects: seconds > 20 ? 1 : 0, inboundDropped: 0 }, loop: lane, drop: lane }),
    };
    const hub = { sessions: () => [], laneStats: main };
    const mixnet = {
      endpoint,
      hub,
      directory: { topology: () => undefined, sources: { lagging: [] } },
    } as unknown as ProxyMixnet;
    const diagnosis = new Diagnosis(mixnet);
    for (; seconds < 30; seconds++) diagnosis.look(troubles, monotonic(1000 * seconds));
    return troubles.status().reasons.map(({ reason, what }) => [reason, what]);
  };
  t.strictSame(linkEnds(0.5), [['machine-slow', ['1 link broken off']]]);
  t.strictSame(linkEnds(0.9), []);
});

t.test(
  'a machine that misses ticks of its clocks is too slow for its rates, whether or not somebody asks for something',
  async (t) => {
    const lane = { name: '', set: 0, measured: 0, sentContent: 0, sentIdle: 0, missed: 0, discarded: 0 };
    const clock = new VirtualClock();
    const troubles = new RecentTroubles(clock);
    let missed = 0;
    const mixnet = {
      endpoint: {
        trafficClass: { mainRate: 50, loopRate: 5, dropRate: 5 },
        stats: () => ({ link: { reconnects: 0, inboundDropped: 0 }, loop: lane, drop: lane }),
      },
      hub: { sessions: () => [], laneStats: () => ({ ...lane, missed }) },
      directory: { topology: () => undefined, sources: { lagging: [] } },
    } as unknown as ProxyMixnet;
    const diagnosis = new Diagnosis(mixnet);
    const run = (seconds: number, missedPerSecond: number) => {
      for (let second = 0; second < seconds; second++) {
        missed += missedPerSecond;
        diagnosis.look(troubles, clock.nowMs());
        clock.advance(1000);
      }
      return troubles.status();
    };
    t.match(run(60, 0.2), { verdict: /^Nothing/, reasons: [] }, 'a few are missed on any machine');
    const slow = run(30, 5);
    t.match(
      slow.verdict,
      /^This machine is too slow for its rates\. \d refused, slow or broken off .* because of this machine/,
    );
    t.match(slow.reasons, [{ reason: 'machine-slow', what: ['30 s of clocks slow'] }]);
    const over = run(40, 0);
    t.notMatch(over.verdict, /too slow/, 'it keeps them again');
    t.match(over.reasons, [{ reason: 'machine-slow' }]);
  },
);

t.test(
  'a network that is over its capacity is named while it is, whether its gateways are full or its nodes shed',
  async (t) => {
    const clock = new VirtualClock();
    const troubles = new RecentTroubles(clock);
    const lane = { name: '', set: 0, measured: 0, sentContent: 0, sentIdle: 0, missed: 0, discarded: 0 };
    const state = { isOverCapacity: false, gatewaysFull: false };
    const mixnet = {
      endpoint: { trafficClass: { mainRate: 50, loopRate: 5, dropRate: 5 }, stats: () => ({ loop: lane, drop: lane }) },
      hub: { sessions: () => [], laneStats: () => lane },
      directory: { topology: () => undefined, sources: { lagging: [] } },
      get isOverCapacity() {
        return state.isOverCapacity;
      },
      get gatewaysFull() {
        return state.gatewaysFull;
      },
    } as unknown as ProxyMixnet;
    const diagnosis = new Diagnosis(mixnet);
    const run = (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        diagnosis.look(troubles, clock.nowMs());
        clock.advance(1000);
      }
      return troubles.status();
    };
    t.match(run(30), { verdict: /^Nothing/ });
    state.isOverCapacity = true;
    t.match(run(10), { verdict: /^The network is over its capacity\. .* because of the network/ });
    state.gatewaysFull = true;
    t.match(run(20).reasons, [
      { reason: 'network-full', where: 'the network', what: ['1 link slow', '2 links refused'] },
    ]);
    state.isOverCapacity = false;
    t.notMatch(run(40).verdict, /over its capacity/);
  },
);

t.test('a request counts once, by outcome and with its reason, and its port is kept nowhere', async (t) => {
  const clock = new VirtualClock();
  const ports: unknown[] = [];
  let known: Partial<Situation> = {};
  const counters = new StreamCounters(
    new Metrics(),
    clock,
    () => 0,
    (_stream, port) => {
      ports.push(port);
      return seen(known);
    },
  );
  const slow = counters.begin('connection', 443);
  clock.advance(UNTROUBLED.lawfulOpenMs + SLOW_OPEN_MS + 1);
  slow.opened();
  slow.ended('finished');
  counters.begin('request', 8443).failed('POLICY');
  known = { portIsClosed: true };
  counters.begin('connection', 8443).failed('POLICY', {} as Parameters<typeof slow.opened>[0]);
  counters.begin('look-up').failed('TIMEOUT', undefined, true);
  counters.begin('association').abandoned();
  const broken = counters.begin('connection', 22);
  broken.opened();
  broken.ended('stream-reset', 'TIMEOUT');
  counters.handshakeRefused('LIMIT');
  counters.handshakeRefused('METHODS');
  const { troubles, ...counts } = counters.counts();
  t.match(counts, { open: 0, opened: 2, refused: { POLICY: 2, TIMEOUT: 1 }, abandoned: 1 });
  t.strictSame(Object.fromEntries(troubles.reasons.map(({ reason, what }) => [reason, what])), {
    'site-slow-connect': ['1 connection slow'],
    'private-destination': ['1 request refused'],
    'no-exit-for-port': ['1 connection refused'],
    'no-answer': ['1 look-up refused'],
    idle: ['1 connection broken off'],
    'connections-full': ['1 connection refused'],
    'not-a-request': ['1 connection refused'],
  });
  t.ok(ports.includes(8443));
  t.notMatch(JSON.stringify(counters.counts()), /8443/);
});
