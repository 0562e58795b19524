import { Socket } from 'node:net';
import t, { type Test } from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import type { ErrorCode } from '../../lib/core/errors.ts';
import { MemoryBudget } from '../../lib/core/memory-budget.ts';
import { parseAddress } from '../../lib/net/address-policy.ts';
import type { AcceptedStream, BoundAddress } from '../../lib/session/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { Admission } from '../../network-requester/admission.ts';
import { DEFAULT_EGRESS_LIMITS } from '../../network-requester/config.ts';
import type { NameResolver } from '../../network-requester/dns/resolver.ts';
import { connectToAny } from '../../network-requester/egress/connect.ts';
import { Egress, type EgressOptions } from '../../network-requester/egress/egress.ts';
import { ExitPolicy } from '../../network-requester/policy/exit-policy.ts';
import { parseRules } from '../../network-requester/policy/exit-rules.ts';
import { serve } from '../support/front-world.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** The session's side of a stream at the exit: notes the outcome. */
class Accepted implements AcceptedStream {
  readonly id = 1;
  readonly outcome: Promise<BoundAddress | ErrorCode>;
  written = Buffer.alloc(0);
  resetCode: ErrorCode | undefined;
  #settle: (outcome: BoundAddress | ErrorCode) => void = () => {};

  constructor() {
    this.outcome = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  opened = (bound: BoundAddress) => this.#settle(bound);
  refuse = (code: ErrorCode) => this.#settle(code);
  reset = (code: ErrorCode) => {
    this.resetCode = code;
  };
  endWithReset = (code: ErrorCode) => this.reset(code);
  write(bytes: Uint8Array): boolean {
    this.written = Buffer.concat([this.written, bytes]);
    return true;
  }
  sendDatagram = () => true;
  end(): void {}
  stop(): void {}
  consume(): void {}
}

/** Answers from a list, one entry per call; the last one for ever. */
class ScriptedResolver implements NameResolver {
  calls = 0;
  constructor(readonly answers: readonly (readonly string[])[]) {}
  async resolve(): Promise<readonly string[]> {
    return this.answers[Math.min(this.calls++, this.answers.length - 1)] ?? [];
  }
  reverse = () => this.resolve();
}

function world(t: Test, options: Partial<EgressOptions> = {}) {
  const metrics = new Metrics();
  const components = { clock: systemClock, log: silentLog, metrics };
  const egress = new Egress({ components, allowPrivate: true, ...options });
  t.teardown(() => egress.stop());
  const ask = (host: string, port: number, session = 'one') => {
    const stream = new Accepted();
    const handlers = egress.accept(stream, 'tcp', host, port, session);
    return { stream, handlers, outcome: stream.outcome };
  };
  return { egress, ask, metrics };
}

async function site(t: Test, host = '127.0.0.1') {
  const connected: string[] = [];
  const server = await serve((socket) => connected.push(socket.localAddress ?? ''), host);
  t.teardown(() => server.close());
  return { port: server.port, connected, server };
}

const OPENED_IPV4 = { host: '0.0.0.0', port: 0 };

t.test('the address that was checked is the one that is connected to', async (t) => {
  const { port, connected } = await site(t, '0.0.0.0');
  // A name that changes between two look-ups: the first answer passes, the second must never be asked for.
  const resolver = new ScriptedResolver([['127.0.0.2'], ['127.0.0.3']]);
  const { ask } = world(t, { resolver });
  t.same(await ask('rebind.example', port).outcome, OPENED_IPV4);
  t.same(connected, ['127.0.0.2']);
  t.equal(resolver.calls, 1);
});

t.test('a stream whose memory is wanted while it waits for its connection is refused at once', async (t) => {
  const clock = new VirtualClock();
  const memory = new MemoryBudget(100_000, clock);
  const resolver = { resolve: () => new Promise<never>(() => {}), reverse: () => new Promise<never>(() => {}) };
  const components = { clock, log: silentLog, metrics: new Metrics(), memory };
  const { egress, ask } = world(t, { components, resolver });
  const { handlers, outcome } = ask('slow.example', 80);
  handlers.onData(new Uint8Array(40_000));
  memory.account('pool').set(90_000);
  t.equal(await outcome, 'LIMIT');
  t.equal(egress.counts().active, 0);
  t.strictSame(egress.counts().refused, { LIMIT: 1 });
  t.equal(memory.usedBytes, 90_000);
});

t.test('a public name with a private address is refused', async (t) => {
  const { port, connected } = await site(t);
  for (const addresses of [['127.0.0.1'], ['::ffff:127.0.0.1'], ['10.0.0.1', '::1', '64:ff9b::7f00:1'], []]) {
    const { ask } = world(t, { resolver: new ScriptedResolver([addresses]), allowPrivate: false });
    t.equal(await ask('inside.example', port).outcome, 'POLICY', addresses.join(' '));
  }
  t.same(connected, [], 'no connection was tried');
});

t.test('of a mixed answer only permitted addresses are used', async (t) => {
  const { port, connected } = await site(t);
  const addresses = ['169.254.169.254', '0.0.0.0', 'fe80::1', '::ffff:127.0.0.1', 'nonsense'];
  const { ask } = world(t, { resolver: new ScriptedResolver([addresses]) });
  t.same(await ask('mixed.example', port).outcome, OPENED_IPV4);
  t.same(connected, ['127.0.0.1']);
});

t.test('address literals pass the same gate', async (t) => {
  const { port, connected } = await site(t);
  const strict = world(t, { allowPrivate: false });
  for (const host of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '2130706433', 'localhost', 'fd00::1', 'a.local']) {
    t.equal(await strict.ask(host, port).outcome, 'POLICY', host);
  }
  const { ask } = world(t);
  for (const host of ['169.254.169.254', '0.0.0.0', '::', 'fe80::1', '224.0.0.1', '255.255.255.255']) {
    t.equal(await ask(host, port).outcome, 'POLICY', host);
  }
  for (const host of ['', 'a b', 'a\0', '1.2.3.4.5']) t.equal(await ask(host, port).outcome, 'ADDRESS_TYPE', host);
  for (const bad of [0, -1, 65_536]) t.equal(await ask('127.0.0.1', bad).outcome, 'REFUSED', `port ${bad}`);
  t.same(connected, []);
  t.same(await ask('localhost', port).outcome, OPENED_IPV4);
});

t.test('addresses are tried in turn, and the failure that got furthest is told', async (t) => {
  const { port } = await site(t);
  const resolver = new ScriptedResolver([['127.0.0.9', '::1', '127.0.0.1']]);
  t.same(await world(t, { resolver }).ask('several.example', port).outcome, OPENED_IPV4);
  const { ask } = world(t, { resolver: new ScriptedResolver([['127.0.0.8', '127.0.0.9']]) });
  t.equal(await ask('several.example', port).outcome, 'REFUSED');
  const few = world(t, { resolver, limits: { addressesTried: 2 } });
  t.equal(await few.ask('several.example', port).outcome, 'REFUSED', 'and only so many');
});

t.test('a site is reached over IPv6', async (t) => {
  const { port } = await site(t, '::1');
  t.same(await world(t).ask('::1', port).outcome, { host: '::', port: 0 });
});

t.test('each error of the kernel becomes the refusal that names it', async (t) => {
  const fail = (code: string) => () => {
    const socket = new Socket();
    socket.connect = () => {
      process.nextTick(() => socket.destroy(Object.assign(new Error(code), { code })));
      return socket;
    };
    return socket;
  };
  const address = parseAddress('192.0.2.1');
  if (address === undefined) throw new Error('not an address');
  const attempt = (code: string) =>
    connectToAny([address], 80, {
      clock: systemClock,
      limits: { connectStaggerMs: 250, addressesTried: 3 },
      signal: new AbortController().signal,
      newSocket: fail(code),
    });
  const table = {
    ECONNREFUSED: 'REFUSED',
    EHOSTUNREACH: 'HOST_UNREACHABLE',
    ENETUNREACH: 'NET_UNREACHABLE',
    ETIMEDOUT: 'TIMEOUT',
    EMFILE: 'LIMIT',
    EPERM: 'POLICY',
    ESOMETHING: 'HOST_UNREACHABLE',
  };
  for (const [code, expected] of Object.entries(table)) await t.rejects(attempt(code), { code: expected }, code);
});

const silent = () => {
  const socket = new Socket();
  socket.connect = () => socket;
  return socket;
};

t.test('beside an address that does not answer the next one is tried', async (t) => {
  const clock = new VirtualClock();
  const { port } = await site(t);
  const [first, second] = [silent(), new Socket()];
  const sockets = [first, second];
  const addresses = ['192.0.2.1', '127.0.0.1'].flatMap((text) => parseAddress(text) ?? []);
  const connected = connectToAny(addresses, port, {
    clock,
    limits: { connectStaggerMs: 250, addressesTried: 3 },
    signal: new AbortController().signal,
    newSocket: () => sockets.shift() as Socket,
  });
  clock.advance(249);
  t.equal(sockets.length, 1, 'not yet');
  clock.advance(1);
  t.equal(first.destroyed, false, 'the first may still win');
  const socket = await connected;
  t.equal(socket, second);
  t.equal(socket.remoteAddress, '127.0.0.1');
  t.equal(first.destroyed, true, 'the loser is closed');
  socket.destroy();
  t.equal(clock.pending, 0);
});

t.test('the first address wins although the second was begun', async (t) => {
  const clock = new VirtualClock();
  const [first, second] = [silent(), silent()];
  const sockets = [first, second];
  const addresses = ['192.0.2.1', '192.0.2.2'].flatMap((text) => parseAddress(text) ?? []);
  const connected = connectToAny(addresses, 80, {
    clock,
    limits: { connectStaggerMs: 250, addressesTried: 3 },
    signal: new AbortController().signal,
    newSocket: () => sockets.shift() as Socket,
  });
  clock.advance(250);
  t.equal(sockets.length, 0);
  first.emit('connect');
  t.equal(await connected, first);
  t.equal(second.destroyed, true);
  t.equal(clock.pending, 0);
});

t.test('the time to connect is bounded as a whole', async (t) => {
  const clock = new VirtualClock();
  const egress = new Egress({
    components: { clock, log: silentLog, metrics: new Metrics() },
    allowPrivate: false,
    resolver: { resolve: () => new Promise(() => {}), reverse: () => new Promise(() => {}) },
  });
  const stream = new Accepted();
  egress.accept(stream, 'tcp', 'slow.example', 80, 'one');
  clock.advance(30_000);
  t.equal(await stream.outcome, 'TIMEOUT');
  t.match(egress.counts(), { active: 0, refused: { TIMEOUT: 1 } });
});

t.test('a stream that is reset while it connects makes no connection', async (t) => {
  const { port, connected } = await site(t);
  let answer: (addresses: string[]) => void = () => {};
  const resolve = () => new Promise<string[]>((resolve) => (answer = resolve));
  const resolver = { resolve, reverse: resolve };
  const { ask, egress } = world(t, { resolver });
  const { handlers } = ask('late.example', port);
  t.equal(egress.counts().active, 1);
  handlers.onReset('RESET');
  t.equal(egress.counts().active, 0);
  answer(['127.0.0.1']);
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.same(connected, [], 'no connection for nobody');
});

t.test('streams are bounded in total and per session, and the end of one makes room', async (t) => {
  const { port } = await site(t);
  const { ask, egress } = world(t, { limits: { streams: 3, streamsPerSession: 2 } });
  const first = ask('127.0.0.1', port, 'one');
  const second = ask('127.0.0.1', port, 'one');
  t.equal(await ask('127.0.0.1', port, 'one').outcome, 'LIMIT', 'per session');
  t.same(await ask('127.0.0.1', port, 'two').outcome, OPENED_IPV4);
  t.equal(await ask('127.0.0.1', port, 'two').outcome, 'LIMIT', 'in total');
  t.same([await first.outcome, await second.outcome], [OPENED_IPV4, OPENED_IPV4]);
  first.handlers.onReset('RESET');
  t.same(await ask('127.0.0.1', port, 'one').outcome, OPENED_IPV4);
  t.match(egress.counts(), { active: 3, opened: 4, refused: { LIMIT: 2 } });
});

t.test('UDP is refused where it is not allowed', async (t) => {
  const { egress } = world(t, { allowUdp: false });
  const stream = new Accepted();
  egress.accept(stream, 'udp', '0.0.0.0', 0, 'one');
  t.equal(await stream.outcome, 'COMMAND');
});

t.test('stop refuses what connects and resets what is open', async (t) => {
  const { port } = await site(t);
  const { ask, egress } = world(t);
  const open = ask('127.0.0.1', port);
  await open.outcome;
  const connecting = ask('127.0.0.1', port);
  egress.stop();
  t.equal(await connecting.outcome, 'SESSION_CLOSED');
  t.equal(open.stream.resetCode, 'RESET');
  t.equal(egress.counts().active, 0);
});

t.test("the machine's own public addresses are refused", async (t) => {
  const clock = new VirtualClock();
  let own = ['8.8.4.4', '2606:4700:0:0::53'];
  const policy = new ExitPolicy({ clock, allowPrivate: false, ownAddresses: () => own });
  const texts = () => policy.permitted(['8.8.4.4', '8.8.8.8', '2606:4700::53'], 80).map(({ text }) => text);
  t.same(texts(), ['8.8.8.8']);
  own = [];
  t.same(texts(), ['8.8.8.8'], 'read again now and then only');
  clock.advance(10_001);
  t.same(texts(), ['8.8.4.4', '8.8.8.8', '2606:4700::53']);
  const open = new ExitPolicy({ clock, allowPrivate: true, ownAddresses: () => ['8.8.4.4'] });
  t.equal(open.permitted(['8.8.4.4'], 80).length, 1, 'unless private is allowed');
});

t.test("the operator's rules decide", async (t) => {
  const { port, connected } = await site(t);
  const other = await site(t);
  const rules = parseRules(`reject 127.0.0.1:${port}\naccept *:*`);
  const policy = new ExitPolicy({ clock: systemClock, allowPrivate: true, rules });
  const { ask } = world(t, { policy });
  t.equal(await ask('127.0.0.1', port).outcome, 'POLICY');
  t.equal(await ask('localhost', port).outcome, 'REFUSED', 'the other address of the name is tried');
  t.same(await ask('127.0.0.1', other.port).outcome, OPENED_IPV4);
  policy.setRules([]);
  t.same(await ask('127.0.0.1', port).outcome, OPENED_IPV4, 'new rules hold at once');
  t.equal(await ask('127.0.0.1', 25).outcome, 'POLICY', 'the default rules');
  t.equal(connected.length, 1);
});

t.test('new streams per second are bounded, in total and per session', async (t) => {
  const clock = new VirtualClock();
  const limits = { ...DEFAULT_EGRESS_LIMITS, streamsPerSecond: 20, streamsPerSecondPerSession: 10 };
  const admission = new Admission({ limits }, clock.nowMs());
  const opens = (session: string, attempts: number) => {
    let admitted = 0;
    for (let i = 0; i < attempts; i++) {
      if (!admission.admit(session, clock.nowMs())) continue;
      admission.release(session);
      admitted += 1;
    }
    return admitted;
  };
  for (const session of ['one', 'two', 'three']) t.equal(opens(session, 200), 50, 'five seconds at once');
  t.equal(opens('four', 200), 25, 'half of what is left of the total');
  t.equal(opens('five', 200), 13, 'and again');
  clock.advance(1000);
  t.ok(opens('one', 200) < opens('five', 200), 'who has opened most gets least');
  clock.advance(20_000);
  t.equal(opens('five', 200), 50, 'who was held back by the total has paid nothing of its own');
  t.equal(admission.streams, 0);
});

t.test('sessions come and go, and their number is bounded', async (t) => {
  const limits = { streams: 10, streamsPerSession: 1, streamsPerSecond: 1e6, streamsPerSecondPerSession: 0.2 };
  const admission = new Admission({ limits }, monotonic(0));
  t.ok(admission.admit('stays', monotonic(0)));
  let admitted = 0;
  for (let i = 0; i < 10_000; i++) {
    if (admission.admit(`${i}`, monotonic(0))) admitted += 1;
    admission.release(`${i}`);
  }
  t.equal(admitted, 10_000);
  t.notOk(admission.admit('stays', monotonic(10_000)), 'who has a stream is not forgotten');
  t.notOk(admission.admit('9999', monotonic(0)), 'nor who was seen lately');
  t.ok(admission.admit('0', monotonic(0)), 'the oldest are');
});

t.test('a stream is ended after its longest time, however busy', async (t) => {
  const clock = new VirtualClock();
  const { port } = await site(t);
  const components = { clock, log: silentLog, metrics: new Metrics() };
  const egress = new Egress({ components, allowPrivate: true, limits: { openMs: 60_000 } });
  const stream = new Accepted();
  const handlers = egress.accept(stream, 'tcp', '127.0.0.1', port, 'one');
  t.same(await stream.outcome, OPENED_IPV4);
  for (let i = 0; i < 59; i++) {
    handlers.onData(Buffer.from('busy'));
    clock.advance(1000);
  }
  t.equal(stream.resetCode, undefined);
  clock.advance(1000);
  t.equal(stream.resetCode, 'TIMEOUT');
  t.equal(egress.counts().active, 0);
  t.match(await components.metrics.text(), /requester_streams_ended_total\{outcome="expired"\} 1/);
});
