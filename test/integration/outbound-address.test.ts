/** `outboundAddress`: everything that a node or client dials, it dials from there. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { httpTransport } from '../../lib/directory/client/http-transport.ts';
import { askCountersignature, createIdentity, LinkRefusalLog } from '../../lib/link/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { builtLinks, NETWORK_ID, PACKET_BYTES, testListener, testPeerLinks, until } from '../support/link-fixtures.ts';

const FROM = '127.7.8.9';

t.test('links and questions to a gateway come from the address that is set', async (t) => {
  const sources: string[] = [];
  const gateway = await testListener({ isNeighbour: (source) => sources.push(source) < 0 });
  t.teardown(() => gateway.close());
  const identity = await createIdentity(systemRng);
  const client = { trafficClass: 'standard', clocked: false };
  const keyExchange = 'any' as const;
  const terms = { gateway: gateway.target(), networkId: NETWORK_ID, packetBytes: PACKET_BYTES, client, keyExchange };

  const peers = await testPeerLinks({ localAddress: FROM });
  t.teardown(() => peers.stop());
  peers.setPeers([gateway.target()]);
  await until(() => peers.status()[0]?.state === 'up');
  const ofNodes = sources.length;
  const refusals = new LinkRefusalLog(systemClock, silentLog, keyExchange);
  t.ok(await askCountersignature({ ...terms, identity, clock: systemClock, refusals, localAddress: FROM }));
  const asked = sources.length;
  t.ok(asked > ofNodes);
  const { ClientLink } = await builtLinks();
  const link = ClientLink.open({ ...terms, identity, log: silentLog, localAddress: FROM });
  t.teardown(() => link.stop());
  const observed = new Promise((resolve) => link.onObservedAddress(resolve));
  t.equal(await observed, FROM);
  t.ok(sources.length > asked);
  t.strictSame(new Set(sources), new Set([FROM]));
});

t.test('exchanges with authorities come from the address that is set', async (t) => {
  const server = createServer((request, response) => response.end(request.socket.remoteAddress));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const transport = httpTransport(FROM);
  t.teardown(async () => {
    await transport.close();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const { text } = await transport.send({ method: 'GET', url, maxBytes: 100 }, new AbortController().signal);
  t.equal(text, FROM);
});
