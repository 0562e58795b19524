import t, { type Test } from 'tap';
import { MixError } from '../../lib/core/errors.ts';
import { DEFAULT_SESSION_PARAMS } from '../../lib/core/session-params.ts';
import type { StreamHandlers } from '../../lib/session/index.ts';
import type { NameResolver } from '../../network-requester/dns/resolver.ts';
import { startFront } from '../../proxy/front/front.ts';
import {
  connectRequest,
  eventually,
  GREETING,
  RawClient,
  startWorld,
  testComponents,
  type WorldOptions,
} from '../support/front-world.ts';
import { ScriptedOpener } from '../support/scripted-opener.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const RESOLVE = 0xf0;
const RESOLVE_PTR = 0xf1;

/** Names and addresses of a small internet. */
const ZONE: Readonly<Record<string, readonly string[]>> = {
  'both.example': ['2606:4700::1111', '1.1.1.1'],
  'six.example': ['2606:4700::1111'],
  'inside.example': ['10.0.0.1', '::1'],
  'mixed.example': ['169.254.169.254', '192.168.1.1', '8.8.8.8'],
  '1.1.1.1': ['one.example', 'uno.example'],
  '2606:4700::1111': ['six.example'],
  '8.8.4.4': ['not a name', 'router.lan'],
  '10.0.0.1': ['router.lan'],
};

class Zone implements NameResolver {
  readonly asked: string[] = [];

  resolve = (name: string) => this.reverse(name);

  async reverse(name: string): Promise<readonly string[]> {
    this.asked.push(name);
    const found = ZONE[name];
    if (found === undefined) throw new MixError('NOT_FOUND', 'the name does not exist');
    return found;
  }
}

async function world(t: Test, allowPrivate: boolean, options: WorldOptions = {}) {
  const zone = new Zone();
  const started = await startWorld({
    front: { allowPrivate, ...options.front },
    egress: { allowPrivate, resolver: zone, ...options.egress },
  });
  t.teardown(() => started.stop());
  const ask = async (host: string | number[], command = RESOLVE) => {
    const raw = await RawClient.connect(started.port);
    t.teardown(() => raw.socket.destroy());
    raw.socket.write(Buffer.concat([GREETING, connectRequest(host, 0, command)]));
    const reply = (await raw.rest()).subarray(2);
    raw.socket.end();
    return reply.toString('hex');
  };
  return { ...started, zone, ask };
}

const IPV4 = (text: string) => `05000001${Buffer.from(text.split('.').map(Number)).toString('hex')}0000`;
const ONE_IPV6 = '05000004260647000000000000000000000011110000';
const NAME = (name: string) =>
  `05000003${Buffer.from([name.length]).toString('hex')}${Buffer.from(name).toString('hex')}0000`;
const failure = (code: number) => `050${code}0001000000000000`;

t.test('a name is resolved at the exit, and what may not be told is left out', async (t) => {
  const { ask, zone, front, egress } = await world(t, false);
  t.equal(await ask('both.example'), IPV4('1.1.1.1'), 'IPv4 when there is a choice');
  t.equal(await ask('SIX.example.'), ONE_IPV6);
  t.equal(await ask('missing.example'), failure(4));
  t.equal(await ask('mixed.example'), IPV4('8.8.8.8'), 'what may not be told is left out');
  t.equal(await ask('inside.example'), failure(2));
  t.same(zone.asked, ['both.example', 'six.example', 'missing.example', 'mixed.example', 'inside.example']);
  t.match(front.streams(), { open: 0, opened: 3, refused: { NOT_FOUND: 1, POLICY: 1 } });
  t.match(egress.counts(), { active: 0, opened: 3 });
});

t.test('names that stay here, and addresses, which need no question', async (t) => {
  const { ask, zone } = await world(t, false);
  for (const host of ['localhost', 'printer.local', 'hidden.onion', '10.0.0.1', '127.1']) {
    t.equal(await ask(host), failure(2), host);
  }
  t.equal(await ask('a b'), failure(8));
  t.equal(await ask([8, 8, 8, 8]), IPV4('8.8.8.8'));
  t.equal(await ask('8.8.8.8'), IPV4('8.8.8.8'));
  t.same(zone.asked, []);
});

t.test('an address is resolved to a name at the exit', async (t) => {
  const { ask, zone } = await world(t, false);
  t.equal(await ask([1, 1, 1, 1], RESOLVE_PTR), NAME('one.example'));
  t.equal(await ask('1.1.1.1', RESOLVE_PTR), NAME('one.example'));
  t.equal(await ask([0x26, 6, 0x47, 0, ...new Array(10).fill(0), 0x11, 0x11], RESOLVE_PTR), NAME('six.example'));
  t.equal(await ask([9, 9, 9, 9], RESOLVE_PTR), failure(4));
  t.equal(await ask([8, 8, 4, 4], RESOLVE_PTR), failure(4), 'neither nonsense nor a private name');
  t.equal(await ask([10, 0, 0, 1], RESOLVE_PTR), failure(2));
  t.equal(await ask('one.example', RESOLVE_PTR), failure(8));
  t.same(zone.asked, ['1.1.1.1', '1.1.1.1', '2606:4700::1111', '9.9.9.9', '8.8.4.4']);
});

t.test('private answers pass where they are allowed', async (t) => {
  const { ask } = await world(t, true);
  t.equal(await ask('inside.example'), IPV4('10.0.0.1'));
  t.equal(await ask('mixed.example'), IPV4('192.168.1.1'), 'but never what is never reachable');
  t.equal(await ask([10, 0, 0, 1], RESOLVE_PTR), NAME('router.lan'));
  t.equal(await ask([8, 8, 4, 4], RESOLVE_PTR), NAME('router.lan'));
});

t.test('the proxy does not take private answers from a requester', async (t) => {
  const { ask } = await world(t, false, { egress: { allowPrivate: true } });
  t.equal(await ask('inside.example'), failure(2));
  t.equal(await ask('mixed.example'), IPV4('8.8.8.8'));
  t.equal(await ask([8, 8, 4, 4], RESOLVE_PTR), failure(4));
});

t.test('SOCKS4a clients can resolve names too', async (t) => {
  const { port } = await world(t, false);
  const ask = async (name: string) => {
    const raw = await RawClient.connect(port);
    t.teardown(() => raw.socket.destroy());
    raw.socket.write(Buffer.concat([Buffer.from([4, RESOLVE, 0, 0, 0, 0, 0, 1, 0]), Buffer.from(`${name}\0`)]));
    return (await raw.rest()).toString('hex');
  };
  t.equal(await ask('both.example'), '005a000001010101');
  t.equal(await ask('six.example'), '005b000000000000', 'there is no room for it');
});

/** A front whose other side is played by the test. */
async function scripted(t: Test) {
  const clock = new VirtualClock();
  const opener = new ScriptedOpener();
  const front = await startFront({
    listen: '127.0.0.1:0',
    opener,
    components: { ...testComponents(), clock },
    allowPrivate: false,
  });
  t.teardown(() => front.stop());
  const raw = await RawClient.connect(Number(front.listen.split(':').at(-1)));
  t.teardown(() => raw.socket.destroy());
  raw.socket.write(Buffer.concat([GREETING, connectRequest('a.example', 7, RESOLVE)]));
  return { front, raw, clock, stream: await opener.stream(0) };
}

t.test('a look-up travels as a stream of its own kind', async (t) => {
  const { raw, stream } = await scripted(t);
  t.match(stream.target, { kind: 'resolve', host: 'a.example', port: 0 });
  t.equal(stream.ended, false, 'until it is open it may change its session');
  raw.socket.end(); // who has nothing more to say still wants the answer
  stream.handlers.onOpened({ host: '0.0.0.0', port: 0 });
  t.equal(stream.ended, true);
  for (const byte of [1, 4, 8, 8, 8, 8]) stream.handlers.onData(Buffer.from([byte]));
  t.equal(stream.consumed, 6);
  stream.handlers.onFin();
  t.equal((await raw.rest()).subarray(2).toString('hex'), IPV4('8.8.8.8'));
});

t.test('an exit that answers nonsense, too much or nothing fails the look-up', async (t) => {
  const cases: readonly (readonly [string, number, (handlers: StreamHandlers) => unknown])[] = [
    ['nonsense', 1, (handlers) => [handlers.onData(Buffer.from([1, 3, 1])), handlers.onFin()]],
    ['a flood', 1, (handlers) => handlers.onData(Buffer.alloc(5000))],
    ['nothing', 4, (handlers) => handlers.onFin()],
    ['a reset', 1, (handlers) => handlers.onReset('RESET')],
    ['silence', 6, () => {}],
  ];
  for (const [name, code, act] of cases) {
    const { raw, stream, front, clock } = await scripted(t);
    stream.handlers.onOpened({ host: '0.0.0.0', port: 0 });
    act(stream.handlers);
    if (name === 'silence') clock.advance(DEFAULT_SESSION_PARAMS.openTimeoutMs);
    t.equal((await raw.rest()).subarray(2).toString('hex'), failure(code), name);
    if (name === 'a flood') t.equal(stream.resetCode, 'INTERNAL');
    if (name === 'silence') t.equal(stream.resetCode, 'TIMEOUT');
    t.equal(front.streams().open, 0, name);
  }
});

t.test('a client that goes away ends its look-up', async (t) => {
  const { raw, stream, front } = await scripted(t);
  raw.socket.resetAndDestroy();
  await stream.until(() => stream.resetCode !== undefined);
  await eventually(() => front.streams().connections === 0);
  stream.handlers.onRefused('TIMEOUT'); // too late to matter
  t.match(front.streams(), { open: 0, opened: 0 });
});

t.test('a look-up fails when the exit stops', async (t) => {
  const silence = () => new Promise<string[]>(() => {});
  const { ask, egress } = await world(t, false, { egress: { resolver: { resolve: silence, reverse: silence } } });
  const reply = ask('slow.example');
  await eventually(() => egress.counts().active === 1);
  egress.stop();
  t.equal(await reply, failure(1));
  t.equal(egress.counts().active, 0);
});
