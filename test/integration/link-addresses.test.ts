/** A node with an IPv4 and an IPv6 address is reached over the one that works, with real sockets. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import type { HostPort } from '../../lib/net/address.ts';
import { hasRoute } from '../../lib/net/has-route.ts';
import { type TestListener, testListener, testPeerLinks, until } from '../support/link-fixtures.ts';

async function node(t: Test): Promise<{ listener: TestListener; ipv4: HostPort; ipv6: HostPort }> {
  const listener = await testListener({ also: [{ host: '::1', port: 0 }] });
  t.teardown(() => listener.close());
  const [ipv4, ipv6] = listener.addresses as [HostPort, HostPort];
  return { listener, ipv4, ipv6 };
}

/** Something at ::1 that is no node. */
async function stranger(t: Test, serve: (socket: Socket) => void): Promise<HostPort> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    serve(socket);
  });
  server.listen(0, '::1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { host: '::1', port: (server.address() as AddressInfo).port };
}

async function dial(t: Test, listener: TestListener, ipv4: HostPort, ipv6: HostPort, handshakeTimeoutMs = 10_000) {
  const peers = await testPeerLinks({ handshakeTimeoutMs });
  t.teardown(() => peers.stop());
  peers.setPeers([{ ...listener.target(), ...ipv4, ipv6 }]);
  await until(() => peers.status()[0]?.state === 'up');
  return peers;
}

t.test('of two addresses that work IPv6 is used, the other where nobody listens there', async (t) => {
  const { listener, ipv4, ipv6 } = await node(t);
  const closed = { host: '::1', port: 9 };
  t.equal((await dial(t, listener, { host: '127.0.0.1', port: 9 }, ipv6)).status()[0]?.attempts, 0);
  t.equal((await dial(t, listener, ipv4, closed)).status()[0]?.attempts, 0, 'within one attempt');
  t.equal((await dial(t, listener, { host: '127.0.0.1', port: 9 }, ipv6)).status()[0]?.attempts, 0);
  t.equal((await dial(t, listener, ipv4, ipv6)).status()[0]?.attempts, 0);
});

t.test(
  'what takes the connection and is no node costs one attempt: the next begins with the other address',
  async (t) => {
    const { listener, ipv4 } = await node(t);
    for (const serve of [
      (socket: Socket) => void socket.destroy(),
      (socket: Socket) => void socket.write('220 mail\r\n'),
    ]) {
      const peers = await dial(t, listener, ipv4, await stranger(t, serve));
      t.equal(peers.status()[0]?.attempts, 1);
    }
    const silent = await stranger(t, () => {});
    await dial(t, listener, ipv4, silent, 300);
  },
);

t.test('a peer with one more address is dialled anew, one with the same ones is not', async (t) => {
  const { listener, ipv4, ipv6 } = await node(t);
  const peers = await dial(t, listener, ipv4, ipv6);
  const target = { ...listener.target(), ...ipv4 };
  peers.setPeers([{ ...target, ipv6: { ...ipv6 } }]);
  t.equal(peers.status()[0]?.state, 'up');
  peers.setPeers([target]);
  t.not(peers.status()[0]?.state, 'up');
  await until(() => peers.status()[0]?.state === 'up');
  t.equal(listener.links.length, 2);
});

t.test('this machine has a route to itself', async (t) => {
  t.ok(await hasRoute('127.0.0.1'));
  t.ok(await hasRoute('::1'));
});
