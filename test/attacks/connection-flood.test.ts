/**
 * One host opens 1,200 connections to every listener that it can reach, says nothing, or half a request, on them, and
 * opens another for each that is closed. It wants to keep all others out: nodes from mixes and gateways, everybody from the
 * directory, an operator from the metrics, programs from a proxy that a house shares.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { SERVER_LIMITS, serveApi } from '../../directory/server.ts';
import { DEFAULT_LINK_LIMITS } from '../../lib/link/limits.ts';
import { MAX_WAITING } from '../../lib/net/connection-bounds.ts';
import { LOCAL_HTTP_LIMITS } from '../../lib/net/http.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { DEFAULT_FRONT_LIMITS } from '../../proxy/config.ts';
import { joinTokenOf } from '../support/admission.ts';
import { Flood } from '../support/flood.ts';
import { ask, LISTENERS, REQUEST, served } from '../support/flooded-listeners.ts';
import { testListener, testPeerLinks, until } from '../support/link-fixtures.ts';
import { TokenNetwork } from '../support/token-network.ts';

t.jobs = 2; // they mostly wait for connections to come of age

const FLOOD = 1200;
const HALF = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n');

/** How many of ten nodes can announce themselves and fetch what the authority at `port` has, while it is flooded. */
async function nodesServed(world: TokenNetwork, port: number): Promise<number> {
  const nodes = Array.from({ length: 10 }, async (_, n) => {
    const { text } = world.sent(20 + n, 'gateway');
    const post = `POST /descriptor HTTP/1.1\r\nHost: authority\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
    const get = 'GET /descriptors HTTP/1.1\r\nHost: authority\r\n\r\n';
    const isServed = async (text: string) => {
      // Members ask again: on a slow machine the head of a request may come after its time.
      for (let tries = 0; tries < 3; tries++)
        if ((await ask(port, text, `127.0.2.${n + 1}`)).startsWith('HTTP/1.1 200 ')) return true;
      return false;
    };
    return (await isServed(post)) && (await isServed(get));
  });
  return (await Promise.all(nodes)).filter(Boolean).length;
}

for (const { name, start, text, expected } of Object.values(LISTENERS)) {
  t.test(`${name} serves others while one host floods it`, { buffered: true }, async (t) => {
    const port = await start(t);
    await Flood.start(t, { port, count: FLOOD });
    t.equal(await served(port, text, expected), 5, 'silent connections');
    await Flood.start(t, { port, count: FLOOD / 4, from: ['127.0.0.67'], first: HALF });
    t.equal(await served(port, text, expected), 5, 'and half a request on each of another host');
  });
}

t.test(
  'a server that has a bound for all sources together only serves nobody: the same test rejects it',
  { buffered: true },
  async (t) => {
    const server = createServer((_request, response) => response.end()).listen(0, '127.0.0.1');
    server.maxConnections = 1024;
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    t.teardown(() => server.closeAllConnections() ?? server.close());
    await Flood.start(t, { port, count: FLOOD });
    t.equal(await served(port, REQUEST, 'HTTP/1.1 200 '), 0);
    t.equal(await nodesServed(await TokenNetwork.start(t), port), 0, 'nor nodes');
  },
);

t.test(
  'members of a network announce themselves and fetch while one address floods the authority',
  { buffered: true },
  async (t) => {
    const world = await TokenNetwork.start(t);
    const token = joinTokenOf(1);
    await world.grant(token, { uses: 10 });
    for (let n = 0; n < 10; n++) t.equal(await world.announce(20 + n, 'gateway', token), 'accepted');
    world.clock.advance(1000);
    const api = world.api();
    const server = await serveApi(
      () => api,
      '127.0.0.1:0',
      silentLog,
      () => {},
    );
    t.teardown(() => server.close());
    const flood = await Flood.start(t, { port: server.port, count: FLOOD });
    t.comment(`one address holds ${flood.held} connections`); // fewer where they take so long that the first are closed
    t.ok(flood.opened >= FLOOD, `it has opened ${flood.opened}`);
    t.equal(await nodesServed(world, server.port), 10);
  },
);

t.test('links stay and come up while one host floods a node', { buffered: true }, async (t) => {
  const listener = await testListener();
  t.teardown(() => listener.close());
  const before = await testPeerLinks();
  t.teardown(() => before.stop());
  before.setPeers([listener.target()]);
  await until(() => before.status()[0]?.state === 'up');
  await Flood.start(t, { port: listener.port, count: FLOOD });
  const others = await Promise.all(Array.from({ length: 10 }, () => testPeerLinks()));
  t.teardown(() => Promise.all(others.map((peers) => peers.stop())));
  for (const peers of others) peers.setPeers([listener.target()]);
  await until(() => others.every((peers) => peers.status()[0]?.state === 'up'));
  t.equal(before.status()[0]?.attempts, 0, 'the old link was never lost');
  const refusals = await listener.refusals();
  t.ok((refusals['too-many-of-source'] ?? 0) > 0, JSON.stringify(refusals));
});

t.test('what one host can take is a part of each bound', { buffered: true }, async (t) => {
  t.ok(SERVER_LIMITS.connectionsPerSource <= SERVER_LIMITS.connections / 8);
  t.ok(LOCAL_HTTP_LIMITS.connectionsPerSource <= LOCAL_HTTP_LIMITS.connections / 2);
  t.ok(DEFAULT_FRONT_LIMITS.connectionsPerSource <= DEFAULT_FRONT_LIMITS.connections / 4);
  t.ok(DEFAULT_LINK_LIMITS.maxConnectionsPerSource <= DEFAULT_LINK_LIMITS.maxPendingHandshakes / 2);
  t.ok(MAX_WAITING >= FLOOD, 'and a flood of this size waits, instead of going in circles');
});
