import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls';
import t from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { encodeHello } from '../../lib/link/hello.ts';
import { createIdentity, type NodeIdentity } from '../../lib/link/index.ts';
import { DEFAULT_LINK_LIMITS } from '../../lib/link/limits.ts';
import { ALPN, secureOptionsOf, verifyPeer } from '../../lib/link/tls.ts';
import { PENDING_GRACE_MS } from '../../lib/net/connection-table.ts';
import { type Log, silentLog } from '../../lib/telemetry/log.ts';
import {
  NETWORK_ID,
  PACKET_BYTES,
  recordingRelay,
  targetOf,
  testListener,
  testPeerLinks,
  until,
} from '../support/link-fixtures.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const TERMS = { networkId: NETWORK_ID, packetBytes: PACKET_BYTES };
const keysOf = (identity: NodeIdentity) => ({ key: identity.privateKeyPem, cert: identity.certificatePem });

/** Dials by hand, doing only what `options` say; resolves when the other end has closed. */
async function attempt(port: number, options: ConnectionOptions, act: (socket: TLSSocket) => void = () => {}) {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: [ALPN], ...options });
  let received = 0;
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    received += chunk.byteLength;
  });
  socket.once('secureConnect', () => act(socket));
  await closed(socket);
  return received;
}

t.test('peers that do not prove an identity are closed unanswered', async (t) => {
  const identity = await createIdentity(systemRng);
  const ecdsa = await ecdsaCertificate();
  const good = keysOf(identity);
  const sayHello = (socket: TLSSocket) => void socket.write(encodeHello('node', TERMS));
  const attempts: [name: string, options: ConnectionOptions, reason: string][] = [
    ['no client certificate', {}, 'no-certificate'],
    ['no ALPN', { ...good, ALPNProtocols: [] }, 'wrong-alpn'],
    ['another ALPN', { ...good, ALPNProtocols: ['h2'] }, 'tls-error'],
    ['TLS 1.2', { ...good, maxVersion: 'TLSv1.2' }, 'tls-error'],
    // We ask for Ed25519 only, so that a library does not even offer the other one.
    ['a certificate of another kind of key', ecdsa, 'no-certificate'],
  ];
  for (const [name, options, reason] of attempts) {
    const listener = await testListener();
    t.equal(await attempt(listener.port, options, sayHello), 0, `${name}: not a byte of answer`);
    t.strictSame(await listener.refused(1), { [reason]: 1 }, `${name}: ${reason}`);
    t.equal(listener.links.length, 0);
    await listener.close();
  }
});

t.test('a session ticket does not admit who has lost the key', async (t) => {
  const identity = await createIdentity(systemRng);
  const listener = await testListener();
  t.teardown(() => listener.close());
  const sessions: Buffer[] = [];
  const first = connect({
    host: '127.0.0.1',
    port: listener.port,
    rejectUnauthorized: false,
    ALPNProtocols: [ALPN],
    ...keysOf(identity),
  });
  first.on('session', (session) => sessions.push(session));
  first.once('secureConnect', () =>
    first.write(Buffer.concat([encodeHello('node', TERMS), Buffer.alloc(PACKET_BYTES - 44)])),
  );
  await until(() => listener.links.length === 1 && sessions.length > 0);
  first.destroy();

  const [session] = sessions;
  t.equal(await attempt(listener.port, { session: session as Buffer }), 0);
  t.strictSame(await listener.refused(1), { 'no-certificate': 1 }, 'not resumed, so the missing certificate shows');
});

t.test('what a careless server lets through is refused all the same', async (t) => {
  const [identity, client] = await Promise.all([createIdentity(systemRng), createIdentity(systemRng)]);
  const verdicts: unknown[] = [];
  // A careless server: it issues tickets, as Node does by default.
  const server = createServer({
    ...keysOf(identity),
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: [ALPN],
  });
  server.on('secureConnection', (socket) => {
    verdicts.push(verifyPeer(socket));
    socket.on('error', () => {});
    socket.end('x');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  let session: Buffer | undefined;
  await attempt(port, { ...keysOf(client) }, (socket) => socket.on('session', (ticket) => (session = ticket)));
  t.strictSame(verdicts.pop(), { peer: client.id });
  let ours: unknown;
  await attempt(port, { session: session as Buffer }, (socket) => (ours = verifyPeer(socket, identity.id)));
  t.strictSame(verdicts.pop(), { fault: 'resumed-session' }, 'the accepting side');
  t.strictSame(ours, { fault: 'resumed-session' }, 'the dialling side');
  await attempt(port, await ecdsaCertificate());
  t.strictSame(verdicts.pop(), { fault: 'not-ed25519' });
});

t.test('a hello of another network, kind, version or packet size is refused, and so is none', async (t) => {
  const identity = await createIdentity(systemRng);
  const corrupted = (offset: number, value: number) => {
    const hello = encodeHello('node', TERMS);
    hello[offset] = value;
    return hello;
  };
  const padded = (hello: Buffer) => Buffer.concat([hello, Buffer.alloc(PACKET_BYTES - hello.byteLength)]);
  const network = encodeHello('node', { ...TERMS, networkId: new Uint8Array(32) });
  const attempts: [name: string, bytes: Buffer, reason: string][] = [
    ['a foreign network', padded(network), 'wrong-network'],
    ['an unknown kind', padded(corrupted(5, 4)), 'wrong-kind'],
    ['another packet size', padded(encodeHello('node', { ...TERMS, packetBytes: 8557 })), 'wrong-frame-size'],
    ['a megabyte of garbage', randomBytes(2 ** 20), 'bad-hello'],
    ['a frame that stops short', padded(encodeHello('node', TERMS)).subarray(0, 2000), 'truncated-frame'],
    ['a hello that stops short', encodeHello('node', TERMS).subarray(0, 20), 'truncated-frame'],
    ['no hello', Buffer.alloc(0), 'no-hello'],
  ];
  for (const [name, bytes, reason] of attempts) {
    const listener = await testListener();
    t.equal(await attempt(listener.port, keysOf(identity), (socket) => socket.end(bytes)), 0, `${name}: no answer`);
    t.strictSame(await listener.refused(1), { [reason]: 1 }, `${name}: ${reason}`);
    await listener.close();
  }
});

t.test('a hello of another version is answered with one of ours, and both ends name both versions', async (t) => {
  const identity = await createIdentity(systemRng);
  for (const version of [1, 3]) {
    const lines: string[] = [];
    const log = { ...silentLog, warn: (_fields: object, line: string) => lines.push(line) } as unknown as Log;
    const listener = await testListener({ log });
    const hello = Buffer.alloc(PACKET_BYTES);
    encodeHello('node', TERMS).copy(hello);
    hello[4] = version;
    hello[7] = 0;
    const answer = await attempt(listener.port, keysOf(identity), (socket) => socket.end(hello));
    t.equal(answer, PACKET_BYTES, 'one frame');
    t.strictSame(await listener.refused(1), { 'wrong-version': 1 });
    const versions = `this end speaks version 2 of the link protocol, the other end version ${version}`;
    t.strictSame(lines, [`link refused: ${versions}; update the older one`]);
    await listener.close();
  }
});

t.test('a client that names no class is refused', async (t) => {
  const identity = await createIdentity(systemRng);
  const listener = await testListener();
  const hello = Buffer.alloc(PACKET_BYTES + 32);
  encodeHello('client', TERMS).copy(hello);
  t.equal(await attempt(listener.port, keysOf(identity), (socket) => socket.end(hello)), 0);
  t.strictSame(await listener.refused(1), { 'no-class': 1 });
  await listener.close();
});

t.test('a peer that is not admitted in its role is refused', async (t) => {
  const asked: string[] = [];
  const listener = await testListener({
    admit(peer, kind) {
      asked.push(`${kind} ${peer}`);
      return false;
    },
  });
  const identity = await createIdentity(systemRng);
  const peers = await testPeerLinks({ identity });
  t.teardown(() => Promise.all([peers.stop(), listener.close()]));
  peers.setPeers([listener.target()]);
  t.strictSame(await listener.refused(1), { 'not-admitted': 1 });
  t.equal(asked[0], `node ${identity.id}`);
  await until(() => peers.status()[0]?.lastReason === 'refused');
});

t.test('who finds no room learns so, by an answer of one frame, and asks again ever more rarely', async (t) => {
  const full = await testListener({ admit: () => 'full' });
  const refusing = await testListener({ admit: () => false });
  t.teardown(() => Promise.all([full.close(), refusing.close()]));
  const identity = await createIdentity(systemRng);
  const hello = Buffer.alloc(PACKET_BYTES);
  encodeHello('node', TERMS).copy(hello);
  const sayHello = (socket: TLSSocket) => void socket.write(hello);
  t.equal(await attempt(full.port, keysOf(identity), sayHello), PACKET_BYTES, 'the size of all frames');
  t.equal(await attempt(refusing.port, keysOf(identity), sayHello), 0, 'who may not connect gets no answer');
  t.strictSame(await full.refused(1), { full: 1 });
  const clock = new VirtualClock();
  const peers = await testPeerLinks({ identity, clock, rng: { ...systemRng, uniform: () => 0.999 } });
  t.teardown(() => peers.stop());
  peers.setPeers([full.target()]);
  // It waits up to 5 s, then 10, 20, … and never more than two minutes.
  for (const [i, mostMs] of [5_000, 10_000, 20_000, 40_000, 80_000, 120_000, 120_000].entries()) {
    t.strictSame(await full.refused(i + 2), { full: i + 2 });
    await until(() => peers.status()[0]?.state === 'waiting');
    t.equal(peers.status()[0]?.lastReason, 'full');
    clock.advance(0.99 * mostMs);
    t.equal(peers.status()[0]?.state, 'waiting');
    clock.advance(0.01 * mostMs);
    t.equal(peers.status()[0]?.state, 'connecting');
  }
  t.equal(full.links.length, 0);
});

t.test('connections that are slow, or no TLS, are closed with their reason', async (t) => {
  const identity = await createIdentity(systemRng);
  const attempts: [name: string, act: (port: number) => Promise<unknown>, reason: string][] = [
    ['silence', (port) => closed(connectTcp(port, '127.0.0.1').resume()), 'handshake-timeout'],
    ['TLS, then silence', (port) => attempt(port, keysOf(identity)), 'hello-timeout'],
    ['plain bytes', (port) => sendPlain(port, encodeHello('node', TERMS)), 'tls-error'],
    ['plain garbage', (port) => sendPlain(port, randomBytes(2 ** 18)), 'tls-error'],
    [
      'a hello byte by byte',
      (port) => attempt(port, keysOf(identity), (socket) => drip(socket, encodeHello('node', TERMS))),
      'hello-timeout',
    ],
  ];
  for (const [name, act, reason] of attempts) {
    const clock = new VirtualClock();
    // Node measures the time of the TLS handshake itself, by its own clock
    const limits = reason === 'handshake-timeout' ? { handshakeTimeoutMs: 100 } : {};
    const listener = await testListener({ limits, clock });
    const timersBefore = clock.pending;
    const acted = act(listener.port);
    if (reason === 'hello-timeout') {
      await until(() => clock.pending > timersBefore);
      clock.advance(DEFAULT_LINK_LIMITS.handshakeTimeoutMs);
    }
    await acted;
    t.strictSame(await listener.refused(1), { [reason]: 1 }, `${name}: ${reason}`);
    await listener.close();
  }
});

t.test('nothing is written before the other end is known', async (t) => {
  const [expected, actual] = await Promise.all([createIdentity(systemRng), createIdentity(systemRng)]);
  const listener = await testListener({ identity: actual });
  const relay = await recordingRelay(listener.port);
  const peers = await testPeerLinks();
  t.teardown(() => Promise.all([peers.stop(), listener.close(), relay.close()]));
  const target = targetOf(expected.id, relay.port);
  peers.setPeers([target]);
  for (let i = 0; i < 10; i++) peers.send(target.addressKey, new Uint8Array(PACKET_BYTES));
  await listener.refused(1);
  t.equal(peers.status()[0]?.lastReason, 'foreign-key');
  // ClientHello, change of cipher, certificate, its proof, Finished: not a record more.
  t.ok(relay.up.records.length <= 5, `${relay.up.records.length} records`);
});

t.test('a node that accepts and then says nothing, or the wrong thing, is given up', async (t) => {
  const identity = await createIdentity(systemRng);
  const answers: [answer: Buffer | undefined, reason: string][] = [
    [undefined, 'handshake-timeout'],
    [Buffer.concat([encodeHello('client', TERMS), Buffer.alloc(PACKET_BYTES)]), 'wrong-kind'],
    [
      Buffer.concat([encodeHello('node', { ...TERMS, networkId: new Uint8Array(32) }), Buffer.alloc(PACKET_BYTES)]),
      'wrong-network',
    ],
    [randomBytes(PACKET_BYTES), 'bad-hello'],
  ];
  for (const [answer, reason] of answers) {
    const server = createServer({
      ...secureOptionsOf(identity, 'any'),
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: [ALPN],
    });
    server.on('secureConnection', (socket) => {
      socket.on('error', () => {});
      socket.resume();
      if (answer !== undefined) socket.write(answer);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const peers = await testPeerLinks(answer === undefined ? { handshakeTimeoutMs: 100 } : {});
    peers.setPeers([targetOf(identity.id, (server.address() as AddressInfo).port)]);
    await until(() => peers.status()[0]?.lastReason === reason);
    t.pass(reason);
    await peers.stop();
    server.close();
  }
});

t.test('connections are limited in number', async (t) => {
  const listener = await testListener({ limits: { maxConnections: 3, maxPendingHandshakes: 2 } });
  const sockets: Socket[] = [];
  const open = async () => {
    const socket = connectTcp(listener.port, '127.0.0.1').on('error', () => {});
    sockets.push(socket);
    await once(socket, 'connect');
  };
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    await listener.close();
  });
  for (let i = 0; i < 3; i++) await open();
  t.strictSame(await listener.refused(1), { 'too-many-handshakes': 1 });
  const links = await Promise.all([testPeerLinks(), testPeerLinks(), testPeerLinks(), testPeerLinks()]);
  t.teardown(() => Promise.all(links.map((peers) => peers.stop())));
  for (const socket of sockets) socket.destroy();
  for (const peers of links) peers.setPeers([listener.target()]);
  await until(async () => ((await listener.refusals())['too-many-connections'] ?? 0) > 0);
  await until(() => links.filter((peers) => peers.status()[0]?.state === 'up').length === 3);
  t.pass('three links are open, the fourth waits');
});

t.test('a handshake that gives its place to a newcomer is counted once, before its hello as in TLS', async (t) => {
  const clock = new VirtualClock();
  let arrived = 0;
  const isNeighbour = () => {
    arrived += 1;
    return false;
  };
  const listener = await testListener({ clock, isNeighbour, limits: { maxPendingHandshakes: 1 } });
  t.teardown(() => listener.close());
  const inTls = connectTcp(listener.port, '127.0.0.1').on('error', () => {});
  inTls.resume();
  await until(() => arrived === 1);
  clock.advance(PENDING_GRACE_MS);
  let isSecure = () => {};
  const secure = new Promise<void>((resolve) => {
    isSecure = resolve;
  });
  const owesHello = attempt(listener.port, keysOf(await createIdentity(systemRng)), isSecure);
  await Promise.all([closed(inTls), secure]);
  // What the client has sent is read in one of the next turns.
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  t.strictSame(await listener.refused(1), { 'too-many-handshakes': 1 });
  clock.advance(PENDING_GRACE_MS);
  await Promise.all([sendPlain(listener.port, randomBytes(2 ** 18)), owesHello]);
  t.strictSame(await listener.refused(3), { 'too-many-handshakes': 2, 'tls-error': 1 });
});

/** Unlike `once`, takes an error as an end like any other. */
function closed(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.once('close', resolve));
}

async function sendPlain(port: number, bytes: Buffer): Promise<void> {
  const socket = connectTcp(port, '127.0.0.1').on('error', () => {});
  socket.resume();
  socket.write(bytes);
  await closed(socket);
}

function drip(socket: TLSSocket, bytes: Buffer): void {
  const next = (at: number) => {
    if (socket.destroyed || at === bytes.byteLength) return;
    socket.write(bytes.subarray(at, at + 1));
    systemClock.after(10, () => next(at + 1));
  };
  next(0);
}

/** An ECDSA key with a self-signed certificate, as most of the world uses. */
async function ecdsaCertificate(): Promise<{ key: string; cert: string }> {
  await import('reflect-metadata');
  const { X509CertificateGenerator } = await import('@peculiar/x509');
  const { webcrypto } = await import('node:crypto');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { subtle } = webcrypto;
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const keys = {
    privateKey: await subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']),
    publicKey: await subtle.importKey('spki', spki, algorithm, true, ['verify']),
  };
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=other',
    signingAlgorithm: algorithm,
    keys,
  });
  return { key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(), cert: certificate.toString('pem') };
}
