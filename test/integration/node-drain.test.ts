/** A node that stops: what it has taken in leaves first. */
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { systemRng } from '../../lib/core/rng.ts';
import { encodeHello } from '../../lib/link/hello.ts';
import { InboundHandshake } from '../../lib/link/inbound-handshake.ts';
import { createIdentity, type NodeIdentity } from '../../lib/link/index.ts';
import { DEFAULT_LINK_LIMITS } from '../../lib/link/limits.ts';
import { ALPN, PEER_OPTIONS, secureOptionsOf } from '../../lib/link/tls.ts';
import { DRAIN_MS, drain } from '../../lib/node/drain.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { testListener, testPeerLinks, until } from '../support/link-fixtures.ts';
import { MiniClient, startMiniNetwork } from '../support/mini-network.ts';
import { reservedPort } from '../support/ports.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const PATH = ['mix-1-1', 'mix-2-1', 'mix-3-1', 'gateway-1'];
const PACKETS = 20;
/** At each mix: all packets are still in the first one when that is asked to stop. */
const DELAY_MS = 300;

t.test('packets in the pool of a mix that stops come to their ends', async (t) => {
  const net = await startMiniNetwork();
  t.teardown(() => net.stop());
  const client = await MiniClient.connect(net);
  t.teardown(() => client.close());
  const mix = net.node('mix-1-1');
  t.strictSame(mix.running.health.ready(), [], 'it is ready');
  for (let i = 0; i < PACKETS; i++) client.send(net.entry(mix.name).address, client.loop(PATH, DELAY_MS).packet);
  await until(async () => (await mix.count('packets_received_total')) === PACKETS);
  const stopped = mix.stop();
  t.strictSame(mix.running.health.ready(), ['stopping']);
  await stopped;
  // Else there is nothing to wait for.
  if (!t.equal(await mix.count('packets_forwarded_total', { to: 'node' }), PACKETS)) return;
  await until(() => client.received.length === PACKETS);
  await mix.start();
});

t.test('a listener that finishes with one kind of links keeps the other, and takes nobody new', async (t) => {
  const listener = await testListener({ port: await reservedPort(), onLink: () => {} });
  const peers = await testPeerLinks();
  const others = await testPeerLinks();
  t.teardown(() => Promise.all([peers.stop(), others.stop(), listener.close()]));
  peers.setPeers([listener.target()]);
  await until(() => peers.status()[0]?.state === 'up');
  listener.finish('client');
  others.setPeers([listener.target()]);
  await until(() => others.status()[0]?.lastReason !== '');
  t.equal(others.status()[0]?.lastReason, 'ECONNREFUSED');
  t.equal(peers.status()[0]?.state, 'up');
  listener.finish('node');
  await until(() => peers.status()[0]?.state !== 'up');
});

t.test('what a client had sent before its connection was closed here is no hello any more', async (t) => {
  const [gateway, client] = [await createIdentity(systemRng), await createIdentity(systemRng)];
  const terms = { networkId: new Uint8Array(32), packetBytes: 1000 };
  const { port, accepted } = await acceptOne(t, gateway);
  const { certificatePem: cert, privateKeyPem: key } = client;
  const hello = Buffer.alloc(1000, 1); // shows something of an invitation
  encodeHello('client', terms, { trafficClass: 'standard', clocked: true }).copy(hello);
  const dialled = connect({ host: '127.0.0.1', port, ...PEER_OPTIONS, cert, key }, () => dialled.write(hello));
  dialled.on('error', () => {});
  const socket = await accepted;
  await until(() => {
    socket.read(0);
    return socket.readableLength === hello.byteLength;
  });
  const down = new Promise<string>((onDown) => {
    InboundHandshake.start({
      ...{ socket, terms, peer: client.id, clock: new VirtualClock(), limits: DEFAULT_LINK_LIMITS, onDown },
      admit: () => true,
      countersign: () => new Uint8Array(0),
      onUp: () => t.fail('no link'),
      onOtherVersion: () => {},
      onFrame: () => {},
    });
  });
  socket.resume();
  socket.destroy();
  t.equal(await down, 'no-hello');
});

t.test('whoever is in the middle of a handshake when a listener finishes is refused at once', async (t) => {
  const listener = await testListener({ clock: new VirtualClock() }); // its time-outs never come
  t.teardown(() => listener.close());
  const { port } = listener;
  const host = '127.0.0.1';
  const silent = connectTcp({ host, port });
  await once(silent, 'connect');
  const { certificatePem: cert, privateKeyPem: key } = await createIdentity(systemRng);
  const secured = connect({ host, port, ...PEER_OPTIONS, cert, key });
  await once(secured, 'secureConnect'); // so the one before is accepted, too
  const closed = [silent, secured].map((socket) => once(socket.on('error', () => {}).resume(), 'close'));
  listener.finish('node');
  await Promise.all(closed);
  t.strictSame(await listener.refused(2), { stopping: 2 });
  t.strictSame(listener.links, []);
});

t.test('packets that stay too long do not hold up the stop, and are said', async (t) => {
  const clock = new VirtualClock();
  const said: object[] = [];
  const log: Log = { ...silentLog, info: (fields) => said.push(fields) };
  const order: string[] = [];
  const listener = { finish: (kind: string) => void order.push(kind) };
  let stopped = false;
  const done = drain({ listener, waiting: () => 3, clock, log }).then(() => {
    stopped = true;
  });
  const advance = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 10) {
      clock.advance(10);
      await new Promise(setImmediate);
    }
  };
  await advance(DRAIN_MS - 100);
  t.equal(stopped, false);
  await advance(200);
  await done;
  t.strictSame(order, ['node'], 'clients get what is for them until the end');
  t.strictSame(said, [{ packets: 3 }]);
});

/** A server for one connection, which is not read. */
async function acceptOne(t: Test, identity: NodeIdentity) {
  const server = createServer({ ...secureOptionsOf(identity, 'any'), ...PEER_OPTIONS, ALPNProtocols: [ALPN] });
  const accepted = new Promise<TLSSocket>((resolve) => server.once('secureConnection', (one) => resolve(one.pause())));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { port: (server.address() as AddressInfo).port, accepted };
}
