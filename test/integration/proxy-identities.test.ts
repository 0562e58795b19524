/**
 * More identities than may have sessions, over real sockets and a hub in virtual time: in each protocol of the front, what is
 * beyond the bound waits, is served when there is room, and is refused in the protocol's own words when its time is up.
 */
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { ProxyMixnet } from '../../lib/access/mixnet.ts';
import type { OpenTarget } from '../../lib/access/opener.ts';
import { Diagnosis } from '../../lib/access/troubles/diagnosis.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { DEFAULT_SESSION_PARAMS } from '../../lib/core/session-params.ts';
import type { StreamHandlers } from '../../lib/session/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { startFront } from '../../proxy/front/front.ts';
import { connectRequest, RawClient } from '../support/front-world.ts';
import { HubWorld } from '../support/sim/hub-world.ts';

const TIMEOUT_MS = 3_000;

/** What a client of a protocol sends to ask for a site under an identity, and how it knows what it was answered. */
interface Client {
  readonly name: string;
  readonly request: (identity: string) => Buffer;
  readonly opened: RegExp;
  readonly refused: RegExp;
}

const basic = (identity: string) => `Basic ${Buffer.from(`${identity}:x`).toString('base64')}`;
const head = (...lines: string[]) => Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
const socks4 = (identity: string, host: string) =>
  Buffer.concat([Buffer.from([4, 1, 0, 80, 0, 0, 0, 1]), Buffer.from(`${identity}\0${host}\0`)]);

/** Answers as hex, or as text for HTTP. */
const CLIENTS: readonly Client[] = [
  {
    name: 'SOCKS5 login',
    request: (id) =>
      Buffer.concat([
        Buffer.from([5, 1, 2, 1, id.length, ...Buffer.from(id), 1, 0x78]),
        connectRequest('site.example', 80),
      ]),
    opened: /^050201000500/,
    refused: /^050201000501/,
  },
  {
    name: 'SOCKS4a user id',
    request: (id) => socks4(id, 'site.example'),
    opened: /^005a/,
    refused: /^005b/,
  },
  {
    name: 'CONNECT with Proxy-Authorization',
    request: (id) =>
      head('CONNECT site.example:80 HTTP/1.1', 'Host: site.example:80', `Proxy-Authorization: ${basic(id)}`),
    opened: /^HTTP\/1.1 200 /,
    refused: /^HTTP\/1.1 503 [\s\S]*Mixsocks-Error: LIMIT/,
  },
  {
    name: 'GET with Proxy-Authorization',
    request: (id) =>
      head('GET http://site.example/ HTTP/1.1', 'Host: site.example', `Proxy-Authorization: ${basic(id)}`),
    opened: /$^/, // the site of this world answers nothing
    refused: /^HTTP\/1.1 503 [\s\S]*Mixsocks-Error: LIMIT/,
  },
];

/** A proxy of which so many identities may have sessions. */
async function startProxy(t: Test, maxIdentities: number) {
  const world = new HubWorld({ mainRate: 500, replyRate: 500, maxIdentities, openTimeoutMs: TIMEOUT_MS });
  const { hub, clock } = world;
  world.run(200);
  const opener = {
    open: ({ kind, host, port, isolation, forPort }: OpenTarget, handlers: StreamHandlers) =>
      hub.open({ kind, host, port }, handlers, isolation, forPort),
    suits: () => true,
    times: { ...DEFAULT_SESSION_PARAMS, openTimeoutMs: TIMEOUT_MS },
  };
  const directory = { topology: () => undefined, clockFault: undefined };
  const mixnet = { hub, directory, endpoint: undefined, obstacle: () => undefined } as unknown as ProxyMixnet;
  const front = await startFront({
    listen: '127.0.0.1:0',
    opener,
    components: { clock, log: silentLog, metrics: new Metrics(), rng: systemRng },
    situation: new Diagnosis(mixnet).situation,
    limits: { handshakeMs: 600_000 },
  });
  t.teardown(async () => {
    await front.stop();
    await hub.stop();
  });
  const until = async (condition: () => boolean) => {
    while (!condition()) {
      world.run(5);
      await turn();
    }
  };
  const port = Number(front.listen.split(':')[1]);
  const asking = async (client: Client, identity: string) => {
    const before = front.streams().connections;
    const raw = await RawClient.connect(port);
    t.teardown(() => raw.socket.destroy());
    raw.socket.write(client.request(identity));
    await until(() => front.streams().connections > before);
    const answer = () => raw.received.toString(/SOCKS/.test(client.name) ? 'hex' : 'latin1');
    return { raw, answer };
  };
  const open = async (client: Client, identity: string) => {
    const asked = await asking(client, identity);
    await until(() => client.opened.test(asked.answer()));
    return asked;
  };
  const reasons = () => front.streams().troubles.reasons.map(({ reason, what }) => `${reason}: ${what}`);
  return { world, front, until, asking, open, reasons };
}

const HOLDER = CLIENTS[0] as Client;

for (const client of CLIENTS) {
  t.test(`${client.name}: beyond the bound a request waits and is refused when its time is up`, async (t) => {
    const { world, until, asking, open, reasons } = await startProxy(t, 2);
    await open(HOLDER, 'first');
    await open(HOLDER, 'second');
    const { answer } = await asking(client, 'third');
    const startMs = world.clock.nowMs();
    await until(() => client.refused.test(answer()));
    const waitedMs = world.clock.nowMs() - startMs;
    t.ok(waitedMs > TIMEOUT_MS - 500 && waitedMs < TIMEOUT_MS + 500, `after ${waitedMs} ms`);
    const kind = client.name.startsWith('GET') ? 'request' : 'connection';
    t.strictSame(reasons(), [`identities-full: 1 ${kind} refused`]);
  });

  if (!client.name.startsWith('GET'))
    t.test(`${client.name}: a request that waits is served as soon as another identity ends`, async (t) => {
      const { world, until, asking, open } = await startProxy(t, 2);
      const first = [await open(client, 'first'), await open(client, 'first')]; // both of one identity
      await open(client, 'second');
      const third = await asking(client, 'third');
      for (let i = 0; i < 100; i++) {
        world.run(5);
        await turn();
      }
      t.notMatch(third.answer(), client.opened, 'it waits');
      t.notMatch(third.answer(), client.refused);
      for (const { raw } of first) raw.socket.resetAndDestroy();
      await until(() => client.opened.test(third.answer()));
      t.equal(world.arrived.length, 4);
    });
}

t.test('the bound can be set, and what waited is served in order', async (t) => {
  const { until, asking, open } = await startProxy(t, 3);
  const held = [];
  for (const id of ['a', 'b', 'c']) held.push(await open(HOLDER, id));
  const waiting = [];
  for (const [i, client] of CLIENTS.slice(0, 3).entries()) waiting.push({ client, ...(await asking(client, `w${i}`)) });
  for (const one of held) {
    one.raw.socket.resetAndDestroy();
    const next = waiting.shift();
    if (next === undefined) break;
    await until(() => next.client.opened.test(next.answer()));
    for (const later of waiting) t.notMatch(later.answer(), later.client.opened, 'those behind it still wait');
  }
  t.equal(waiting.length, 0);
});
