/**
 * One client closes an exit to all others without a flood: in a few sessions, which one proxy has for logins of its programs, it opens
 * streams to a site that says nothing, until the exit has as many as it takes; or it opens and closes as many a second as the exit lets
 * all sessions open together.
 */
import t, { type Test } from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import type { ErrorCode } from '../../lib/core/errors.ts';
import type { AcceptedHandlers, AcceptedStream } from '../../lib/session/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { Admission } from '../../network-requester/admission.ts';
import { DEFAULT_EGRESS_LIMITS } from '../../network-requester/config.ts';
import { Egress } from '../../network-requester/egress/egress.ts';
import type { PaidBy } from '../../network-requester/shares.ts';
import { serve } from '../support/front-world.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** What a proxy of class standard sends. */
const PACKETS_PER_SECOND = 56;
/** One proxy shares its packets among its sessions. */
const paidBy: PaidBy = (session) => (session.startsWith('evil') ? PACKETS_PER_SECOND / 64 : PACKETS_PER_SECOND);

class Stream implements AcceptedStream {
  readonly id = 1;
  readonly settled: Promise<'opened' | ErrorCode>;
  ended: ErrorCode | undefined;
  handlers: AcceptedHandlers | undefined;
  #settle: (outcome: 'opened' | ErrorCode) => void = () => {};

  constructor() {
    this.settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  opened = () => this.#settle('opened');
  refuse = (code: ErrorCode) => this.#settle(code);
  reset = (code: ErrorCode) => {
    this.ended = code;
  };
  endWithReset = (code: ErrorCode) => this.reset(code);
  write = () => true;
  sendDatagram = () => true;
  end(): void {}
  stop(): void {}
  consume(): void {}
}

/** An exit for 64 streams, and a site that takes connections and says nothing. */
async function exit(t: Test, weights?: PaidBy) {
  const site = await serve(() => {}, '127.0.0.1');
  t.teardown(() => site.close());
  const components = { clock: systemClock, log: silentLog, metrics: new Metrics() };
  const egress = new Egress({
    components,
    allowPrivate: true,
    limits: { streams: 64, streamsPerSession: 16 },
    ...(weights === undefined ? {} : { paidBy: weights }),
  });
  t.teardown(() => egress.stop());
  const open = async (session: string, kind: 'tcp' | 'udp' = 'tcp') => {
    const stream = new Stream();
    stream.handlers = egress.accept(stream, kind, '127.0.0.1', site.port, session);
    return { stream, outcome: await stream.settled };
  };
  const openAll = (sessions: readonly string[]) => Promise.all(sessions.map((session) => open(session)));
  return { egress, open, openAll, metrics: components.metrics };
}

/** Sixteen streams in each of four sessions, one in each of 64. */
const FEW = Array.from({ length: 64 }, (_, i) => `evil ${i % 4}`);
const MANY = Array.from({ length: 64 }, (_, i) => `evil ${i}`);
const opened = (asked: readonly { outcome: string }[]) => asked.filter(({ outcome }) => outcome === 'opened').length;

t.test('a client that holds all streams of an exit makes room for others, in however many sessions', async (t) => {
  for (const sessions of [FEW, MANY]) {
    const { egress, open, openAll } = await exit(t, paidBy);
    const evil = await openAll(sessions);
    t.equal(opened(evil), 64);
    t.equal(opened(await openAll(Array(16).fill('honest'))), 16, 'a page of one who sends as much as all of these');
    t.equal(opened(await openAll(Array(16).fill('other'))), 16, 'and of another');
    t.equal(egress.counts().active, 64);
    t.equal(evil.filter(({ stream }) => stream.ended === 'LIMIT').length, 32);
    t.equal((await open('evil 1')).outcome, 'LIMIT', 'it does not take them back');
    t.equal((await open('third', 'udp')).outcome, 'opened', 'an association is a stream');
  }
});

t.test(
  'by their number alone sessions do not share: what one client has in 64 would leave others one each',
  async (t) => {
    const { openAll } = await exit(t);
    await openAll(MANY);
    t.equal(opened(await openAll(Array(16).fill('honest'))), 0);
  },
);

t.test('the stream that goes is the one on which nothing has moved for longest', async (t) => {
  const { open, metrics } = await exit(t, paidBy);
  const streams: Stream[] = [];
  for (let i = 0; i < 64; i++) streams.push((await open(FEW[i] as string)).stream);
  const [first, , , , fifth] = streams;
  first?.handlers?.onData(Buffer.from('busy'));
  while (!/stream_bytes_total\{direction="down"\} 4/.test(await metrics.text())) await new Promise(setImmediate);
  await open('honest');
  t.equal(first?.ended, undefined);
  t.equal(fifth?.ended, 'LIMIT');
});

t.test('sessions that hold their share keep it: nobody takes a stream to have more than others', async (t) => {
  const { openAll } = await exit(t, paidBy);
  const all = Array.from({ length: 64 }, (_, i) => `honest ${i % 4}`);
  const held = await openAll(all);
  t.equal(opened(await openAll(['honest 1', 'honest 2'])), 0);
  t.equal(opened(await openAll(Array(14).fill('newcomer'))), 12, 'a fifth has a fifth');
  t.equal(held.filter(({ stream }) => stream.ended !== undefined).length, 12);
});

/** Streams that one session may open of the 30 of a page, while `others` sessions open all that they may, for 10 s already. */
function pageBeside(others: number, weights?: PaidBy): number {
  const clock = new VirtualClock();
  const options = { limits: DEFAULT_EGRESS_LIMITS, ...(weights === undefined ? {} : { paidBy: weights }) };
  const admission = new Admission(options, clock.nowMs());
  const opens = (session: string) => {
    const admitted = admission.admit(session, clock.nowMs());
    if (admitted) admission.release(session);
    return admitted;
  };
  for (let ms = 0; ms < 10_000; ms += 10) {
    clock.advance(10);
    for (let i = 0; i < others; i++) while (opens(`evil ${i}`));
  }
  let page = 0;
  for (let ms = 0; ms < 500; ms += 10) {
    clock.advance(10);
    for (let i = 0; i < others; i++) while (opens(`evil ${i}`));
    if (page < 30 && opens('honest')) page += 1;
  }
  return page;
}

t.test('nor does a client that opens and closes as many streams as it can', async (t) => {
  for (const others of [4, 16, 64]) t.equal(pageBeside(others, paidBy), 30, `in ${others} sessions`);
  t.ok(pageBeside(64) < 15, 'by their number alone it would');
});

t.test('who asks a full exit without end has it look for room only as often as it may open streams', (t) => {
  const SESSIONS = 1000;
  let looks = 0;
  const paidBy = () => {
    looks += 1;
    return 1;
  };
  const limits = { streams: SESSIONS, streamsPerSession: 256, streamsPerSecond: 200, streamsPerSecondPerSession: 50 };
  const admission = new Admission({ limits, paidBy }, monotonic(0));
  for (let n = 0; n < SESSIONS; n++) admission.admit(`honest-${n}`, monotonic(10 * n));
  t.equal(admission.streams, SESSIONS);
  looks = 0;
  let opened = 0;
  for (let n = 0; n < 10_000; n++) if (admission.admit('attacker', monotonic(60_000))) opened += 1;
  t.equal(opened, 0, 'all have as much as it would');
  t.ok(looks < 300 * SESSIONS, `${looks} sessions were looked at`);
  t.end();
});
