import type { Test } from 'tap';
import { until } from '../../support/localnet.ts';
import { closedPort } from '../../support/ports.ts';
import { Transfers } from '../../support/transfers.ts';
import { curl } from '../../support/web.ts';
import type { LocalNetwork } from './world.ts';

const HELLO = 'hello through the mixnet\n';
const UPLOAD_BYTES = 120_000;
const DOWNLOAD_BYTES = 500_000;
const TRANSFER_SECONDS = 90;
/** So many packets over one mix are enough to compare the layers. */
const PACKETS = 500;

const page = ({ network, web }: LocalNetwork) => curl(network.socks, [`${web.url}/`], 30);

export async function transfersAtOnce(t: Test, world: LocalNetwork): Promise<void> {
  const transfers = new Transfers(t, world.network.socks, world.web);
  const both = Promise.all([
    transfers.download(DOWNLOAD_BYTES, TRANSFER_SECONDS),
    transfers.upload(UPLOAD_BYTES, TRANSFER_SECONDS),
  ]);
  for (let i = 0; i < 5; i++) {
    const { body, stderr } = await page(world);
    t.equal(body.toString(), HELLO, stderr);
  }
  for (const { fault, bytes, seconds } of await both) t.equal(fault, '', `${bytes} bytes in ${seconds.toFixed(1)} s`);
}

export async function manyAtOnce(t: Test, world: LocalNetwork): Promise<void> {
  const together = await Promise.all(Array.from({ length: 20 }, () => page(world)));
  for (const { body, stderr } of together) t.equal(body.toString(), HELLO, stderr);
}

export async function failures(t: Test, { network }: LocalNetwork): Promise<void> {
  const replies: [string, number][] = [
    [`http://127.0.0.1:${await closedPort()}/`, 5],
    ['http://no-such-name.invalid/', 4],
    ['http://169.254.169.254/', 2],
  ];
  const answers = await Promise.all(replies.map(([url]) => curl(network.socks, [url], 20)));
  for (const [i, { code, stderr }] of answers.entries()) {
    const [url = '', reply = 0] = replies[i] ?? [];
    t.equal(code, 97, 'a failed SOCKS handshake');
    t.match(stderr, new RegExp(`\\(${reply}\\)`), url);
  }
}

export async function everyLayerMixed(t: Test, { network }: LocalNetwork): Promise<void> {
  const forwarded = async (layer: number) => {
    const mixes = network.ready.nodes.filter((node) => node.layer === layer);
    return Promise.all(mixes.map(({ name }) => network.metric(name, 'mixsocks_packets_forwarded_total')));
  };
  const counts = () => Promise.all([1, 2, 3].map(forwarded));
  const least = async () => Math.min(...(await counts()).flat());
  await until(`every mix has forwarded ${PACKETS} packets`, 60_000, async () => (await least()) > PACKETS);
  // Of a busy machine the metrics come seconds apart, which counts ever less.
  let sums: number[] = [];
  await until('the layers have carried about the same', 60_000, async () => {
    sums = (await counts()).map((ofLayer) => ofLayer.reduce((sum, count) => sum + count, 0));
    return Math.max(...sums) < 1.2 * Math.min(...sums);
  });
  t.pass(`the layers carried ${sums}`);
}

/** One of every role, alone or with others whose absence does not hide its own. */
const KILLED = [['mix-2-1', 'requester-1', 'directory-1'], ['gateway-1', 'proxy-1'], ['gateway-2']];

export async function killedNodes(t: Test, world: LocalNetwork): Promise<void> {
  const { network } = world;
  for (const names of KILLED) {
    await Promise.all(names.map((name) => network.kill(name)));
    await Promise.all(names.map((name) => network.restart(name)));
    const startMs = performance.now();
    await until(`a page after ${names} came back`, 60_000, async () => (await page(world)).code === 0);
    t.comment(`${names}: a page ${((performance.now() - startMs) / 1000).toFixed(1)} s after they were started again`);
    t.equal((await page(world)).code, 0, `${names}: and the next one`);
  }
  t.match(network.output(), /^mix-2-1 \(pid \d+\) ended with SIGKILL; it is not restarted$/m, 'localnet reports it');
}
