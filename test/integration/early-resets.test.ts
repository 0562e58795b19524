/** A program that breaks off before the site was reached: what it had sent arrives first, as over a connection of its own. */
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { Egress } from '../../network-requester/egress/egress.ts';
import { startFront } from '../../proxy/front/front.ts';
import { acknowledged, type ReadEnd, readToEnd } from '../support/broken-connections.ts';
import { connectRequest, eventually, GREETING, serve, testComponents } from '../support/front-world.ts';
import { SessionOpener } from '../support/sim/session-opener.ts';

const NAME = 'slow.example';

/** Front and exit over a real session with loss; names resolve when the test says so. */
async function world(t: Test) {
  const components = testComponents();
  const waiting: ((addresses: string[]) => void)[] = [];
  const resolver = {
    resolve: () => new Promise<string[]>((resolve) => waiting.push(resolve)),
    reverse: async () => [],
  };
  const egress = new Egress({ components, allowPrivate: true, resolver });
  const sessions = new SessionOpener(egress.accept);
  const front = await startFront({ listen: '127.0.0.1:0', opener: sessions, components, allowPrivate: true });
  const ends: Promise<ReadEnd>[] = [];
  const site = await serve((socket) => ends.push(readToEnd(socket.pause())));
  t.teardown(async () => {
    await front.stop();
    egress.stop();
    await sessions.stop();
    await site.close();
  });
  /** A program whose request is being resolved, and whose bytes the proxy's kernel has. */
  const program = async (early: number) => {
    const socket = connect({ port: Number(front.listen.split(':')[1]), host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => {});
    socket.write(Buffer.concat([GREETING, connectRequest(NAME, site.port), Buffer.alloc(early)]));
    const asked = waiting.length;
    await eventually(() => waiting.length > asked || waiting.length > 0);
    await acknowledged(socket);
    return socket;
  };
  const reach = (addresses = ['127.0.0.1']) => {
    for (const resolve of waiting.splice(0)) resolve(addresses);
  };
  const settled = () => eventually(() => sessions.streamsOpen() === 0 && egress.counts().active === 0);
  return { front, egress, sessions, ends, program, reach, settled };
}

t.test('bytes that were sent before a reset arrive, and then the reset', async (t) => {
  const { front, egress, sessions, ends, program, reach, settled } = await world(t);
  for (const bytes of [1, 5_000, 120_000]) {
    for (const first of ['reset', 'site'] as const) {
      const socket = await program(bytes);
      socket.resetAndDestroy();
      if (first === 'reset') {
        await eventually(() => front.streams().connections === 0);
        if (bytes <= 5_000) await eventually(() => sessions.streamsOpen() === 0);
        t.equal(egress.counts().active, 1, 'the exit still connects');
      }
      reach();
      await eventually(() => ends.length === 1);
      t.same(await ends.pop(), { bytes, how: 'reset' }, `${bytes} bytes, ${first} first`);
      await settled();
    }
  }
  t.equal(egress.counts().opened, 6);
});

t.test('an end before a reset is an end', async (t) => {
  const { ends, program, reach, settled } = await world(t);
  const socket = await program(5_000);
  await new Promise<void>((resolve) => socket.end(resolve));
  await acknowledged(socket);
  socket.resetAndDestroy();
  reach();
  await eventually(() => ends.length === 1);
  t.same(await ends.pop(), { bytes: 5_000, how: 'fin' });
  await settled();
});

t.test('without bytes there is nothing to deliver: the exit gives up at once', async (t) => {
  const { egress, ends, program, reach, settled } = await world(t);
  const socket = await program(0);
  socket.resetAndDestroy();
  await settled();
  reach();
  t.equal(egress.counts().opened, 0);
  t.equal(ends.length, 0);
});

t.test('a site that cannot be reached then costs nothing', async (t) => {
  const { egress, program, reach, settled } = await world(t);
  const socket = await program(5_000);
  socket.resetAndDestroy();
  reach(['192.0.2.1'].slice(1));
  await settled();
  t.equal(egress.counts().opened, 0);
});
