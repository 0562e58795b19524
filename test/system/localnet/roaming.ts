/**
 * Streams while the ends move and fall asleep: a gateway that restarts or stays away costs time but no byte, a requester
 * that restarts resets its streams, a machine that slept works at once.
 * @module
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SocksClient } from 'socks';
import type { Test } from 'tap';
import { until } from '../../support/localnet.ts';
import { Transfers } from '../../support/transfers.ts';
import type { LocalNetwork } from './world.ts';

/** Bytes of a download in steady mode that takes some seconds more than its disturbance. */
const DOWNLOAD_BYTES = 400_000;

const transfersOf = (t: Test, { network, web }: LocalNetwork) => new Transfers(t, network.socks, web);
const gatewayOfProxy = async ({ network }: LocalNetwork) => (await network.status()).gateway?.name ?? '';

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

/** Downloads, and calls `disturb` when the bytes have begun to come. */
async function disturbedDownload(t: Test, world: LocalNetwork, disturb: () => Promise<void>): Promise<void> {
  const delivered = async () =>
    (await world.network.status()).sessions.reduce((sum, one) => sum + one.bytesDelivered, 0);
  const before = await delivered();
  const download = transfersOf(t, world).download(DOWNLOAD_BYTES, 100);
  await until('bytes come', 60_000, async () => (await delivered()) > before + 50_000);
  await disturb();
  const { fault, seconds } = await download;
  t.equal(fault, '', `in ${seconds.toFixed(1)} s`);
}

export async function gatewayRestarts(t: Test, world: LocalNetwork): Promise<void> {
  const gateway = await gatewayOfProxy(world);
  await disturbedDownload(t, world, async () => {
    await world.network.kill(gateway);
    await world.network.restart(gateway);
  });
  // Which one it is depends on how fast the restart was; that a restart is waited for is tested in virtual time.
  t.match(await gatewayOfProxy(world), /^gateway-[12]$/, 'the proxy has a gateway again');
}

/** The exit is at both gateways; packets to it go through the one that is not the proxy's own. */
export async function farGatewayRestarts(t: Test, world: LocalNetwork): Promise<void> {
  const near = await gatewayOfProxy(world);
  const far = world.network.nodes('gateway').find(({ name }) => name !== near)?.name ?? '';
  await disturbedDownload(t, world, async () => {
    await world.network.kill(far);
    await world.network.restart(far);
  });
  t.equal(await gatewayOfProxy(world), near, 'the proxy stays with its own');
}

export async function requesterRestarts(t: Test, world: LocalNetwork): Promise<void> {
  const { network } = world;
  const transfers = transfersOf(t, world);
  const idle = await idleConnection(t, network.socks);
  const reset = once(idle, 'error') as Promise<[NodeJS.ErrnoException]>;
  await network.kill('requester-1');
  const meanwhile = transfers.download(1000, 120, 'while-it-is-away');
  await network.restart('requester-1');
  // On a slow machine the restart takes longer than a requester is waited for: then the answer is a refusal.
  const { fault } = await meanwhile;
  t.match(fault, /^$|^curl: \(97\) .*\([135]\)$/, 'a request meanwhile is answered, or refused');
  const answered = async () => (await transfers.download(1000, 30, 'when-it-is-back')).fault === '';
  await until('a request is answered when it is back', 60_000, answered);
  const [error] = await reset;
  t.equal(error.code, 'ECONNRESET', 'a reset arrives as a reset');
}

export async function proxySleeps(t: Test, world: LocalNetwork): Promise<void> {
  const { pid } = world.network.node('proxy-1');
  await disturbedDownload(t, world, async () => {
    process.kill(pid, 'SIGSTOP');
    await sleep(3000);
    process.kill(pid, 'SIGCONT');
    const { fault, seconds } = await transfersOf(t, world).download(1000, 20, 'awake-again');
    t.equal(fault, '');
    t.comment(`a request right after waking: ${seconds.toFixed(1)} s`);
  });
}

export async function gatewayGoes(t: Test, world: LocalNetwork): Promise<void> {
  const gateway = await gatewayOfProxy(world);
  await disturbedDownload(t, world, () => world.network.kill(gateway));
  t.not(await gatewayOfProxy(world), gateway, 'another took its place');
  await world.network.restart(gateway);
}
