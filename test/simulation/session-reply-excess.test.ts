import t from 'tap';
import { ReplyExcess } from '../../lib/session/proxy/reply-excess.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic } from '../support/units.ts';

interface Course {
  /** Asked for, by the time. */
  readonly asked: (ms: number) => number;
  /** Sent. */
  readonly sent: (ms: number) => number;
  /** Whether a reply arrives. */
  readonly arrives?: (ms: number, n: number) => boolean;
  /** What the requester says it has used, when it has sent `n`. */
  readonly says?: (n: number) => number;
  readonly seconds?: number;
}

/** When the session is ended; Infinity: never. */
function endedAt({ asked, sent, arrives = () => true, says = (n) => n, seconds = 120 }: Course, seed = 1): number {
  const rng = seededRng(seed);
  let rate = asked(0);
  const excess = new ReplyExcess(rate, monotonic(0));
  let n = 0;
  for (let ms = 0; ms < seconds * 1000; ms += 1) {
    if (asked(ms) !== rate) excess.setRate(asked(ms), monotonic(ms));
    rate = asked(ms);
    let due = rng.uniform() < sent(ms) / 1000 ? 1 : 0;
    for (; due > 0; due--) {
      n += 1;
      if (arrives(ms, n) && excess.onReply(says(n), monotonic(ms))) return ms;
    }
  }
  return Number.POSITIVE_INFINITY;
}

const always = (rate: number) => () => rate;

t.test('an honest requester is never accused, at whatever rate and over whatever path', async (t) => {
  for (const rate of [0.2, 1, 7, 100, 500]) {
    for (const seed of [1, 2, 3]) {
      t.equal(endedAt({ asked: always(rate), sent: always(rate) }, seed), Number.POSITIVE_INFINITY, `${rate}/s`);
    }
  }
  const honest = { asked: always(100), sent: always(100) };
  const rng = seededRng(9);
  t.equal(endedAt({ ...honest, arrives: () => rng.uniform() < 0.5 }), Number.POSITIVE_INFINITY, 'half is lost');
  const dead = (ms: number) => ms < 20_000 || ms > 60_000;
  t.equal(endedAt({ ...honest, arrives: dead }), Number.POSITIVE_INFINITY, 'nothing came for 40 s');
  t.equal(endedAt({ asked: (ms) => (ms < 50_000 ? 100 : 1), sent: (ms) => (ms < 55_000 ? 100 : 1) }), Infinity, 'less');
  t.equal(endedAt({ asked: (ms) => (ms < 50_000 ? 1 : 100), sent: (ms) => (ms < 50_500 ? 1 : 100) }), Infinity, 'more');
});

t.test('who sends more than 1.3 times what was asked for is found out', async (t) => {
  for (const rate of [20, 100, 500]) {
    const endedMs = endedAt({ asked: always(rate), sent: always(2 * rate) });
    t.ok(endedMs < 13_000, `twice ${rate}/s: after ${endedMs} ms`);
  }
  t.ok(endedAt({ asked: always(100), sent: always(140) }) < 30_000);
  t.equal(endedAt({ asked: always(100), sent: always(115) }), Number.POSITIVE_INFINITY);
  t.ok(endedAt({ asked: always(1), sent: always(50) }) < 13_000, 'an idle session that floods');
  const switches = (ms: number) => (Math.floor(ms / 500) % 2) * 300;
  t.ok(endedAt({ asked: always(100), sent: switches }) < 15_000, 'in bursts');
});

t.test('what does not arrive is known from the blocks that it uses, and what it hides from what arrives', async (t) => {
  const flood = { asked: always(100), sent: always(400) };
  const rng = seededRng(5);
  t.ok(endedAt({ ...flood, arrives: () => rng.uniform() < 0.25 }) < 13_000, 'three of four are lost in the queue');
  t.ok(endedAt({ asked: always(50), sent: always(120), says: (n) => n / 3 }) < 13_000, 'it says that it sends 40');
});

t.test('a rate that was lowered binds within 45 s', async (t) => {
  const endedMs = endedAt({ asked: (ms) => (ms < 20_000 ? 100 : 10), sent: always(100) });
  t.ok(endedMs > 45_000 && endedMs < 65_000, `${endedMs}`);
});

/** Replies of an honest clock; of the share `share` of paths those of a stall wait for its end, and then come `speed` times as fast. */
function bunched(seed: number, perSecond: number, share: number, stallMs: number, speed: number, lateMs?: number) {
  const rng = seededRng(seed);
  const arrivals: { atMs: number; n: number }[] = [];
  let n = 0;
  let isStalled = false;
  let freeMs = 0;
  for (let ms = 0; ms < 240_000; ms += 1) {
    if (rng.uniform() >= perSecond / 1000) continue;
    n += 1;
    const inStall = ms % 100_000 > 50_000 && ms % 100_000 < 50_000 + stallMs;
    if (inStall && !isStalled) freeMs = ms + stallMs;
    isStalled = inStall;
    const waits = rng.uniform() < share && ms < freeMs;
    arrivals.push({ atMs: waits ? freeMs : ms, n });
    if (waits) freeMs += 1000 / (speed * share * perSecond);
  }
  const excess = new ReplyExcess(perSecond, monotonic(0), lateMs);
  arrivals.sort((a, b) => a.atMs - b.atMs || a.n - b.n);
  return arrivals.some(({ atMs, n }) => excess.onReply(n, monotonic(Math.floor(atMs))));
}

t.test('replies of an honest clock that a stall has held back accuse nobody, however they come then', async (t) => {
  for (const [i, share] of [1, 1 / 2, 1 / 3, 1 / 9].entries()) {
    for (const stallMs of [3_000, 10_000, 20_000]) {
      for (const speed of [1.8, 4, 1000]) {
        const which = `${stallMs} ms on ${share} of the paths, then ${speed} times as fast`;
        t.notOk(bunched(i, 60, share, stallMs, speed), which);
      }
    }
  }
  t.ok(bunched(1, 60, 1, 20_000, 4, 0), 'without an allowance for what is late it is accused');
  t.ok(bunched(1, 60, 1 / 2, 20_000, 1000, 0), 'and where half of the paths stall');
});

t.test('who saves replies up gains what it saved, and no more', async (t) => {
  const savedMs = 50_000;
  for (const share of [0, 0.1, 0.5]) {
    const sent = (ms: number) => (ms < 60_000 ? 100 : ms < 60_000 + savedMs ? share * 100 : 400);
    const lastsMs = endedAt({ asked: always(100), sent, seconds: 180 }) - 60_000 - savedMs;
    t.ok(lastsMs > 0 && lastsMs < 25_000, `ended ${lastsMs} ms after it begins to flood`);
  }
});
