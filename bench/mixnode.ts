/**
 * One mixnode process under load: `npx tsx bench/mixnode.ts [packets]`.
 *
 * This process plays the authority, a gateway that sends and a mix of layer 2 that receives; the mixnode of layer 1 between
 * them is a process of its own, with TLS links, journal, pool and delays of 15 ms in the mean. Printed are packets per
 * second at saturation, and the processor time of the mixnode per packet.
 * @module
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addressKeyOf } from '../lib/bytes.ts';
import { systemClock } from '../lib/clock.ts';
import { createCrypto } from '../lib/crypto/index.ts';
import { type Descriptor, type NetworkFile, networkId, saveNetworkFile } from '../lib/directory/index.ts';
import { createIdentity, listenLinks, type NodeIdentity, PeerLinks, saveIdentity } from '../lib/link/index.ts';
import { silentLog } from '../lib/log.ts';
import { Metrics } from '../lib/metrics.ts';
import { DEFAULT_PARAMS, epochAt, packetBytes } from '../lib/params.ts';
import { exponential, systemRng } from '../lib/rng.ts';
import { Sphinx } from '../lib/sphinx/index.ts';
import { MixnodeConfig, startMixnode } from '../mixnode/index.ts';
import { MiniAuthority } from '../test/support/mini-network.ts';

/** Packets under way at a time: the load follows what the mixnode can do. */
const WINDOW = 1000;
const print = (line: string) => process.stdout.write(`${line}\n`);
const crypto = createCrypto('fastest');

async function runMixnode(dir: string, networkFile: string): Promise<void> {
  const components = { clock: systemClock, rng: systemRng, crypto, log: silentLog, metrics: new Metrics() };
  const config = MixnodeConfig.parse({ dir, networkFile, name: 'mix-1-1', layer: 1, linkQueuePackets: 4096 });
  const node = await startMixnode(config, components);
  process.on('message', async (message) => {
    if (message === 'usage') process.send?.({ ...process.cpuUsage(), rss: process.memoryUsage().rss });
    else await node.stop().then(() => process.exit());
  });
}

/** The descriptor of a node that this process plays. */
function played(network: NetworkFile, { id }: NodeIdentity, role: object): Descriptor {
  const epoch = epochAt(Date.now(), DEFAULT_PARAMS.epochMs);
  const key = Buffer.from(crypto.x25519Base(systemRng.bytes(32))).toString('hex');
  return {
    version: 1,
    network: Buffer.from(networkId(network, crypto)).toString('hex'),
    publishedMs: Date.now(),
    identity: id,
    name: `node-${id.slice(0, 8)}`,
    host: '127.0.0.1',
    port: 1,
    sphinxKeys: [epoch, epoch + 1].map((one) => ({ epoch: one, key })),
    ...role,
  } as Descriptor;
}

async function main(packetCount: number): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'mixsocks-bench-'));
  const identities = await Promise.all([1, 2, 3, 4, 5].map(() => createIdentity(systemRng)));
  const [authorityId, mix, gateway, sink, third] = identities as [NodeIdentity, ...NodeIdentity[]] & NodeIdentity[];
  if (mix === undefined || gateway === undefined || sink === undefined || third === undefined) return;
  const params = { ...DEFAULT_PARAMS, nodeLoopRate: 0 };
  const network = { name: 'bench', epochSeconds: 3600, payloadBytes: params.payloadBytes, threshold: 1 };
  const file = (url: string) => ({ ...network, authorities: [{ id: authorityId.id, url }] });
  const authority = new MiniAuthority(authorityId, params, 4, file('http://unused'));
  authority.server.listen(0, '127.0.0.1');
  await once(authority.server, 'listening');
  authority.network = file(`http://127.0.0.1:${(authority.server.address() as AddressInfo).port}`);
  await saveNetworkFile(join(dir, 'network.json'), authority.network);
  await saveIdentity(dir, mix);

  let received = 0;
  const terms = {
    networkId: networkId(authority.network, crypto),
    packetBytes: packetBytes(params.payloadBytes),
    clock: systemClock,
    log: silentLog,
  };
  const listener = await listenLinks({
    ...terms,
    identity: sink,
    host: '127.0.0.1',
    port: 0,
    admit: () => true,
    onLink: (link) => {
      if (link.kind === 'node') link.onFrame(() => (received += 1));
    },
  });
  authority.records.set(gateway.id, played(authority.network, gateway, { role: 'gateway' }));
  authority.records.set(sink.id, played(authority.network, sink, { role: 'mixnode', layer: 2, port: listener.port }));
  authority.records.set(third.id, played(authority.network, third, { role: 'mixnode', layer: 3 }));

  const child = fork(import.meta.filename, [join(dir, 'network.json'), dir], { execArgv: ['--import=tsx'] });
  while (!authority.records.has(mix.id)) await new Promise((resolve) => setTimeout(resolve, 20));
  const descriptor = authority.records.get(mix.id) as Descriptor & { port: number };

  print(`making ${packetCount} packets`);
  const sphinx = new Sphinx(crypto, systemRng);
  const publicKey = Buffer.from(descriptor.sphinxKeys[0]?.key ?? '', 'hex');
  const behind = { address: sink.publicKey, publicKey: crypto.x25519Base(systemRng.bytes(32)), delayNs: 0 };
  const packets = Array.from({ length: packetCount }, () => {
    const delayNs = Math.round(exponential(systemRng, params.meanDelayMs) * 1e6);
    return sphinx.createPacket({
      route: [{ address: mix.publicKey, publicKey, delayNs }, behind],
      destination: sink.publicKey,
      identifier: systemRng.bytes(16),
      message: new Uint8Array(0),
      payloadBytes: params.payloadBytes,
    });
  });

  const peers = new PeerLinks({ ...terms, identity: gateway, rng: systemRng, queueFrames: 2 * WINDOW });
  peers.setPeers([{ id: mix.id, addressKey: addressKeyOf(mix.id), host: '127.0.0.1', port: descriptor.port }]);
  while (peers.status()[0]?.state !== 'up') await new Promise((resolve) => setTimeout(resolve, 20));
  const usage = async (): Promise<{ user: number; system: number; rss: number }> => {
    child.send('usage');
    return (await once(child, 'message'))[0];
  };
  const before = await usage();
  const startMs = performance.now();
  let lastMs = startMs;
  for (let sent = 0, seen = 0; received < packetCount; ) {
    while (sent < packetCount && sent - received < WINDOW)
      peers.send(addressKeyOf(mix.id), packets[sent++] as Uint8Array);
    await new Promise((resolve) => setImmediate(resolve));
    if (received > seen) lastMs = performance.now();
    else if (performance.now() - lastMs > 3000) break;
    seen = received;
  }
  const elapsedMs = lastMs - startMs;
  const after = await usage();
  const cpuMs = (after.user - before.user + after.system - before.system) / 1000;
  print(
    `mixnode process: ${Math.round((1000 * received) / elapsedMs)} packets/s (${received} of ${packetCount} arrived)`,
  );
  print(
    `processor: ${((1000 * cpuMs) / received).toFixed(0)} µs per packet; memory ${Math.round(after.rss / 2 ** 20)} MiB`,
  );
  child.send('stop');
  await once(child, 'exit');
  await peers.stop();
  await listener.close();
  authority.server.closeAllConnections();
  authority.server.close();
  rmSync(dir, { recursive: true });
}

const [, , first = '20000', second] = process.argv;
if (second === undefined) await main(Number(first));
else await runMixnode(second, first);
