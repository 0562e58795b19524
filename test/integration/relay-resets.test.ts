/** One socket and one stream: what came before a reset is delivered before it, and an end stays an end. */
import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import { type RelayOutcome, StreamRelay } from '../../lib/relay/stream-relay.ts';
import { acknowledged, type Breaking, readToEnd, sendAndBreak, socketPair } from '../support/broken-connections.ts';
import { ScriptedStream } from '../support/scripted-opener.ts';

const LIMITS = { idleMs: 60_000, halfClosedIdleMs: 60_000 };
const IGNORE = { onOpened() {}, onRefused() {}, onData() {}, onFin() {}, onReset() {}, onDrain() {} };
/** More than the kernels of both ends take. */
const PENDING_BYTES = 16 * 1024 * 1024;

interface Joined {
  readonly relay: StreamRelay;
  readonly stream: ScriptedStream;
  readonly socket: Socket;
  readonly peer: Socket;
  readonly outcome: Promise<RelayOutcome>;
}

async function joined(t: Test, { taking = true, limits = LIMITS } = {}): Promise<Joined> {
  const [socket, peer] = await socketPair();
  t.teardown(() => {
    socket.destroy();
    peer.destroy();
  });
  const stream = new ScriptedStream(0, { kind: 'tcp', host: 'example.org', port: 1 }, IGNORE);
  stream.room = taking;
  let relay: StreamRelay | undefined;
  const outcome = new Promise<RelayOutcome>((onEnded) => {
    relay = new StreamRelay({ clock: systemClock, limits, onEnded });
  });
  const joinedRelay = relay as unknown as StreamRelay;
  joinedRelay.join(socket, stream);
  joinedRelay.startWriting();
  return { relay: joinedRelay, stream, socket, peer, outcome };
}

const isOver = (stream: ScriptedStream) => stream.resetCode !== undefined || stream.stopCode !== undefined;

/** The stream takes one piece after the other. */
async function drain({ relay, stream }: Joined): Promise<void> {
  while (!isOver(stream)) {
    await new Promise(setImmediate);
    relay.onDrain();
  }
}

const BREAKS: readonly { breaking: Breaking; writes: 'nothing' | 'some' | 'more than fits' }[] = [
  { breaking: 'reset', writes: 'nothing' },
  { breaking: 'reset', writes: 'more than fits' },
  { breaking: 'close over unread bytes', writes: 'some' },
  { breaking: 'close over unread bytes', writes: 'more than fits' },
  { breaking: 'fin, then reset', writes: 'nothing' },
  { breaking: 'fin, then reset', writes: 'more than fits' },
];

for (const { breaking, writes } of BREAKS) {
  for (const taking of [true, false]) {
    // The last: some with the stream, some in Node's buffer, and some in the kernel's, which takes no more unread.
    for (const bytes of [0, 1, 150_000]) {
      const title = `socket: ${bytes} bytes, ${breaking}; ${writes} written to it; the stream ${taking ? 'takes' : 'waits'}`;
      t.test(title, { skip: bytes === 0 && !taking }, async (t) => {
        const all = await joined(t, { taking });
        if (writes === 'some') all.relay.onData(new Uint8Array(1000));
        if (writes === 'more than fits') all.relay.onData(new Uint8Array(PENDING_BYTES));
        if (writes === 'some') await acknowledged(all.socket);
        await sendAndBreak(all.peer, bytes, breaking);
        // A FIN alone is no break: writing shows that nobody reads.
        if (breaking === 'fin, then reset') all.relay.onData(new Uint8Array(1));
        await drain(all);
        t.equal(all.stream.written.byteLength, bytes, 'every byte');
        if (breaking === 'fin, then reset') {
          t.ok(all.stream.ended, 'an end stays an end');
          t.equal(all.stream.stopCode, 'RESET', 'and nothing more is read');
        } else {
          t.notOk(all.stream.ended, 'a break is no end');
          t.equal(all.stream.resetCode, 'RESET');
        }
        t.equal(await all.outcome, 'socket-reset');
      });
    }
  }
}

for (const reading of ['at once', 'late'] as const) {
  for (const bytes of [0, 1, 200_000, PENDING_BYTES]) {
    for (const finished of [false, true]) {
      const what = `stream: ${bytes} bytes, ${finished ? 'fin, ' : ''}reset`;
      t.test(`${what}; the socket's peer reads ${reading}`, async (t) => {
        const { relay, peer, outcome } = await joined(t);
        const end = reading === 'at once' ? readToEnd(peer) : undefined;
        if (bytes > 0) relay.onData(new Uint8Array(bytes));
        if (finished) relay.onFin();
        relay.onReset('RESET');
        if (reading === 'late') await new Promise((resolve) => setTimeout(resolve, 30));
        t.same(await (end ?? readToEnd(peer)), { bytes, how: finished ? 'fin' : 'reset' });
        t.equal(await outcome, 'stream-reset');
      });
    }
  }
}

t.test('a peer that writes before it reads is not kept from either by a reset', async (t) => {
  const { relay, peer } = await joined(t);
  relay.onData(new Uint8Array(PENDING_BYTES));
  relay.onReset('RESET');
  await new Promise<void>((resolve, reject) =>
    peer.write(new Uint8Array(PENDING_BYTES), (error) => (error ? reject(error) : resolve())),
  );
  t.same(await readToEnd(peer), { bytes: PENDING_BYTES, how: 'reset' });
});

t.test('a peer that does not read gets the reset when the idle time is over', async (t) => {
  const { relay, socket, outcome } = await joined(t, { limits: { idleMs: 60_000, halfClosedIdleMs: 300 } });
  relay.onData(new Uint8Array(PENDING_BYTES));
  relay.onReset('RESET');
  t.equal(await outcome, 'idle');
  t.ok(socket.destroyed);
});
