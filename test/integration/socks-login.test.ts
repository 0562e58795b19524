/**
 * The relay that logs in for programs that speak SOCKS5 without a login, in front of a real front.
 * @module
 */
import { type AddressInfo, createServer } from 'node:net';
import t, { type Test } from 'tap';
import { ProxyRelay } from '../../cli/run/relay.ts';
import { connectRequest, RawClient, serve, startWorld } from '../support/front-world.ts';

const NO_AUTH = Buffer.from([5, 1, 0]);

/** A front, a site that answers with what it gets, and a relay for the login `user`. */
async function relayWorld(t: Test, users: readonly string[]) {
  const world = await startWorld();
  const site = await serve((socket) => socket.on('data', (bytes) => socket.write(bytes)).on('end', () => socket.end()));
  t.teardown(async () => {
    await world.stop();
    site.close();
  });
  const place = { kind: 'tcp', host: '127.0.0.1', port: world.port } as const;
  const ports = [];
  for (const user of users) {
    const relay = new ProxyRelay({ place, login: { user, password: 'x' } });
    t.teardown(() => relay.stop());
    ports.push(await relay.serve({ host: '127.0.0.1', port: 0 }));
  }
  const client = async (port = 0) => {
    const raw = await RawClient.connect(port);
    t.teardown(() => raw.socket.destroy());
    return raw;
  };
  return { world, site, ports, client };
}

t.test('a program without a login shares sessions with its own streams only', async (t) => {
  const { world, site, ports, client } = await relayWorld(t, ['one', 'two']);
  for (const port of [ports[0], ports[0], ports[1], world.port]) {
    const raw = await client(port);
    raw.socket.write(NO_AUTH);
    t.same(await raw.bytes(2), Buffer.from([5, 0]));
    raw.socket.write(connectRequest('127.0.0.1', site.port));
    t.equal((await raw.bytes(10))[1], 0, 'connected');
    raw.socket.write('hello');
    t.equal(String(await raw.bytes(5)), 'hello');
  }
  const tokens = world.pairs.opened.map(({ target }) => target.isolation);
  t.equal(tokens[0], tokens[1], 'one login, one identity');
  t.equal(new Set(tokens).size, 3, 'another login and none are others');
});

t.test('greeting and request may come in one piece, or byte by byte', async (t) => {
  const { site, ports, client } = await relayWorld(t, ['one']);
  const whole = Buffer.concat([NO_AUTH, connectRequest('127.0.0.1', site.port), Buffer.from('early')]);
  const once = await client(ports[0]);
  once.socket.write(whole);
  const slow = await client(ports[0]);
  slow.socket.setNoDelay(true);
  for (const byte of whole) {
    await new Promise((resolve) => slow.socket.write(Uint8Array.of(byte), resolve));
  }
  for (const raw of [once, slow]) {
    t.same((await raw.bytes(12)).subarray(0, 4), Buffer.from([5, 0, 5, 0]));
    t.equal(String(await raw.bytes(5)), 'early');
  }
});

t.test('a program that wants to log in itself, and one that speaks something else, are turned away', async (t) => {
  const { world, ports, client } = await relayWorld(t, ['one']);
  for (const greeting of [[5, 1, 2], [5, 0], [4, 1, 0, 80], [...Buffer.from('GET / HTTP/1.1\r\n')]]) {
    const raw = await client(ports[0]);
    raw.socket.write(Buffer.from(greeting));
    await raw.gone();
  }
  t.equal(world.pairs.opened.length, 0);
});

t.test('a proxy that takes no login, or goes away, ends the connection', async (t) => {
  for (const answer of [Buffer.from([5, 0xff]), Buffer.from([5, 2, 1, 1]), Buffer.from([5, 0]), Buffer.alloc(0)]) {
    const proxy = createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(answer)));
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as AddressInfo;
    const relay = new ProxyRelay({
      place: { kind: 'tcp', host: '127.0.0.1', port },
      login: { user: 'a', password: 'x' },
    });
    const raw = await RawClient.connect(await relay.serve({ host: '127.0.0.1', port: 0 }));
    raw.socket.write(NO_AUTH);
    await raw.gone();
    t.equal(raw.receivedBytes, 0, 'no success is feigned');
    relay.stop();
    proxy.close();
  }
});
