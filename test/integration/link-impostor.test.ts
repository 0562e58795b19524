import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import t from 'tap';
import { systemRng } from '../../lib/core/rng.ts';
import { encodeHello } from '../../lib/link/hello.ts';
import { createIdentity } from '../../lib/link/index.ts';
import { NETWORK_ID, PACKET_BYTES, targetOf, testListener, testPeerLinks, until } from '../support/link-fixtures.ts';
import { type Ending, Tls13Peer } from '../support/tls13-peer.ts';

/** A whole hello frame of a node. */
function helloFrame(): Buffer {
  const terms = { networkId: NETWORK_ID, packetBytes: PACKET_BYTES };
  return Buffer.concat([encodeHello('node', terms), Buffer.alloc(PACKET_BYTES)]).subarray(0, PACKET_BYTES);
}

t.test('who presents a certificate must hold its key: dialling', async (t) => {
  const [victim, impostor] = await Promise.all([createIdentity(systemRng), createIdentity(systemRng)]);
  const listener = await testListener();
  t.teardown(() => listener.close());
  const attempt = async (privateKeyPem: string) => {
    const socket = connect(listener.port, '127.0.0.1');
    await once(socket, 'connect');
    const credentials = { certificatePem: victim.certificatePem, privateKeyPem };
    return new Tls13Peer(socket, 'client', credentials).run(helloFrame());
  };

  const stolen = await attempt(impostor.privateKeyPem);
  t.strictSame(stolen, { outcome: 'alert', alert: 51 }, 'decrypt_error: the signature is not by that key');
  t.strictSame(await listener.refused(1), { 'tls-error': 1 });
  t.equal(listener.links.length, 0);

  const rightful = await attempt(victim.privateKeyPem);
  t.equal(rightful.outcome, 'data', 'the same peer with the right key is answered');
  t.equal(listener.links[0]?.peer, victim.id);
});

t.test('who presents a certificate must hold its key: accepting', async (t) => {
  const [victim, impostor] = await Promise.all([createIdentity(systemRng), createIdentity(systemRng)]);
  const endings: Ending[] = [];
  let privateKeyPem = impostor.privateKeyPem;
  const server = createServer(async (socket) => {
    const credentials = { certificatePem: victim.certificatePem, privateKeyPem };
    endings.push(await new Tls13Peer(socket, 'server', credentials).run());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const peers = await testPeerLinks();
  t.teardown(async () => {
    await peers.stop();
    server.close();
  });
  peers.setPeers([targetOf(victim.id, port)]);

  await until(() => endings.length > 0);
  t.strictSame(endings[0], { outcome: 'alert', alert: 51 }, 'the dialler leaves without a byte of data');
  t.equal(peers.status()[0]?.state === 'up', false);

  privateKeyPem = victim.privateKeyPem;
  await until(() => endings.some(({ outcome }) => outcome === 'data'));
  const said = endings.find((ending) => ending.outcome === 'data');
  t.ok(said?.outcome === 'data' && said.data.equals(helloFrame()), 'with the right key the first record is the hello');
});
