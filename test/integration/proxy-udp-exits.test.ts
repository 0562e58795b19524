/** An association goes to requesters that let the ports of its datagrams through. */
import t, { type Test } from 'tap';
import type { StreamOpener } from '../../lib/access/opener.ts';
import { type ErrorCode, MixError } from '../../lib/core/errors.ts';
import type { SessionStream, StreamHandlers } from '../../lib/session/index.ts';
import { MAX_EXITS, MAX_WAITING, RETRY_MS, UdpExits } from '../../proxy/udp/udp-exits.ts';
import { eventually, startWorld } from '../support/front-world.ts';
import type { PairEnd } from '../support/stream-pair.ts';
import { Associated, UdpPeer } from '../support/udp.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** A front whose first requester lets through only the ports in `open`; others are there for any port. */
async function world(t: Test, open: readonly number[]) {
  const started = await startWorld();
  t.teardown(() => started.stop());
  const { pairs } = started;
  pairs.suits = (stream, port) => {
    const { forPort } = pairs.opened.find(({ near }) => near === (stream as PairEnd))?.target ?? {};
    return forPort === undefined ? open.includes(port) : forPort === port;
  };
  const lost = async () =>
    Number(/datagrams_total\{fate="queue-full"\} (\d+)/.exec(await started.metrics.text())?.[1] ?? 0);
  return { ...started, lost, client: await Associated.open(t, started.port) };
}

/** What a front hears of a stream that never opens. */
const unopened = (handlers: StreamHandlers): StreamHandlers => ({
  onRefused: (code) => handlers.onRefused(code),
  onReset: (code) => handlers.onReset(code),
  onOpened() {},
  onData() {},
  onFin() {},
  onDrain() {},
});

const portsOf = ({ opened }: { opened: { target: { forPort?: number } }[] }) =>
  opened.map(({ target }) => target.forPort);

t.test('a port that the first requester closes goes to another, and no datagram is lost for it', async (t) => {
  const [usual, other] = [await UdpPeer.echo(t), await UdpPeer.echo(t)];
  const { client, pairs } = await world(t, [usual.port]);
  client.send('127.0.0.1', usual.port, Buffer.from('1'));
  client.send('localhost', other.port, Buffer.from('2'));
  client.send('127.0.0.1', other.port, Buffer.from('3'));
  client.send('127.0.0.1', usual.port, Buffer.from('4'));
  await client.peer.datagram(3);
  t.same(portsOf(pairs), [undefined, other.port], 'one further stream');
  t.same(client.peer.received.map(({ bytes }) => Number(`${bytes.subarray(10)}`)).sort(), [1, 2, 3, 4]);
  client.control.socket.end();
  await eventually(() => pairs.opened.every(({ near }) => near.resetCode !== undefined));
  t.pass('all streams end with the association');
});

t.test('a further requester that refuses or resets costs its datagrams, not the association', async (t) => {
  const [usual, other] = [await UdpPeer.echo(t), await UdpPeer.echo(t)];
  const { client, pairs, lost } = await world(t, [usual.port]);
  const open = pairs.open.bind(pairs);
  pairs.open = (target, handlers) => {
    const stream = open(target, unopened(handlers));
    setImmediate(() => handlers.onRefused('LIMIT'));
    return stream;
  };
  client.send('127.0.0.1', other.port, Buffer.from('refused'));
  await eventually(() => pairs.opened.length === 2);
  await new Promise((resolve) => setImmediate(resolve));
  client.send('127.0.0.1', other.port, Buffer.from('not asked again at once'));
  while ((await lost()) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  pairs.open = () => {
    throw new MixError('NO_REQUESTER', 'as the test says');
  };
  client.send('127.0.0.1', other.port + 1, Buffer.from('nobody'));
  while ((await lost()) === 1) await new Promise((resolve) => setTimeout(resolve, 1));
  client.send('127.0.0.1', usual.port, Buffer.from('goes on'));
  t.equal(`${(await client.peer.datagram(0)).bytes.subarray(10)}`, 'goes on');
  t.equal(pairs.opened.length, 2);
});

t.test('bounds: requesters of an association, datagrams that wait for one', async (t) => {
  const { client, pairs, lost } = await world(t, []);
  const open = pairs.open.bind(pairs);
  pairs.open = (target, handlers) => open(target, unopened(handlers)); // never open
  for (let i = 0; i < MAX_WAITING + 2; i++) client.send('127.0.0.1', 7001, Buffer.from([i]));
  while ((await lost()) < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  t.same(portsOf(pairs), [undefined, 7001]);
  for (let port = 7002; port < 7002 + 2 * MAX_EXITS; port++) client.send('127.0.0.1', port, Buffer.from('x'));
  client.send('127.0.0.1', 7001, Buffer.from('last'));
  while ((await lost()) < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  t.equal(pairs.opened.length, MAX_EXITS);
});

t.test('an association goes on at another requester when its own stops', async (t) => {
  const echo = await UdpPeer.echo(t);
  const { client, pairs, egress, front } = await world(t, [echo.port]);
  client.send('127.0.0.1', echo.port, Buffer.from('before'));
  await client.peer.datagram(0);
  egress.stop();
  await eventually(() => pairs.opened.length === 2);
  client.send('127.0.0.1', echo.port, Buffer.from('after'));
  t.equal(`${(await client.peer.datagram(1)).bytes.subarray(10)}`, 'after');
  t.notOk(client.control.ended);
  t.match(front.streams(), { open: 1 });
  client.control.socket.end();
  // and ends with its connection
  await eventually(() => pairs.opened[1]?.near.resetCode !== undefined);
});

t.test('an association that another requester ends, or that none takes, is over', async (t) => {
  const endings: { code: ErrorCode; open?: () => PairEnd }[] = [
    { code: 'POLICY' },
    {
      code: 'SESSION_CLOSED',
      open: () => {
        throw new MixError('NO_REQUESTER', 'as the test says');
      },
    },
  ];
  for (const { code, open } of endings) {
    const { client, pairs } = await world(t, []);
    if (open !== undefined) pairs.open = open;
    pairs.opened[0]?.far.reset(code);
    await eventually(() => client.control.ended);
    t.equal(pairs.opened.length, 1, code);
  }
});

t.test('a requester that ends its sessions again and again is not asked for ever', async (t) => {
  const clock = new VirtualClock();
  const opened: StreamHandlers[] = [];
  let ended = 0;
  const events = { onDatagram: () => {}, onOpened: () => {}, onRefused: () => {}, onEnded: () => void ended++ };
  const open = (_target: unknown, handlers: StreamHandlers) => {
    opened.push(handlers);
    return { reset: () => {} } as unknown as SessionStream;
  };
  const opener = { open, suits: () => true } as unknown as StreamOpener;
  const exits = new UdpExits({ opener, clock, isolation: undefined, ...events });
  exits.start();
  for (let times = 1; times <= 5; times++) {
    opened.at(-1)?.onOpened({ host: '0.0.0.0', port: 0 });
    clock.advance(RETRY_MS);
    opened.at(-1)?.onReset('SESSION_CLOSED');
    t.equal(opened.length, 1 + times);
  }
  opened.at(-1)?.onReset('SESSION_CLOSED');
  t.equal(ended, 1);
  t.equal(opened.length, 6);
});
