/** A node that listens on several addresses: one and the same node on each, with one set of limits. */
import { connect as connectTcp, type Socket, type TcpNetConnectOpts } from 'node:net';
import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import { systemRng } from '../../lib/core/rng.ts';
import { encodeHello } from '../../lib/link/hello.ts';
import { createIdentity, type ListenOptions, type NodeIdentity, type PeerLinks } from '../../lib/link/index.ts';
import { ALPN } from '../../lib/link/tls.ts';
import type { HostPort } from '../../lib/net/address.ts';
import {
  NETWORK_ID,
  PACKET_BYTES,
  type TestListener,
  testListener,
  testPeerLinks,
  until,
} from '../support/link-fixtures.ts';
import { reservedPort } from '../support/ports.ts';

const any = (...hosts: string[]): HostPort[] => hosts.map((host) => ({ host, port: 0 }));

async function listening(t: Test, also: HostPort[], options: Partial<ListenOptions> = {}): Promise<TestListener> {
  const listener = await testListener({ also, ...options });
  t.teardown(() => listener.close());
  return listener;
}

/** A peer that dials one of the addresses. */
async function dialling(t: Test, listener: TestListener, index: number, identity?: NodeIdentity): Promise<PeerLinks> {
  const peers = await testPeerLinks(identity === undefined ? {} : { identity });
  t.teardown(() => peers.stop());
  peers.setPeers([{ ...listener.target(), ...listener.addresses[index] }]);
  return peers;
}

const isUp = (peers: PeerLinks) => peers.status()[0]?.state === 'up';

t.test('each address leads to the node, over IPv4 and IPv6; a peer has one link over all of them', async (t) => {
  const listener = await listening(t, any('127.0.0.1', '::1'));
  t.same(
    listener.addresses.map(({ host }) => host),
    ['127.0.0.1', '127.0.0.1', '::1'],
  );
  t.equal(new Set(listener.addresses.map(({ port }) => port)).size, 3);
  for (const index of [0, 1, 2]) {
    const peers = await dialling(t, listener, index);
    await until(() => isUp(peers));
  }
  const identity = await createIdentity(systemRng);
  const first = await dialling(t, listener, 0, identity);
  await until(() => isUp(first));
  const reasons: string[] = [];
  listener.links.at(-1)?.onClose((reason) => reasons.push(reason));
  await first.stop();
  const second = await dialling(t, listener, 2, identity);
  await until(() => isUp(second) && reasons.length === 1);
  t.ok(['replaced', 'peer-closed'].includes(reasons[0] ?? ''), String(reasons));
});

t.test('limits are for all addresses together: a second one is no second share', async (t) => {
  for (const [limits, reason] of [
    [{ maxConnectionsPerSource: 2 }, 'too-many-of-source'],
    [{ maxConnections: 2, reservedConnections: 0 }, 'too-many-connections'],
  ] as const) {
    const listener = await listening(t, any('127.0.0.1'), { limits });
    for (const index of [0, 1]) {
      const peers = await dialling(t, listener, index);
      await until(() => isUp(peers));
    }
    for (const index of [0, 1]) {
      const late = await dialling(t, listener, index);
      await until(async () => ((await listener.refusals())[reason] ?? 0) > index);
      t.notOk(isUp(late), reason);
      await late.stop();
    }
  }
});

t.test(
  'who dials two addresses from one port has two connections: a link on one settles nothing of the other',
  async (t) => {
    const listener = await listening(t, any('127.0.0.1'), { limits: { handshakeTimeoutMs: 600_000 } });
    const [first, second] = listener.addresses as [HostPort, HostPort];
    const from = { localAddress: '127.0.0.1' };
    const linked = await connected({ ...first, ...from });
    const silent = await connected({ ...second, ...from, localPort: linked.localPort ?? 0 });
    let isClosed = false;
    silent.on('close', () => {
      isClosed = true;
    });
    const { privateKeyPem: key, certificatePem: cert } = await createIdentity(systemRng);
    const socket = connect({ socket: linked, key, cert, rejectUnauthorized: false, ALPNProtocols: [ALPN] });
    t.teardown(() => socket.destroy());
    socket.on('error', () => {});
    socket.resume();
    const hello = Buffer.alloc(PACKET_BYTES);
    encodeHello('node', { networkId: NETWORK_ID, packetBytes: PACKET_BYTES }).copy(hello);
    socket.write(hello);
    await until(() => listener.links.length === 1);
    listener.finish('client');
    await until(() => isClosed);
    t.notOk(linked.destroyed, 'the link of a node stays');
  },
);

/** A TCP connection that the listener has, too. */
async function connected(to: TcpNetConnectOpts): Promise<Socket> {
  const socket = connectTcp(to);
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

t.test('all addresses are bound or none', async (t) => {
  const taken = await listening(t, []);
  const free = { host: '127.0.0.1', port: await reservedPort() };
  await t.rejects(testListener({ ...free, also: [{ host: '127.0.0.1', port: taken.port }] }), {
    code: 'LISTEN',
    message: `cannot listen on 127.0.0.1:${taken.port}: the port is in use`,
  });
  await listening(t, [], free);
});

t.test('0.0.0.0 and :: go together with one port; :: alone takes IPv4 too', async (t) => {
  const port = await reservedPort();
  const both = await listening(t, [{ host: '::', port }], { host: '0.0.0.0', port });
  for (const index of [0, 1]) {
    const host = ['127.0.0.1', '::1'][index] as string;
    const peers = await testPeerLinks();
    t.teardown(() => peers.stop());
    peers.setPeers([{ ...both.target(), host, port }]);
    await until(() => isUp(peers));
  }
  const alone = await listening(t, [], { host: '::' });
  const peers = await testPeerLinks();
  t.teardown(() => peers.stop());
  peers.setPeers([alone.target()]);
  await until(() => isUp(peers));
});
