import { once } from 'node:events';
import { addAbortSignal } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import t from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import { type ErrorCode, MixError } from '../../lib/core/errors.ts';
import { LINGER_MS, MixnetStream, type MixnetStreamOptions } from '../../lib/relay/mixnet-stream.ts';
import type { AcceptedHandlers, AcceptedStream } from '../../lib/session/index.ts';
import { type PairEnd, StreamPairs } from '../support/stream-pair.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { pattern, patternSha256, sha256 } from '../support/web.ts';

const BOUND = { host: '192.0.2.1', port: 4000 };
const WINDOW_BYTES = 65_536;
const MIB = 1024 * 1024;

/** The far end of a stream: notes what comes, and answers as the test says. */
class Far implements AcceptedHandlers {
  received: Buffer[] = [];
  fin = false;
  resetCode: ErrorCode | undefined;
  /** Whether bytes are consumed as they come. */
  reading = true;

  constructor(readonly stream: AcceptedStream) {}

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }

  onData(bytes: Uint8Array): void {
    this.received.push(Buffer.from(bytes));
    if (this.reading) this.stream.consume(bytes.byteLength, monotonic(0));
  }

  onFin(): void {
    this.fin = true;
  }

  onReset(code: ErrorCode): void {
    this.resetCode = code;
  }

  onDrain(): void {}
}

interface Opened {
  readonly stream: MixnetStream;
  readonly near: PairEnd;
  /** Resolves when the request has come to the far end. */
  readonly far: Promise<Far>;
  readonly outcomes: string[];
}

/** A stream whose far end is a `Far`. */
function open(options: Partial<MixnetStreamOptions> = {}): Opened {
  let arrived: (far: Far) => void = () => {};
  const far = new Promise<Far>((resolve) => {
    arrived = resolve;
  });
  const pairs = new StreamPairs(
    (accepted) => {
      const end = new Far(accepted);
      arrived(end);
      return end;
    },
    { windowBytes: WINDOW_BYTES },
  );
  const outcomes: string[] = [];
  const stream = new MixnetStream({
    clock: systemClock,
    open: (handlers) => pairs.open({ kind: 'tcp', host: 'example.org', port: 80 }, handlers),
    target: 'example.org:80',
    connectTimeoutMs: 10_000,
    observer: {
      opened: () => outcomes.push('opened'),
      failed: (code) => outcomes.push(`failed ${code}`),
      abandoned: () => outcomes.push('abandoned'),
      ended: (outcome) => outcomes.push(outcome),
    },
    ...options,
  }).start();
  return { stream, near: pairs.opened[0]?.near as PairEnd, far, outcomes };
}

/** The same, open. */
async function opened(options: Partial<MixnetStreamOptions> = {}) {
  const made = open(options);
  const far = await made.far;
  far.stream.opened(BOUND, monotonic(0));
  await once(made.stream, 'connect');
  return { ...made, far };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets everything that is under way happen. */
async function quiet(): Promise<void> {
  for (let i = 0; i < 500; i++) await new Promise((resolve) => setImmediate(resolve));
}

t.test('bytes pass both ways, and each half closes on its own', async (t) => {
  const { stream, far, outcomes } = await opened();
  t.strictSame(stream.bound, BOUND);
  t.equal(stream.connecting, false);
  t.equal(stream.readyState, 'open');
  stream.end(pattern(MIB, 'up'));
  await until(() => far.fin);
  t.equal(sha256(far.bytes), patternSha256(MIB, 'up'));
  t.equal(stream.readyState, 'readOnly');
  t.notOk(stream.destroyed, 'the other half lives');

  far.stream.write(pattern(MIB, 'down'), monotonic(0));
  far.stream.end(monotonic(0));
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  t.equal(sha256(Buffer.concat(parts)), patternSha256(MIB, 'down'));
  t.equal(stream.bytesRead, MIB);
  t.equal(stream.bytesWritten, MIB);
  t.ok(stream.destroyed, 'closed when both halves are');
  t.strictSame(outcomes, ['opened', 'finished']);
  t.equal(far.resetCode, undefined, 'in good order');
});

t.test('the other end may finish first', async (t) => {
  const { stream, far } = await opened();
  far.stream.end(monotonic(0));
  stream.resume();
  await once(stream, 'end');
  t.ok(stream.writable, 'still open to write');
  stream.end('after the end');
  await once(stream, 'close');
  await until(() => far.fin);
  t.equal(far.bytes.toString(), 'after the end');
});

t.test('what is written before `connect` travels with the request', async (t) => {
  const { stream, near, far } = open();
  stream.write('early');
  t.equal(Buffer.concat(near.writes).toString(), 'early');
  t.equal(stream.readyState, 'opening');
  const accepted = await far;
  await until(() => accepted.bytes.byteLength > 0);
  t.ok(stream.connecting);
  stream.destroy();
});

t.test('a far end that does not read stops the writer', async (t) => {
  const { stream, far } = await opened();
  far.reading = false;
  let written = 0;
  const chunk = pattern(16_384);
  while (stream.write(chunk)) written += chunk.byteLength;
  await quiet();
  t.ok(written < 4 * WINDOW_BYTES, `${written} bytes were taken`);
  t.ok(far.bytes.byteLength <= WINDOW_BYTES);
  far.reading = true;
  const drained = once(stream, 'drain');
  far.stream.consume(far.bytes.byteLength, monotonic(0));
  await drained;
  t.pass('and lets it go on');
  stream.destroy();
});

t.test('a program that does not read stops the far end', async (t) => {
  const { stream, near, far } = await opened();
  far.stream.write(pattern(MIB), monotonic(0));
  await quiet();
  const held = near.unconsumed + stream.readableLength;
  t.ok(near.unconsumed <= WINDOW_BYTES, 'no more than the window');
  t.ok(held <= WINDOW_BYTES + stream.readableHighWaterMark + 1900, `${held} bytes are held`);
  far.stream.end(monotonic(0));
  const parts: Buffer[] = [];
  for await (const part of stream) {
    parts.push(part as Buffer);
    if (parts.length % 8 === 0) await quiet();
  }
  t.equal(sha256(Buffer.concat(parts)), patternSha256(MIB));
  t.equal(near.unconsumed, 0, 'all credit was given back');
});

t.test('a pipeline through an echo brings every byte back', async (t) => {
  const { stream, far } = await opened();
  const echo = far.onData.bind(far);
  far.onData = (bytes) => {
    echo(bytes);
    far.stream.write(bytes, monotonic(0));
  };
  far.onFin = () => far.stream.end(monotonic(0));
  const parts: Buffer[] = [];
  await pipeline([pattern(3 * MIB)], stream, async (source: AsyncIterable<Buffer>) => {
    for await (const part of source) parts.push(part);
  });
  t.equal(sha256(Buffer.concat(parts)), patternSha256(3 * MIB));
});

t.test('a refusal has the real reason', async (t) => {
  const { stream, far, outcomes } = open();
  stream.on('connect', () => t.fail('did not connect'));
  (await far).stream.refuse('REFUSED', monotonic(0));
  const [error] = (await once(stream, 'error')) as [MixError];
  t.ok(error instanceof MixError);
  t.equal(error.code, 'REFUSED');
  t.match(error.message, /^no connection to example\.org:80: ./);
  t.strictSame(outcomes, ['failed REFUSED']);
});

t.test('what cannot be opened fails later, as a socket does', async (t) => {
  const { stream } = open({
    open: () => {
      throw new MixError('NO_GATEWAY', 'no gateway');
    },
  });
  t.ok(stream.destroyed);
  const [error] = (await once(stream, 'error')) as [MixError];
  t.equal(error.code, 'NO_GATEWAY');
});

t.test('a stream that is not answered in time fails with TIMEOUT', async (t) => {
  const clock = new VirtualClock();
  const { stream, far, outcomes } = open({ clock, connectTimeoutMs: 5000 });
  const accepted = await far;
  const failed = once(stream, 'error');
  clock.advance(5000);
  t.match(await failed, [{ code: 'TIMEOUT' }]);
  await until(() => accepted.resetCode !== undefined);
  t.equal(accepted.resetCode, 'TIMEOUT', 'the exit need not go on');
  t.strictSame(outcomes, ['failed TIMEOUT']);
  t.equal(clock.pending, 0);
});

t.test('a write that waits fails when the other end breaks off', async (t) => {
  const { stream, far, outcomes } = await opened();
  far.reading = false;
  while (stream.write(pattern(65_536)));
  let waiting: Error | null | undefined;
  stream.write('more', (error) => {
    waiting = error;
  });
  far.stream.reset('RESET', monotonic(0));
  const [error] = (await once(stream, 'error')) as [MixError];
  t.equal(error.code, 'RESET');
  t.match(error.message, /^example\.org:80 broke off/);
  await until(() => waiting !== undefined);
  t.ok(waiting instanceof Error, 'the write hears of it');
  t.strictSame(outcomes, ['opened', 'stream-reset']);
});

t.test('a stream destroyed with an error resets the other end', async (t) => {
  const { stream, far, outcomes } = await opened();
  stream.on('error', () => {});
  stream.destroy(new Error('enough'));
  await until(() => far.resetCode !== undefined);
  t.equal(far.resetCode, 'RESET');
  t.strictSame(outcomes, ['opened', 'stopped']);
});

t.test('a stream destroyed while it opens is given up', async (t) => {
  const { stream, far, outcomes } = open();
  const accepted = await far;
  stream.destroy();
  await until(() => accepted.resetCode !== undefined);
  t.strictSame(outcomes, ['abandoned']);
});

t.test('destroyed without an error: what was written arrives, then the end', async (t) => {
  const clock = new VirtualClock();
  const { stream, far } = await opened({ clock });
  stream.write('last words');
  stream.destroy();
  await until(() => far.fin);
  t.equal(far.bytes.toString(), 'last words');
  t.equal(far.resetCode, undefined);
  far.stream.end(monotonic(0));
  await quiet();
  clock.advance(LINGER_MS);
  await quiet();
  t.equal(far.resetCode, undefined, 'both ends closed in good order');
  t.equal(clock.pending, 0);
});

t.test('destroyed without an error, and the other end goes on: it is stopped, then reset', async (t) => {
  const clock = new VirtualClock();
  const { stream, near, far } = await opened({ clock });
  stream.destroy();
  far.stream.write(pattern(MIB), monotonic(0));
  await quiet();
  t.equal(near.unconsumed, 0, 'nothing is kept of it');
  clock.advance(LINGER_MS);
  await until(() => far.resetCode !== undefined);
  t.equal(clock.pending, 0);
});

t.test('an AbortSignal ends the opening of a stream', async (t) => {
  const { stream, far } = await opened();
  const controller = new AbortController();
  addAbortSignal(controller.signal, stream);
  const failed = once(stream, 'error');
  controller.abort();
  t.match(await failed, [{ name: 'AbortError' }]);
  await until(() => far.resetCode !== undefined);
  t.equal(far.resetCode, 'RESET');
});

t.test('a socket tells of its idle time', async (t) => {
  const clock = new VirtualClock();
  const { stream, far } = await opened({ clock });
  let idle = 0;
  stream.setTimeout(1000, () => {
    idle += 1;
  });
  clock.advance(900);
  stream.write('x');
  clock.advance(900);
  t.equal(idle, 0, 'not while something moves');
  clock.advance(100);
  t.equal(idle, 1);
  t.notOk(stream.destroyed, 'that closes nothing');
  stream.setTimeout(0);
  clock.advance(10_000);
  t.equal(idle, 1);
  far.stream.reset('RESET', monotonic(0));
  await once(stream, 'error');
  t.equal(clock.pending, 0);
});
