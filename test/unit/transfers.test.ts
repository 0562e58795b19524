/** Transfers judged while they run, from the counters of their sessions. */
import t from 'tap';
import {
  SPAN_SECONDS,
  type TransferReading,
  type TransferTerms,
  TransferWatch,
} from '../../lib/access/troubles/transfers.ts';

const TERMS: TransferTerms = { machineIsLate: false, payloadBytes: 2048, mainRate: 50 };
const RATE = 100;
const START: TransferReading = {
  streamsOpen: 1,
  bytesSent: 0,
  bytesDelivered: 0,
  packetsReceived: 0,
  bytesQueued: 0,
  bytesUnread: 0,
  lossRatio: 0,
  replyRate: RATE,
};

/** What a session of `seconds` is judged as, of which each second adds and sets what `step` says. */
function judged(step: (second: number) => Partial<TransferReading>, terms = TERMS, seconds = SPAN_SECONDS) {
  const watch = new TransferWatch<object>();
  const session = {};
  const { bytesQueued = 0, bytesUnread = 0 } = step(1);
  let reading: TransferReading = { ...START, bytesQueued, bytesUnread };
  const found = [...watch.look(new Map([[session, reading]]), terms)];
  for (let second = 1; second <= seconds; second++) {
    const { bytesDelivered = 0, bytesSent = 0, packetsReceived = RATE, ...state } = step(second);
    reading = {
      ...reading,
      ...state,
      bytesDelivered: reading.bytesDelivered + bytesDelivered,
      bytesSent: reading.bytesSent + bytesSent,
      packetsReceived: reading.packetsReceived + packetsReceived,
    };
    found.push(...watch.look(new Map([[session, reading]]), terms));
  }
  return found;
}

t.test('downloads', async (t) => {
  const full = 0.95 * RATE * 2048;
  t.strictSame(
    judged(() => ({ bytesDelivered: full })),
    ['class-rate'],
  );
  t.strictSame(
    judged(() => ({ bytesDelivered: 0.6 * full })),
    [],
    'neither full nor slow',
  );
  t.strictSame(
    judged(() => ({ bytesDelivered: 0.2 * full })),
    ['site-sends-slowly'],
    'replies came, with little in them',
  );
  t.strictSame(
    judged(() => ({ bytesDelivered: 0.2 * full, lossRatio: 0.2 })),
    ['path-lossy'],
  );
  t.strictSame(
    judged(() => ({ bytesDelivered: 0.2 * full, lossRatio: 0.2 }), { ...TERMS, machineIsLate: true }),
    ['machine-slow'],
  );
  t.strictSame(
    judged(() => ({ bytesDelivered: 0.4 * full, packetsReceived: 50 })),
    ['exit-slow'],
  );
  t.strictSame(
    judged(() => ({ bytesDelivered: 0.4 * full, packetsReceived: 50, lossRatio: 0.3 })),
    ['path-lossy'],
  );
  t.strictSame(
    judged(() => ({ bytesDelivered: 1000, bytesUnread: 200_000 })),
    ['program-reads-slowly'],
  );
  t.strictSame(
    judged(() => ({ bytesUnread: 200_000 })),
    ['program-reads-slowly'],
    'paused altogether',
  );
  t.strictSame(
    judged(() => ({ bytesDelivered: full, bytesUnread: 200_000 })),
    ['class-rate'],
    'others run beside it',
  );
});

t.test('without a clock for replies, only what hinders is known', async (t) => {
  const burst = { bytesDelivered: 5000, packetsReceived: 3, replyRate: 0 };
  t.strictSame(
    judged(() => burst),
    [],
  );
  t.strictSame(
    judged(() => ({ ...burst, lossRatio: 0.2 })),
    ['path-lossy'],
  );
  t.strictSame(
    judged(() => ({ ...burst, bytesUnread: 200_000 })),
    ['program-reads-slowly'],
  );
});

t.test('uploads: bytes that wait all the time', async (t) => {
  t.strictSame(
    judged(() => ({ bytesSent: 60_000, bytesQueued: 100_000 })),
    ['class-rate'],
  );
  t.strictSame(
    judged(() => ({ bytesSent: 5_000, bytesQueued: 100_000 })),
    ['site-reads-slowly'],
  );
  t.strictSame(
    judged(() => ({ bytesSent: 5_000, bytesQueued: 100_000, lossRatio: 0.1 })),
    ['path-lossy'],
  );
  t.strictSame(
    judged((second) => ({ bytesSent: 5_000, bytesQueued: second === 5 ? 0 : 100_000 })),
    [],
    'the program had nothing to send for a moment',
  );
});

t.test('what is no transfer is not judged', async (t) => {
  const keys = { bytesDelivered: 50, bytesSent: 50 };
  t.strictSame(
    judged((second) => (second % 3 === 0 ? keys : {}), TERMS, 60),
    [],
    'somebody types',
  );
  t.strictSame(
    judged(() => keys),
    [],
    'somebody types all the time',
  );
  t.strictSame(
    judged(() => ({ ...keys, lossRatio: 0.3 })),
    ['path-lossy'],
    'and sees it lag',
  );
  t.strictSame(
    judged(() => ({}), { ...TERMS, machineIsLate: true }, 60),
    [],
    'nothing moves',
  );
  t.strictSame(
    judged(() => ({ streamsOpen: 0, bytesDelivered: 2000 }), TERMS, 60),
    [],
    'no stream',
  );
  t.strictSame(
    judged((second) => ({ streamsOpen: second % 7 === 0 ? 0 : 1, bytesDelivered: 9 }), TERMS, 60),
    [],
  );
});

t.test('each ten seconds count once, for each session of its own, and sessions that end are forgotten', async (t) => {
  t.equal(judged(() => ({ bytesDelivered: 10_000 }), TERMS, 3 * SPAN_SECONDS + 5).length, 3);
  const watch = new TransferWatch<object>();
  const sessions = [{}, {}];
  let found = 0;
  for (let second = 0; second <= SPAN_SECONDS; second++) {
    const reading = { ...START, bytesDelivered: 10_000 * second, packetsReceived: RATE * second };
    found += watch.look(new Map(sessions.map((session) => [session, reading])), TERMS).length;
    if (second === 5) sessions.pop();
  }
  t.equal(found, 1);
});
