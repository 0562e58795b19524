import t, { type Test } from 'tap';
import { MixError } from '../../lib/core/errors.ts';
import type { SessionStream, StreamHandlers } from '../../lib/session/index.ts';
import { HubStream, MAX_OPEN_ATTEMPTS, type OpeningSession } from '../../lib/session/proxy/hub-stream.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { proxySession } from '../support/session-packets.ts';
import { monotonic } from '../support/units.ts';

const TARGET = { kind: 'tcp', host: 'example.org', port: 80 } as const;

/** A session that remembers what is done with its streams. */
function fakeSession(refusesWith?: MixError) {
  const calls: string[] = [];
  const opened: StreamHandlers[] = [];
  let room = true;
  const session = {
    state: 'open' as OpeningSession['state'],
    open: (_target: unknown, handlers: StreamHandlers): SessionStream => {
      if (refusesWith !== undefined) throw refusesWith;
      opened.push(handlers);
      return {
        id: 42,
        write: (bytes) => {
          calls.push(`write ${Buffer.from(bytes)}`);
          return room;
        },
        sendDatagram: (host, port) => calls.push(`datagram ${host} ${port}`) > 0,
        end: () => calls.push('end'),
        reset: (code) => calls.push(`reset ${code}`),
        endWithReset: (code) => calls.push(`endWithReset ${code}`),
        stop: (code) => calls.push(`stop ${code}`),
        consume: (bytes) => calls.push(`consume ${bytes}`),
      } as SessionStream;
    },
  };
  /** Ends as a session does that the requester does not know. */
  const die = () => {
    session.state = 'closed';
    for (const handlers of opened.splice(0)) handlers.onRefused('SESSION_CLOSED');
  };
  return { session, calls, opened, die, fill: () => (room = false) };
}

function testStream() {
  const heard: string[] = [];
  const again: HubStream[] = [];
  const handlers: StreamHandlers = {
    onOpened: ({ port }) => heard.push(`opened ${port}`),
    onRefused: (code) => heard.push(`refused ${code}`),
    onData: (bytes) => heard.push(`data ${bytes.byteLength}`),
    onFin: () => heard.push('fin'),
    onReset: (code) => heard.push(`reset ${code}`),
    onDrain: () => heard.push('drain'),
  };
  return { stream: new HubStream(TARGET, handlers, (lost) => again.push(lost)), heard, again };
}

t.test('a stream of which nothing came is opened on the next session, unnoticed', (t) => {
  const { stream, heard, again } = testStream();
  const [first, second] = [fakeSession(), fakeSession()];
  stream.openOn(first.session, monotonic(0));
  first.die();
  t.strictSame([again, heard], [[stream], []]);
  stream.openOn(second.session, monotonic(1));
  second.opened[0]?.onOpened({ host: '127.0.0.1', port: 7 });
  stream.consume(3, monotonic(2));
  t.strictSame(heard, ['opened 7']);
  t.strictSame(second.calls, ['consume 3']);
  t.equal(stream.id, 42);
  t.end();
});

t.test('an open stream, or one that was written to, ends with its session', (t) => {
  for (const use of ['open', 'write', 'end'] as const) {
    const { stream, heard, again } = testStream();
    const { session, opened, die } = fakeSession();
    stream.openOn(session, monotonic(0));
    if (use === 'open') opened[0]?.onOpened({ host: '127.0.0.1', port: 7 });
    if (use === 'write') stream.write(Buffer.from('x'), monotonic(0));
    if (use === 'end') stream.end(monotonic(0));
    if (use === 'open') {
      session.state = 'closed';
      opened[0]?.onReset('SESSION_CLOSED');
    } else die();
    t.strictSame(again, [], use);
    t.equal(heard.at(-1), use === 'open' ? 'reset SESSION_CLOSED' : 'refused SESSION_CLOSED');
    t.ok(stream.ended);
  }
  t.end();
});

t.test("the requester's own refusals are passed on, and sessions are not tried for ever", (t) => {
  const refused = testStream();
  const { session, opened } = fakeSession();
  refused.stream.openOn(session, monotonic(0));
  opened[0]?.onRefused('POLICY');
  t.strictSame([refused.heard, refused.again], [['refused POLICY'], []]);

  const unlucky = testStream();
  for (let i = 1; i <= MAX_OPEN_ATTEMPTS; i++) {
    t.strictSame(unlucky.heard, []);
    const next = fakeSession();
    unlucky.stream.openOn(next.session, monotonic(i));
    next.die();
  }
  t.strictSame(unlucky.heard, ['refused SESSION_CLOSED']);

  const full = testStream();
  const limit = new MixError('LIMIT', 'full');
  t.throws(() => full.stream.openOn(fakeSession(limit).session, monotonic(0)), limit);
  full.stream.fail('LIMIT');
  t.strictSame(full.heard, ['refused LIMIT']);
  full.stream.fail('NO_REQUESTER');
  t.equal(full.heard.length, 1, 'once');
  t.end();
});

t.test('what is written before there is a session waits for it', (t) => {
  const { stream, heard } = testStream();
  const { session, calls } = fakeSession();
  const bytes = Buffer.from('abc');
  t.equal(stream.write(bytes, monotonic(0)), false, 'asks to wait');
  bytes.fill(0);
  stream.openOn(session, monotonic(1));
  t.strictSame([calls, heard], [['write abc'], ['drain']], 'as it was when it was written');

  const ended = testStream();
  const late = fakeSession();
  ended.stream.write(Buffer.from('abc'), monotonic(0));
  ended.stream.end(monotonic(0));
  ended.stream.openOn(late.session, monotonic(1));
  t.strictSame([late.calls, ended.heard], [['write abc', 'end'], []]);

  const slow = testStream();
  const full = fakeSession();
  full.fill();
  slow.stream.write(Buffer.from('abc'), monotonic(0));
  slow.stream.openOn(full.session, monotonic(1));
  t.strictSame(slow.heard, [], 'the session itself asks to wait, and says when that is over');

  const gone = testStream();
  gone.stream.write(Buffer.from('abc'), monotonic(0));
  gone.stream.stop('RESET', monotonic(0));
  t.ok(gone.stream.ended, 'nobody waits for it any more');
  t.equal(gone.stream.write(Buffer.from('abc'), monotonic(0)), true);
  t.end();
});

function realSession(t: Test, rng = seededRng(3)) {
  const session = proxySession({ surbLifeMs: 500_000 }, rng);
  t.teardown(() => session.abandon('shutdown', 0));
  return session;
}

t.test('a session that ends for good closes before its streams hear of it', (t) => {
  const { stream, heard, again } = testStream();
  const session = realSession(t);
  stream.openOn(session, monotonic(0));
  session.abandon('unknown', 10);
  t.strictSame([again, heard], [[stream], []]);
  t.end();
});

t.test('datagrams pass both ways once there is a session, and are lost before', (t) => {
  const { stream } = testStream();
  t.equal(stream.sendDatagram('192.0.2.1', 53, Buffer.from('?'), monotonic(0)), true);
  const { session, calls, opened } = fakeSession();
  stream.openOn(session, monotonic(0));
  opened[0]?.onOpened({ host: '0.0.0.0', port: 0 });
  t.equal(stream.sendDatagram('192.0.2.1', 53, Buffer.from('?'), monotonic(0)), true);
  t.strictSame(calls, ['datagram 192.0.2.1 53']);
  const got: string[] = [];
  const listening: StreamHandlers = {
    ...{ onOpened() {}, onRefused() {}, onData() {}, onFin() {}, onReset() {}, onDrain() {} },
    onDatagram: (host, port, bytes) => got.push(`${host} ${port} ${Buffer.from(bytes)}`),
  };
  const other = new HubStream(TARGET, listening, () => {});
  const second = fakeSession();
  other.openOn(second.session, monotonic(0));
  second.opened[0]?.onDatagram?.('192.0.2.1', 53, Buffer.from('!'));
  t.strictSame(got, ['192.0.2.1 53 !']);
  t.end();
});

t.test('bytes that waited for a session are sent although the application broke off meanwhile', (t) => {
  const { stream, heard } = testStream();
  const { session, calls } = fakeSession();
  stream.write(Buffer.from('early'), monotonic(0));
  stream.endWithReset('RESET', monotonic(1));
  t.notOk(stream.ended, 'it still waits');
  stream.openOn(session, monotonic(2));
  t.strictSame(calls, ['write early', 'endWithReset RESET']);
  t.ok(stream.ended);
  t.strictSame(heard, []);
  const refused = testStream();
  refused.stream.write(Buffer.from('early'), monotonic(0));
  refused.stream.endWithReset('RESET', monotonic(1));
  refused.stream.fail('LIMIT');
  t.strictSame(refused.heard, [], 'nor that there was no session');
  const empty = testStream();
  empty.stream.endWithReset('RESET', monotonic(1));
  t.ok(empty.stream.ended, 'without bytes nothing is owed');
  t.end();
});
