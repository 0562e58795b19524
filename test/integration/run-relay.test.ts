/** What a sealed command's connections look like behind the relay: the same as without it. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { ProxyRelay } from '../../cli/run/relay.ts';
import { sendAndBreak } from '../support/broken-connections.ts';

const BYTES = 3_000_000;

async function listening(t: Test, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return (server.address() as { port: number }).port;
}

/** A relay to a server that hands its connections to `serve`; connects through it. */
async function throughRelay(t: Test, serve: (socket: Socket) => void, max?: number) {
  const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket.on('error', () => {})));
  const port = await listening(t, server);
  const target = { place: { kind: 'tcp', host: '127.0.0.1', port }, localAddress: '127.7.8.9' } as const;
  const relay = new ProxyRelay(target, max);
  t.teardown(() => relay.stop());
  const relayPort = await relay.serve({ host: '127.0.0.1', port: 0 });
  return () => connect({ port: relayPort, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {});
}

interface Ending {
  readonly bytes: number;
  readonly how: string;
}

/** All that is read from `socket`, and how it ends. */
function ending(socket: Socket): Promise<Ending> {
  return new Promise((resolve) => {
    let bytes = 0;
    socket.on('data', (part: Buffer) => {
      bytes += part.byteLength;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve({ bytes, how: error.code ?? '' }));
    socket.on('end', () => {
      // Node 20 tells a reset behind unread bytes as an end: a write tells which it was.
      socket.write('', (error) => resolve({ bytes, how: (error as NodeJS.ErrnoException | null)?.code ?? 'end' }));
    });
  });
}

t.test('bytes and ends pass, one direction after the other', async (t) => {
  const dial = await throughRelay(t, (socket) => {
    const seen = ending(socket);
    void seen.then(({ bytes }) => socket.end(`${bytes} from ${socket.remoteAddress}`));
  });
  const socket = dial();
  socket.end(Buffer.alloc(BYTES));
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part as Buffer);
  t.equal(Buffer.concat(parts).toString(), `${BYTES} from 127.7.8.9`, 'from an address of its own');
});

t.test('a reset of the proxy comes behind the bytes before it, to a program that reads late', async (t) => {
  const bytes = 1_000_000; // fits into the buffers of the relay's kernel, not into those of the program's
  let reset = () => {};
  const wasReset = new Promise<void>((resolve) => {
    reset = resolve;
  });
  const dial = await throughRelay(t, (socket) => {
    socket.once('close', reset);
    void sendAndBreak(socket, bytes, 'reset');
  });
  const socket = dial();
  socket.pause();
  const end = ending(socket);
  await wasReset;
  await new Promise((resolve) => setTimeout(resolve, 200)); // the relay has likely seen it; if not, the trial is easier
  socket.resume();
  t.strictSame(await end, { bytes, how: 'ECONNRESET' });
});

t.test('a reset of the program reaches the proxy as a reset', async (t) => {
  let seen: Promise<Ending> | undefined;
  const dial = await throughRelay(t, (socket) => {
    seen = ending(socket);
    socket.once('data', () => socket.write('all of it')); // a reset may overtake bytes that are on their way
  });
  const socket = dial();
  socket.write(Buffer.alloc(1000));
  socket.once('data', () => socket.resetAndDestroy());
  await new Promise((resolve) => socket.once('close', resolve));
  t.strictSame(await seen, { bytes: 1000, how: 'ECONNRESET' });
});

t.test('a proxy that is gone resets the program', async (t) => {
  const relay = new ProxyRelay({ place: { kind: 'unix', path: '/nowhere/at/all' } });
  t.teardown(() => relay.stop());
  const port = await relay.serve({ host: '127.0.0.1', port: 0 });
  t.match(await ending(connect({ port, host: '127.0.0.1' })), { bytes: 0, how: 'ECONNRESET' });
});

t.test('connections beyond the bound are closed at once, and there is room again later', async (t) => {
  const dial = await throughRelay(t, (socket) => socket.resume().write('hello'), 2);
  const greeted = (socket: Socket) =>
    new Promise<boolean>((resolve) => {
      socket.once('data', () => resolve(true));
      socket.once('end', () => resolve(false));
    });
  const first = dial();
  const second = dial();
  t.strictSame(await Promise.all([greeted(first), greeted(second)]), [true, true]);
  t.equal(await greeted(dial()), false);
  first.resetAndDestroy();
  let again = false;
  while (!again) again = await greeted(dial());
  t.ok(again);
});
