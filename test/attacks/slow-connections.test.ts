/**
 * Many hosts, each within its own bound, hold the seats of a listener with connections that look as if they were in use: requests
 * whose body never comes, answers that nobody reads, TLS handshakes that end with their first message, connections
 * that say nothing. They want to keep all others out.
 */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { SERVER_LIMITS } from '../../directory/server.ts';
import { PEER_OPTIONS } from '../../lib/link/tls.ts';
import { ConnectionBounds } from '../../lib/net/connection-bounds.ts';
import { Flood, hosts } from '../support/flood.ts';
import { LISTENERS, REQUEST, served } from '../support/flooded-listeners.ts';
import { testListener, testPeerLinks, until } from '../support/link-fixtures.ts';

t.jobs = 2; // they mostly wait for connections to come of age

/** A directory has 896 seats for strangers, ten hosts may have 128 each. */
const FLOOD = 1200;
/** Generous: how long it takes is not what is tested. */
const TIMEOUT_MS = 120_000;
const TEN = hosts(10);
const BODILESS = Buffer.from('POST /descriptor HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n');
const LARGE = Buffer.from('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n');
/** A bound of what this file costs. */
const RENEWALS = { renewalsPerSecond: 200 };

t.test(
  'the directory serves others while ten hosts send requests whose body never comes',
  { buffered: true },
  async (t) => {
    const { start, text, expected } = LISTENERS.directory;
    const port = await start(t);
    await Flood.start(t, { port, count: FLOOD, from: TEN, first: BODILESS, ...RENEWALS });
    t.equal(await served(port, text, expected), 5);
  },
);

t.test('a metrics page serves others while ten hosts do not read its answers', { buffered: true }, async (t) => {
  const { start, text, expected } = LISTENERS.metrics;
  const port = await start(t);
  await Flood.start(t, { port, count: 100, from: TEN, first: LARGE, reads: false, ...RENEWALS });
  t.equal(await served(port, text, expected), 5);
});

t.test(
  'a server for which a request in progress is safe serves nobody: the same test rejects it',
  { buffered: true },
  async (t) => {
    const server = createHttpServer((request, response) => request.resume().on('end', () => response.end()));
    const { connections: total, connectionsPerSource: perSource } = SERVER_LIMITS;
    const reserved = 128;
    const bounds = new ConnectionBounds({ limits: { total, pending: total, perSource, reserved } });
    bounds.guard(server);
    let safe = 0;
    server.prependListener('request', ({ socket }) => {
      bounds.settle(socket);
      safe += 1;
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.closeAllConnections() ?? server.close());
    const { port } = server.address() as AddressInfo;
    await Flood.start(t, { port, count: FLOOD, from: TEN, first: BODILESS, ...RENEWALS });
    await until(() => safe >= total - reserved); // what has connected has not been read yet
    t.equal(await served(port, REQUEST, 'HTTP/1.1 200 '), 0);
  },
);

for (const { name, start, text, expected } of [LISTENERS.directory, LISTENERS.socks]) {
  t.test(
    `${name} serves others at once while a hundred hosts hold silent connections`,
    { buffered: true },
    async (t) => {
      const port = await start(t);
      await Flood.start(t, { port, count: FLOOD, from: hosts(100), ...RENEWALS });
      t.equal(await served(port, text, expected), 5);
    },
  );
}

t.test(
  'a metrics page with fewer seats than hosts in the flood serves others after some tries',
  { buffered: true },
  async (t) => {
    const { start, text, expected } = LISTENERS.metrics;
    const port = await start(t);
    await Flood.start(t, { port, count: 200, from: hosts(100), ...RENEWALS });
    const endMs = performance.now() + TIMEOUT_MS;
    let count = 0;
    while (count === 0 && performance.now() < endMs) count = await served(port, text, expected);
    t.ok(count > 0, `${count} of five`);
  },
);

/** The first message of a client that dials a node. */
async function clientHello(t: Test): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectTls({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ...PEER_OPTIONS });
  client.on('error', () => {});
  const [socket] = await once(server, 'connection');
  const [bytes] = await once(socket, 'data');
  socket.destroy();
  client.destroy();
  server.close();
  t.equal(bytes[0], 22, 'a TLS handshake');
  return bytes;
}

t.test(
  'links come up while a host, and a hundred, begin handshakes and go no further',
  { buffered: true },
  async (t) => {
    const listener = await testListener();
    t.teardown(() => listener.close());
    const first = await clientHello(t);
    await Flood.start(t, { port: listener.port, count: 300, first, ...RENEWALS });
    await Flood.start(t, { port: listener.port, count: 300, from: hosts(100), first, ...RENEWALS });
    const links = await Promise.all(
      Array.from({ length: 10 }, (_, n) => testPeerLinks({ localAddress: `127.3.0.${n + 1}` })),
    );
    t.teardown(() => Promise.all(links.map((one) => one.stop())));
    for (const one of links) one.setPeers([listener.target()]);
    const up = () => links.filter((one) => one.status()[0]?.state === 'up').length;
    await until(() => up() === links.length);
    t.equal(up(), links.length, `attempts that failed: ${links.map((one) => one.status()[0]?.attempts)}`);
  },
);

t.test(
  'a neighbour comes up at once while more hosts than there are seats hold one each',
  { buffered: true },
  async (t) => {
    const isNeighbour = (source: string) => source.startsWith('127.3.');
    const listener = await testListener({ isNeighbour });
    t.teardown(() => listener.close());
    await Flood.start(t, { port: listener.port, count: 300, from: hosts(300), ...RENEWALS });
    const neighbour = await testPeerLinks({ localAddress: '127.3.0.1' });
    t.teardown(() => neighbour.stop());
    neighbour.setPeers([listener.target()]);
    await until(() => neighbour.status()[0]?.state === 'up');
    t.equal(neighbour.status()[0]?.attempts, 0);
  },
);
