/**
 * Streams over a network that loses, repeats, delays and damages packets: every byte arrives once and in order, requests
 * are answered.
 */
import t from 'tap';
import { TestNetwork } from '../support/localnet.ts';
import { shortRequests, Transfers } from '../support/transfers.ts';
import { startWeb } from '../support/web.ts';

/** Faults that the nodes of one role have injected. */
async function injected(network: TestNetwork, role: string, kind: string): Promise<number> {
  let sum = 0;
  for (const { name } of network.nodes(role)) {
    sum += await network.metric(name, 'mixsocks_faults_injected_total', { kind });
  }
  return sum;
}

t.test('download and upload at once while every mix drops 5 % of all packets', async (t) => {
  const web = await startWeb(t);
  const network = await TestNetwork.start(t, ['--fault', 'mixes:drop=0.05']);
  const transfers = new Transfers(t, network.socks, web);
  const [down, up] = await Promise.all([transfers.download(600_000, 80), transfers.upload(150_000, 80)]);
  t.equal(down.fault, '', `download in ${down.seconds.toFixed(1)} s`);
  t.equal(up.fault, '', `upload in ${up.seconds.toFixed(1)} s`);
  t.ok((await injected(network, 'mixnode', 'drop')) > 100, 'packets were dropped');
  t.match(network.log('mix-2-1'), /FAULTS ON PURPOSE/, 'a node that does so says it');
});

t.test('short requests while packets are repeated, delayed and damaged', async (t) => {
  const web = await startWeb(t);
  const network = await TestNetwork.start(t, [
    ...['--fault', 'mixes:duplicate=0.1,corrupt=0.03'],
    ...['--fault', 'mix-2-2:delay-ms=150,duplicate=0.2'],
    ...['--fault', 'gateways:duplicate=0.1,corrupt=0.02'],
  ]);
  const transfers = new Transfers(t, network.socks, web);
  const requests = await shortRequests(transfers, 50);
  const { answered, failed, corrupted, hung } = requests;
  t.strictSame({ answered, failed, corrupted, hung }, { answered: 50, failed: 0, corrupted: 0, hung: 0 });
  t.strictSame(requests.errors, []);
  for (const kind of ['duplicate', 'corrupt', 'delay']) {
    t.ok((await injected(network, 'mixnode', kind)) > 0, `mixes: ${kind}`);
  }
  t.ok((await injected(network, 'gateway', 'duplicate')) > 0, 'gateways: duplicate');
  const dropped = (node: string, reason: string) => network.metric(node, 'mixsocks_packets_dropped_total', { reason });
  t.ok((await dropped('mix-3-1', 'replay')) > 0, 'what comes twice is dropped as a replay');
});
