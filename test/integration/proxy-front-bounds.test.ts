/** What bounds a front: room in its streams, time, and the number of its connections. */
import t from 'tap';
import { eventually, GREETING } from '../support/front-world.ts';
import { world } from '../support/scripted-front.ts';

t.test('backpressure: the socket is not read while the stream has no room', async (t) => {
  const { open } = await world(t);
  const { raw, stream } = await open();
  stream.room = false;
  const chunk = Buffer.alloc(65_536, 7);
  let writes = 0;
  while (raw.socket.write(chunk)) writes++;
  await stream.until(() => stream.written.byteLength > 0);
  const taken = stream.written.byteLength;
  t.ok(taken <= 65_536, `one read of ${taken} bytes`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(stream.written.byteLength, taken, 'and no more');
  stream.room = true;
  stream.handlers.onDrain();
  const total = (writes + 1) * chunk.byteLength;
  await stream.until(() => stream.written.byteLength === total);
});

t.test('backpressure: credit goes back when the socket has taken the bytes', async (t) => {
  const { open } = await world(t);
  const { raw, stream } = await open();
  raw.socket.pause();
  const chunk = Buffer.alloc(1_000_000, 1);
  for (let i = 0; i < 20; i++) stream.handlers.onData(chunk);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.ok(stream.consumed < 12_000_000, `only what the kernel holds: ${stream.consumed}`);
  raw.socket.resume();
  await stream.until(() => stream.consumed === 20_000_000);
  await raw.until(() => raw.receivedBytes === 20_000_000);
});

t.test('idle streams are ended, busy ones are not', async (t) => {
  const { clock, open } = await world(t, { times: { streamIdleMs: 1000, halfClosedIdleMs: 300 } });
  const idle = await open();
  const busy = await open();
  clock.advance(900);
  busy.raw.socket.write('x');
  await busy.stream.until(() => busy.stream.written.byteLength === 1);
  clock.advance(200);
  await idle.raw.gone();
  t.equal(idle.stream.resetCode, 'TIMEOUT');
  t.equal(busy.stream.resetCode, undefined);
  busy.stream.handlers.onFin();
  await busy.raw.rest();
  clock.advance(300);
  t.equal(busy.stream.resetCode, 'TIMEOUT', 'half-closed ones sooner');
});

t.test('connections above the bound are refused', async (t) => {
  const { client, metrics, front } = await world(t, { limits: { connections: 2 } });
  const clients = [await client(), await client()];
  const third = await client();
  await third.gone();
  t.match(await metrics.text(), /handshakes_failed_total\{reason="LIMIT"\} 1/);
  clients[0]?.socket.destroy();
  await eventually(() => front.streams().connections === 1);
  const next = await client();
  next.socket.write(GREETING);
  t.same(await next.bytes(2), Buffer.from([5, 0]), 'room again');
});

t.test('stop breaks everything off', async (t) => {
  const { open, asking, client, front, clock } = await world(t);
  const [opened, opening, silent] = [await open(), await asking(), await client()];
  await front.stop();
  await Promise.all([opened.raw.gone(), opening.raw.gone(), silent.gone()]);
  t.equal(opened.stream.resetCode, 'RESET');
  t.equal(opening.stream.resetCode, 'RESET');
  t.equal(clock.pending, 0, 'no timer is left');
});
