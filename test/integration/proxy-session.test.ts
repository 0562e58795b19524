import { createHash } from 'node:crypto';
import t, { type Test } from 'tap';
import { Egress } from '../../network-requester/egress/egress.ts';
import { startFront } from '../../proxy/front/front.ts';
import { connectRequest, eventually, GREETING, RawClient, serve, testComponents } from '../support/front-world.ts';
import { closedPort } from '../support/ports.ts';
import { SessionOpener } from '../support/sim/session-opener.ts';

/** Front and egress over a real session with loss and reordering. */
async function world(t: Test) {
  const components = testComponents();
  const egress = new Egress({ components, allowPrivate: true });
  const sessions = new SessionOpener(egress.accept);
  const front = await startFront({ listen: '127.0.0.1:0', opener: sessions, components, allowPrivate: true });
  t.teardown(async () => {
    await front.stop();
    egress.stop();
    await sessions.stop();
  });
  const ask = async (host: string | number[], port: number, early = Buffer.alloc(0)) => {
    const raw = await RawClient.connect(Number(front.listen.split(':')[1]));
    t.teardown(() => raw.socket.destroy());
    raw.socket.write(Buffer.concat([GREETING, connectRequest(host, port), early]));
    const reply = (await raw.bytes(12))[3];
    return { raw, reply };
  };
  /** Nothing is left at either end. */
  const settled = async () => {
    await eventually(() => sessions.streamsOpen() === 0 && egress.counts().active === 0);
    await eventually(() => front.streams().open === 0);
  };
  return { egress, front, sessions, ask, settled };
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const LOOPBACK = [127, 0, 0, 1];

t.test('echo with early data, half-close and the bytes as they were', async (t) => {
  const { ask, settled } = await world(t);
  const site = await serve((socket) => socket.pipe(socket));
  t.teardown(() => site.close());
  const early = Buffer.alloc(3000, 'early');
  const body = Buffer.alloc(400_000, 'body of the upload ');
  const { raw, reply } = await ask('localhost', site.port, early);
  t.equal(reply, 0);
  raw.socket.end(body);
  t.equal(sha256(await raw.rest()), sha256(Buffer.concat([early, body])));
  await settled();
});

t.test('refusals come through with their reason', async (t) => {
  const { ask, settled } = await world(t);
  const port = await closedPort();
  t.equal((await ask(LOOPBACK, port)).reply, 5);
  t.equal((await ask('no-such-name.invalid', 80)).reply, 4);
  t.equal((await ask(LOOPBACK, port, Buffer.alloc(10_000))).reply, 5, 'with data on its way');
  await settled();
});

t.test('resets both ways leave nothing behind', async (t) => {
  const { ask, settled } = await world(t);
  const site = await serve((socket) => socket.on('data', () => socket.resetAndDestroy()));
  t.teardown(() => site.close());
  const { raw } = await ask(LOOPBACK, site.port);
  raw.socket.write('x');
  await raw.closed;
  t.equal(raw.error?.code, 'ECONNRESET');

  let broken = false;
  const other = await serve((socket) => {
    socket.on('error', () => {
      broken = true;
    });
    socket.write('hello');
  });
  t.teardown(() => other.close());
  const second = await ask(LOOPBACK, other.port);
  await second.raw.bytes(5);
  second.raw.socket.resetAndDestroy();
  await eventually(() => broken);
  await settled();
});

t.test('a site that answers early and closes over a large upload', async (t) => {
  const { ask, settled } = await world(t);
  const answer = Buffer.alloc(40_000, 'too large ');
  const site = await serve((socket) => {
    socket.pause();
    socket.end(answer);
  });
  t.teardown(() => site.close());
  const { raw } = await ask(LOOPBACK, site.port);
  const upload = Buffer.alloc(20_000_000);
  let uploaded = false;
  raw.socket.end(upload, () => {
    uploaded = true;
  });
  const first = await raw.bytes(1);
  for (const socket of site.sockets) socket.destroy();
  t.equal(sha256(Buffer.concat([first, await raw.rest()])), sha256(answer));
  await eventually(() => uploaded || raw.socket.closed);
  await settled();
});

t.test('an application that leaves in the middle of a download', async (t) => {
  const { ask, settled } = await world(t);
  const site = await serve((socket) => {
    const chunk = Buffer.alloc(100_000);
    const pump = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', pump);
    pump();
  });
  t.teardown(() => site.close());
  const { raw } = await ask(LOOPBACK, site.port);
  await raw.bytes(50_000);
  raw.socket.destroy();
  await settled();
  t.pass('both ends have let go');
});
