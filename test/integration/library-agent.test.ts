import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import t, { type Test } from 'tap';
import type { Target } from '../../client/client.ts';
import { fetch, MixError, MixnetAgent, MixnetStream } from '../../index.ts';
import { systemClock } from '../../lib/core/clock.ts';
import { Egress } from '../../network-requester/egress/egress.ts';
import { serve, testComponents } from '../support/front-world.ts';
import { startHttps, type TestHttps } from '../support/https.ts';
import { closedPort } from '../support/ports.ts';
import { StreamPairs } from '../support/stream-pair.ts';
import { pattern, patternSha256, sha256, startWeb } from '../support/web.ts';

/** What stands for a client: streams go to an egress in this process, over a pair in memory. */
class NearbyClient {
  readonly connectTimeoutMs = 5000;
  readonly egress = new Egress({ components: testComponents(), allowPrivate: true });
  readonly pairs = new StreamPairs(this.egress.accept);
  readonly targets: Target[] = [];
  readonly streams: MixnetStream[] = [];
  obstacle: MixError | undefined;
  closed = false;

  async ready(): Promise<void> {
    if (this.obstacle !== undefined) throw this.obstacle;
  }

  open(target: Target): MixnetStream {
    this.targets.push(target);
    const { host, port } = target;
    const stream = new MixnetStream({
      clock: systemClock,
      open: (handlers) => this.pairs.open({ kind: 'tcp', host, port }, handlers),
      target: `${host}:${port}`,
      connectTimeoutMs: this.connectTimeoutMs,
    }).start();
    this.streams.push(stream);
    return stream;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.egress.stop();
  }
}

function start(t: Test, terms: Omit<ConstructorParameters<typeof MixnetAgent>[0], 'client' | 'network'> = {}) {
  const client = new NearbyClient();
  const agent = new MixnetAgent({ ...terms, client });
  t.teardown(async () => {
    await agent.destroy();
    await client.close();
  });
  return { client, agent };
}

/** What a failed fetch was caused by. */
async function causeOf(failing: Promise<unknown>): Promise<unknown> {
  try {
    await failing;
  } catch (error) {
    return error instanceof Error ? error.cause : undefined;
  }
  throw new Error('it did not fail');
}

t.test('http requests share streams', async (t) => {
  const web = await startWeb(t);
  const { client, agent } = start(t);
  for (let i = 0; i < 3; i++) {
    t.equal(await (await fetch(`${web.url}/`, { dispatcher: agent })).text(), 'hello through the mixnet\n');
  }
  t.ok(client.streams.length <= 2, 'undici opens a second one before the first is told free');
  t.match(client.targets[0], { host: '127.0.0.1', port: web.port });
  const body = pattern(MB);
  const posted = await fetch(`${web.url}/sha256`, { method: 'POST', body, dispatcher: agent });
  t.equal(await posted.text(), patternSha256(MB));
});

const MB = 1_000_000;

t.test('the request travels with the opening of its stream', async (t) => {
  const web = await startWeb(t);
  const { client, agent } = start(t);
  const asked = fetch(`${web.url}/`, { dispatcher: agent });
  while (client.streams[0] === undefined) await new Promise((resolve) => setImmediate(resolve));
  t.ok(client.streams[0].connecting);
  await (await asked).text();
  const first = client.pairs.opened[0]?.near.writes[0]?.toString() ?? '';
  t.match(first, /^GET \/ HTTP\/1\.1\r\n/);
});

t.test('many requests at once share a bounded number of streams', async (t) => {
  const web = await startWeb(t);
  const { client, agent } = start(t, { connections: 4 });
  const asked = Array.from({ length: 20 }, async (_, i) => {
    const reply = await fetch(`${web.url}/bytes/20000?${i}`, { dispatcher: agent });
    return sha256(new Uint8Array(await reply.arrayBuffer())) === patternSha256(20_000, String(i));
  });
  t.ok((await Promise.all(asked)).every(Boolean), 'each got its own bytes');
  t.equal(client.streams.length, 4);
});

t.test("Node's own fetch and http.request work with the agent", async (t) => {
  const web = await startWeb(t);
  const { client, agent } = start(t);
  const init = { dispatcher: agent } as unknown as RequestInit;
  const reply = await globalThis.fetch(`${web.url}/bytes/${MB}`, init);
  t.equal(sha256(new Uint8Array(await reply.arrayBuffer())), patternSha256(MB));

  const text = await new Promise<string>((resolve, reject) => {
    const createConnection = () => client.open({ host: '127.0.0.1', port: web.port });
    const asked = httpRequest(`${web.url}/`, { createConnection, timeout: 5000 }, (reply) => {
      let body = '';
      reply.setEncoding('utf8').on('data', (part: string) => {
        body += part;
      });
      reply.on('end', () => resolve(body));
    });
    asked.on('error', reject).end();
  });
  t.equal(text, 'hello through the mixnet\n');
});

t.test('https is encrypted end to end', async (t) => {
  const secret = 'a secret that the exit must not see';
  const https: TestHttps = await startHttps(t, (request, response) => {
    request.resume();
    response.end(request.url === '/5mb' ? pattern(5 * MB) : secret);
  });
  const origin = `https://localhost:${https.port}`;
  const { client, agent } = start(t, { tls: { ca: https.ca } });
  t.equal(await (await fetch(`${origin}/`, { dispatcher: agent })).text(), secret);
  const reply = await fetch(`${origin}/5mb`, { dispatcher: agent });
  t.equal(sha256(new Uint8Array(await reply.arrayBuffer())), patternSha256(5 * MB));
  const seen = client.pairs.opened.flatMap(({ near, far }) => [...near.writes, ...far.writes]);
  t.ok(seen.length > 0);
  t.notOk(Buffer.concat(seen).includes(secret), 'ciphertext only');
  t.notOk(Buffer.concat(seen).includes('GET /'), 'ciphertext only');
  t.ok(client.streams.length <= 2);

  const distrustful = start(t);
  t.match(await causeOf(fetch(origin, { dispatcher: distrustful.agent })), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  const misnamed = start(t, { tls: { ca: https.ca } });
  const other = fetch(`https://127.0.0.1:${https.port}/`, { dispatcher: misnamed.agent });
  t.match(await causeOf(other), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
});

t.test('failures are told with their reason', async (t) => {
  const web = await startWeb(t);
  const { client, agent } = start(t);
  const closed = await closedPort();
  for (const protocol of ['http', 'https']) {
    const cause = await causeOf(fetch(`${protocol}://127.0.0.1:${closed}/`, { dispatcher: agent }));
    t.ok(cause instanceof MixError, protocol);
    t.match(cause, { code: 'REFUSED' }, protocol);
  }
  const notTls = await causeOf(fetch(`https://127.0.0.1:${web.port}/`, { dispatcher: agent }));
  t.match(notTls, { code: /^(ERR_SSL|EPROTO)/ });
  client.obstacle = new MixError('NO_CONSENSUS', 'no directory authority has answered yet');
  t.match(await causeOf(fetch('http://example.org/', { dispatcher: agent })), { code: 'NO_CONSENSUS' });

  const wrong = new MixnetAgent({ network: '/does/not/exist.json' });
  t.match(await causeOf(fetch('http://example.org/', { dispatcher: wrong })), { code: 'CONFIG' });
  await wrong.close();
});

t.test('a request can be aborted before the answer and in the middle of it', async (t) => {
  const https = await startHttps(t, (request, response) => {
    if (request.url === '/never') return;
    response.write(pattern(100_000)); // and no end
  });
  const { client, agent } = start(t, { tls: { ca: https.ca } });
  const origin = `https://localhost:${https.port}`;
  const early = new AbortController();
  const never = fetch(`${origin}/never`, { dispatcher: agent, signal: early.signal });
  while (client.egress.counts().opened < 1) await new Promise((resolve) => setTimeout(resolve, 5));
  early.abort();
  await t.rejects(never, { name: 'AbortError' });

  const late = new AbortController();
  const reply = await fetch(`${origin}/endless`, { dispatcher: agent, signal: late.signal });
  const reading = reply.arrayBuffer();
  late.abort();
  await t.rejects(reading, { name: 'AbortError' });
  while (client.egress.counts().active > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  t.pass('the exit has let go of the site');
  const before = await fetch(origin, { dispatcher: agent, signal: AbortSignal.abort() }).catch((error: Error) => error);
  t.match(before, { name: 'AbortError' });
});

t.test('close lets requests finish; destroy does not; a client that is yours stays open', async (t) => {
  const web = await startWeb(t);
  const first = start(t);
  const asked = fetch(`${web.url}/bytes/${MB}`, { dispatcher: first.agent });
  const reply = await asked;
  const closing = first.agent.close();
  t.equal(sha256(new Uint8Array(await reply.arrayBuffer())), patternSha256(MB));
  await closing;
  t.notOk(first.client.closed);
  t.match(await causeOf(fetch(`${web.url}/`, { dispatcher: first.agent })), { code: /^UND_ERR_(CLOSED|DESTROYED)$/ });

  const second = start(t);
  const broken = await fetch(`${web.url}/bytes/${50 * MB}`, { dispatcher: second.agent });
  await new Promise<void>((resolve) => second.agent.destroy(new Error('enough'), resolve));
  await t.rejects(broken.arrayBuffer());
  t.match(await causeOf(fetch(`${web.url}/`, { dispatcher: second.agent })), { code: 'UND_ERR_DESTROYED' });
});

t.test('an isolation token goes with every stream', async (t) => {
  const web = await startWeb(t);
  const { client, agent } = start(t, { isolation: 'one' });
  await (await fetch(`${web.url}/`, { dispatcher: agent })).text();
  t.strictSame(client.targets, [{ host: '127.0.0.1', port: web.port, isolation: 'one' }]);
});

t.test('a site whose end and reset come together is let go of', async (t) => {
  const site = await serve((socket) => socket.resume());
  const { client } = start(t);
  const stream = client.open({ host: '127.0.0.1', port: site.port });
  await once(stream, 'connect');
  const exit = client.pairs.opened[0]?.far.handlers;
  exit?.onFin();
  exit?.onReset('RESET');
  stream.destroy();
  await site.close();
  const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
  while (sockets() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  t.equal(sockets(), 0, 'no descriptor is left behind');
});
