/**
 * Streams over a network that loses, repeats, delays and damages packets: every byte arrives once and in order, requests
 * are answered.
 */
import t from 'tap';
import { FEWER_PACKETS, TestNetwork, until } from '../support/localnet.ts';
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

t.test('streams are whole while packets are dropped, repeated, delayed and damaged', async (t) => {
  const web = await startWeb(t);
  const network = await TestNetwork.start(t, [
    ...['--mixes-per-layer', '1', ...FEWER_PACKETS],
    ...['--fault', 'mixes:drop=0.05,duplicate=0.1,corrupt=0.02'],
    ...['--fault', 'mix-2-1:delay-ms=150,drop=0.05,duplicate=0.2'],
    ...['--fault', 'gateways:duplicate=0.1,corrupt=0.02'],
  ]);
  const transfers = new Transfers(t, network.socks, web);

  // Mostly they wait: for what is sent again.
  t.jobs = 2;
  const transferred = t.test('a download and an upload at once arrive whole', { buffered: true }, async (t) => {
    const [down, up] = await Promise.all([transfers.download(600_000, 80), transfers.upload(150_000, 80)]);
    t.equal(down.fault, '', `download in ${down.seconds.toFixed(1)} s`);
    t.equal(up.fault, '', `upload in ${up.seconds.toFixed(1)} s`);
  });

  const answered = t.test('short requests are answered meanwhile', { buffered: true }, async (t) => {
    const requests = await shortRequests(transfers, 40);
    const { answered, failed, corrupted, hung } = requests;
    t.strictSame({ answered, failed, corrupted, hung }, { answered: 40, failed: 0, corrupted: 0, hung: 0 });
    t.strictSame(requests.errors, []);
  });

  await Promise.all([transferred, answered]);
  await t.test('the faults were there', async (t) => {
    await until('packets were dropped', 60_000, async () => (await injected(network, 'mixnode', 'drop')) > 100);
    for (const kind of ['duplicate', 'corrupt', 'delay']) {
      t.ok((await injected(network, 'mixnode', kind)) > 0, `mixes: ${kind}`);
    }
    t.ok((await injected(network, 'gateway', 'duplicate')) > 0, 'gateways: duplicate');
    const replays = await network.metric('mix-3-1', 'mixsocks_packets_dropped_total', { reason: 'replay' });
    t.ok(replays > 0, 'what comes twice is dropped as a replay');
    t.match(network.log('mix-2-1'), /FAULTS ON PURPOSE/, 'a node that does so says it');
  });
});
