/** Connections between members and authorities have bounds at both ends. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { SERVER_LIMITS, serveApi } from '../../directory/server.ts';
import { httpTransport } from '../../lib/directory/client/http-transport.ts';
import { silentLog } from '../../lib/telemetry/log.ts';

/** Without the bounds on time, which a slow machine would reach. */
const TIMELESS = { ...SERVER_LIMITS, headersTimeoutMs: 0, requestTimeoutMs: 0, idleTimeoutMs: 0 };

/** An authority's server that has nothing to tell yet: it answers 503. */
async function startingAuthority(
  t: Test,
  limits: { readonly [K in keyof typeof TIMELESS]: number } = TIMELESS,
): Promise<number> {
  const server = await serveApi(
    () => undefined,
    '127.0.0.1:0',
    silentLog,
    () => {},
    limits,
  );
  t.teardown(() => server.close());
  return server.port;
}

async function connected(t: Test, port: number, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress }).on('error', () => {});
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

t.test('a member has two connections to an authority; further requests wait', async (t) => {
  const waiting: ServerResponse[] = [];
  let connections = 0;
  const server = createServer((_request, response) => waiting.push(response));
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const transport = httpTransport();
  t.teardown(async () => {
    await transport.close();
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const { signal } = new AbortController();
  const requests = Array.from({ length: 5 }, () => transport.send({ method: 'GET', url, maxBytes: 100 }, signal));
  for (let answered = 0; answered < 5; answered++) {
    while (waiting.length === 0) await once(server, 'request');
    t.ok(waiting.length <= 2, `${waiting.length} at a time`);
    waiting.shift()?.end('here');
  }
  t.strictSame(
    (await Promise.all(requests)).map(({ text }) => text),
    new Array(5).fill('here'),
  );
  t.equal(connections, 2);
});

t.test('closing ends what a member has asked and what waits for a connection, and opens no other', async (t) => {
  let requests = 0;
  const server = createServer(() => {
    requests += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.closeAllConnections());
  const transport = httpTransport();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const { signal } = new AbortController();
  const results = Array.from({ length: 5 }, () => transport.send({ method: 'GET', url, maxBytes: 100 }, signal));
  const ended = Promise.all(results.map((result) => t.rejects(result, { code: 'HOST_UNREACHABLE' })));
  while (requests < 2) await once(server, 'request');
  await transport.close();
  await ended;
  await new Promise((resolve) => server.close(resolve)); // when no connection is left
  t.equal(requests, 2);
});

t.test('an authority answers so many requests on a connection', async (t) => {
  const socket = await connected(t, await startingAuthority(t));
  const count = SERVER_LIMITS.requestsPerConnection;
  t.equal(count, 1000);
  let answers = '';
  socket.setEncoding('latin1').on('data', (part) => {
    answers += part;
  });
  socket.write('GET / HTTP/1.1\r\nHost: authority\r\n\r\n'.repeat(count + 1));
  while (answers.split('HTTP/1.1 503 ').length - 1 <= count) await once(socket, 'data');
  t.equal(answers.split('\r\n\r\nstarting\n').length - 1, count, 'so many were answered');
  const [last = '', beyond = ''] = answers.split('HTTP/1.1 503 ').slice(-2);
  t.match(last, /^connection: close\r$/im, 'the last says that it is the last');
  t.notMatch(beyond, /starting/, 'and what follows is dropped');
});

t.test('an authority takes so many connections and no more: those that ask stay, silent ones make room', async (t) => {
  t.equal(SERVER_LIMITS.connections, 1024);
  const limits = { ...TIMELESS, connections: 64, connectionsPerSource: 32, reservedConnections: 0 };
  const port = await startingAuthority(t, limits);
  const sockets: Socket[] = [];
  for (let n = 0; n < limits.connections; n++) sockets.push(await connected(t, port, `127.0.0.${10 + (n % 4)}`));
  const [first] = sockets;
  let closed = 0;
  for (const socket of sockets) socket.resume().on('close', () => closed++);
  const further = await connected(t, port, '127.0.0.20');
  further.write('GET / HTTP/1.1\r\nHost: authority\r\n\r\n');
  const [answer] = (await once(further, 'data')) as [Buffer];
  t.match(answer.toString(), /^HTTP\/1.1 503 /, 'a further one is served');
  t.match(answer.toString(), /^Cross-Origin-Resource-Policy: same-origin\r$/im);
  while (closed === 0) await once(first as Socket, 'close');
  t.equal(closed, 1, 'and the oldest silent one has gone for it');
});

t.test('an authority that changes the protocol in place of an answer stalls nobody', async (t) => {
  const server = createServer();
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n'),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const transport = httpTransport();
  t.teardown(async () => {
    await transport.close();
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const asked = transport.send({ method: 'GET', url, maxBytes: 100 }, new AbortController().signal);
  await t.rejects(asked, { code: 'HOST_UNREACHABLE' });
});
