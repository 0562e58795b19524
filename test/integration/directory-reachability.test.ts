/** An authority and nodes over real sockets: what the try of an address finds, and what the node learns of it. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DirectoryConfig, startDirectory } from '../../directory/index.ts';
import { systemClock } from '../../lib/core/clock.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createIdentity, type NodeIdentity, saveIdentity, tryLink } from '../../lib/link/index.ts';
import type { Components } from '../../lib/runtime/components.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { MixnodeConfig, startMixnode } from '../../mixnode/index.ts';
import { NETWORK_ID, PACKET_BYTES, testListener, until } from '../support/link-fixtures.ts';
import { crypto } from '../support/signed-documents.ts';

const parts = (): Components => ({
  clock: systemClock,
  rng: systemRng,
  crypto,
  log: silentLog,
  metrics: new Metrics(),
});

async function tempDir(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-reach-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** The port of a server that does `serve` with each connection. */
async function serverPort(t: Test, serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

t.test('a try ends with the hello of the node, is no link, and is refused to everybody but an authority', async (t) => {
  const authority = await createIdentity(systemRng);
  const listener = await testListener({ admit: (peer, kind) => kind === 'probe' && peer === authority.id });
  t.teardown(() => listener.close());
  const target = listener.target();
  const by = (identity: NodeIdentity, to = target, networkId = NETWORK_ID) =>
    tryLink({ identity, target: to, networkId, packetBytes: PACKET_BYTES, clock: systemClock, timeoutMs: 10_000 });
  t.equal(await by(authority), undefined);
  t.same(await listener.refusals(), {});
  t.equal(listener.links.length, 0);
  t.equal(await by(await createIdentity(systemRng)), 'refused');
  t.same(await listener.refused(1), { 'not-admitted': 1 });
  t.equal(await by(authority, { ...target, id: authority.id }), 'foreign-key', 'another identity answers there');
  t.equal(await by(authority, target, new Uint8Array(32)), 'refused', 'a node of another network');
});

t.test('where no node answers, a try fails in time: closed, silent, no TLS, a byte now and then', async (t) => {
  const identity = await createIdentity(systemRng);
  const { id } = await createIdentity(systemRng);
  const tried = (port: number, timeoutMs: number) => {
    const target = { id, host: '127.0.0.1', port };
    return tryLink({
      identity,
      target,
      networkId: NETWORK_ID,
      packetBytes: PACKET_BYTES,
      clock: systemClock,
      timeoutMs,
    });
  };
  const closed = await serverPort(t, (socket) => socket.destroy());
  t.match(await tried(closed, 10_000), /refused|ECONNRESET/);
  t.match(
    await tried(await serverPort(t, (socket) => void socket.write('220 mail.example\r\n')), 10_000),
    /ERR_SSL|EPROTO/,
  );
  t.equal(await tried(await serverPort(t, () => {}), 100), 'handshake-timeout');
  let dripped = 0;
  const slow = await serverPort(t, (socket) => {
    const drip = setInterval(() => socket.write(Buffer.from([[22, 3, 3, 0, 200][dripped++] ?? 0])), 5);
    socket.on('close', () => clearInterval(drip));
  });
  t.equal(await tried(slow, 200), 'handshake-timeout');
});

t.test('a node that cannot be reached learns why, and is ready to be listed when it can', async (t) => {
  const [dir, home] = [await tempDir(t), await tempDir(t)];
  await saveIdentity(dir, await createIdentity(systemRng));
  const identity = await createIdentity(systemRng);
  await saveIdentity(home, identity);
  const config = DirectoryConfig.parse({ dir, openToAll: true });
  const components = parts();
  const directory = await startDirectory(config, components);
  t.teardown(() => directory.stop());
  const closed = await serverPort(t, (socket) => socket.destroy());
  const start = (advertise?: string | string[], listen?: string[]) =>
    startMixnode(
      MixnodeConfig.parse({
        dir: home,
        networkFile: directory.networkFile,
        name: 'mix-1',
        layer: 1,
        advertise,
        listen,
      }),
      parts(),
    );
  const held = async () => {
    const answer = await (await fetch(`${directory.metricsUrl}/metrics`)).text();
    return /^mixsocks_directory_unreachable (\d)/m.exec(answer)?.[1];
  };
  const away = await start(`127.0.0.1:${closed}`);
  await until(() => away.health.ready().some((line) => line.includes('unreachable: ')));
  t.match(
    away.health.ready().join(' '),
    new RegExp(`refused the announcement: unreachable: what answers at 127\\.0\\.0\\.1:${closed} closes`),
  );
  t.equal(await held(), '1');
  await away.stop();
  const there = await start('localhost:0'); // a name, which the node resolves; port 0: the one that it listens on
  const isTaken = (node: typeof there) => node.health.ready().every((line) => !line.includes('announcement'));
  const listed = async () => (await fetch(`${directory.url}/descriptors`)).text();
  await until(async () => (await held()) === '0' && isTaken(there));
  t.match(await listed(), /\\"host\\":\\"127\.0\.0\.1\\"/, 'the descriptor has an address');
  await there.stop();
  const half = await start(['127.0.0.1:0', '[::1]:9'], ['127.0.0.1:0', '[::1]:0']);
  await until(() => half.health.ready().some((line) => line.includes('connection refused at [::1]:9')));
  await half.stop();
  const both = await start(undefined, ['127.0.0.1:0', '[::1]:0']);
  t.teardown(() => both.stop());
  await until(async () => (await held()) === '0' && isTaken(both));
  t.match(await listed(), /\\"ipv6\\":\{\\"host\\":\\"::1\\"/, 'and both where the node listens on both');
});
