/**
 * Streams while the ends move and fall asleep: a gateway that restarts or stays away costs time but no byte, a requester
 * that restarts resets its streams, a machine that slept works at once.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SocksClient } from 'socks';
import t, { type Test } from 'tap';
import { TestNetwork, until } from '../support/localnet.ts';
import { Transfers } from '../support/transfers.ts';
import { startWeb } from '../support/web.ts';

/** Bytes of a download in steady mode that takes some seconds more than its disturbance. */
const DOWNLOAD_BYTES = 500_000;

/** A connection through the proxy to a server that accepts and says nothing. */
async function idleConnection(t: Test, socks: string): Promise<Socket> {
  const server = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const [host = '', port] = socks.split(':');
  const { socket } = await SocksClient.createConnection({
    proxy: { host, port: Number(port), type: 5 },
    command: 'connect',
    destination: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
  });
  t.teardown(() => socket.destroy());
  return socket;
}

t.test('roaming', async (t) => {
  const web = await startWeb(t);
  const network = await TestNetwork.start(t, ['--mixes-per-layer', '1']);
  const transfers = new Transfers(t, network.socks, web);
  const delivered = async () => (await network.status()).sessions.reduce((sum, one) => sum + one.bytesDelivered, 0);
  const gatewayOfProxy = async () => (await network.status()).gateway?.name ?? '';

  /** Downloads, and calls `disturb` when the bytes have begun to come. */
  async function disturbedDownload(t: Test, disturb: () => Promise<void>): Promise<void> {
    const before = await delivered();
    const download = transfers.download(DOWNLOAD_BYTES, 60);
    await until('bytes come', 20_000, async () => (await delivered()) > before + 50_000);
    await disturb();
    const { fault, seconds } = await download;
    t.equal(fault, '', `in ${seconds.toFixed(1)} s`);
  }

  await t.test("the proxy's gateway restarts during a download", async (t) => {
    const gateway = await gatewayOfProxy();
    await disturbedDownload(t, async () => {
      await network.kill(gateway);
      await network.restart(gateway);
    });
    t.equal(await gatewayOfProxy(), gateway, 'it was worth waiting for');
  });

  await t.test('the requester restarts: streams are reset, new requests succeed', async (t) => {
    const idle = await idleConnection(t, network.socks);
    const reset = once(idle, 'error') as Promise<[NodeJS.ErrnoException]>;
    await network.kill('requester-1');
    const meanwhile = transfers.download(1000, 30, 'while-it-is-away');
    await network.restart('requester-1');
    const after = transfers.download(1000, 30, 'when-it-is-back');
    for (const [when, request] of Object.entries({ meanwhile, after })) {
      const { fault, seconds } = await request;
      t.equal(fault, '', `${when}, in ${seconds.toFixed(1)} s`);
    }
    const [error] = await reset;
    t.equal(error.code, 'ECONNRESET', 'a reset arrives as a reset');
  });

  await t.test('the proxy slept', async (t) => {
    const { pid } = network.node('proxy-1');
    await disturbedDownload(t, async () => {
      process.kill(pid, 'SIGSTOP');
      await sleep(3000);
      process.kill(pid, 'SIGCONT');
      const { fault, seconds } = await transfers.download(1000, 20, 'awake-again');
      t.equal(fault, '');
      t.ok(seconds < 10, `a request right after waking: ${seconds.toFixed(1)} s`);
    });
  });

  await t.test("the proxy's gateway goes for good", async (t) => {
    const gateway = await gatewayOfProxy();
    await disturbedDownload(t, () => network.kill(gateway));
    t.not(await gatewayOfProxy(), gateway, 'another took its place');
  });
});
