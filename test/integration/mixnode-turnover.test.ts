import t from 'tap';
import { epochAt, keyGraceMs } from '../../lib/core/params.ts';
import { gammaKeyOf } from '../../lib/sphinx/index.ts';
import { until } from '../support/link-fixtures.ts';
import { MiniClient, startMiniNetwork } from '../support/mini-network.ts';
import { PacedClock } from '../support/paced-clock.ts';

const EPOCH_MS = 600_000;
const PATH = ['mix-1-1', 'mix-2-1', 'mix-3-1', 'gateway-1'];

t.test('nodes may stop and start again', async (t) => {
  const net = await startMiniNetwork();
  t.teardown(() => net.stop());
  const first = net.entry('mix-1-1').address;
  const mix1 = net.node('mix-1-1');
  let client = await MiniClient.connect(net);
  t.teardown(() => client.close());

  /** Sends loops until one comes back. */
  async function works(): Promise<void> {
    client.received.splice(0);
    while (client.received.length === 0) {
      client.send(first, client.loop(PATH).packet);
      const sentMs = Date.now();
      await until(() => client.received.length > 0 || Date.now() - sentMs > 100);
    }
  }

  await t.test('a packet seen before the restart is a replay after it, under the same key', async (t) => {
    const { packet } = client.loop(PATH);
    client.send(first, packet.slice());
    await until(() => client.received.splice(0).length === 1);
    await mix1.stop();
    await mix1.start();
    await works();
    t.equal(await mix1.count('sphinx_keys_replaced'), 0);
    client.send(first, packet);
    await until(async () => (await mix1.drops()).replay === 1);
  });

  await t.test('any node may go and come back, also while the directory is away', async (t) => {
    net.authority.online = false;
    for (const name of ['mix-2-1', 'mix-3-1']) {
      await net.node(name).stop();
      await net.node(name).start();
      await works();
    }
    await net.node('gateway-1').stop();
    await until(() => !client.up);
    await net.node('gateway-1').start();
    client = await MiniClient.connect(net, 'gateway-1', client.identity);
    await works();
    net.authority.online = true;
    t.ok(client.up);
  });

  await t.test('a node that is down costs packets, counted, and nothing else', async (t) => {
    await net.node('mix-2-1').stop();
    const received = () => mix1.count('packets_received_total');
    const before = await received();
    for (let i = 0; i < 20; i++) client.send(first, client.loop(PATH).packet); // a gateway takes 32 at once of a newcomer
    await until(async () => (await received()) >= before + 20);
    await net.node('mix-2-1').start();
    await works();
    t.ok(client.up);
  });
});

t.test('over a turn of the epoch nothing is lost, and a node that left is let go after Δ', async (t) => {
  const turnMs = 1000 * EPOCH_MS;
  const clock = new PacedClock(turnMs - EPOCH_MS / 2, 25);
  const net = await startMiniNetwork({ epochSeconds: EPOCH_MS / 1000, mixesPerLayer: 2, clock });
  t.teardown(() => net.stop());
  const client = await MiniClient.connect(net);
  t.teardown(() => client.close());
  net.authority.hidden.add(net.node('mix-2-2').identity.id);
  const reaches = (wallMs: number) => clock.until(() => clock.wallMs() >= wallMs, 2 * EPOCH_MS);
  await reaches(turnMs - 1000);
  const expected = new Set<string>();
  while (clock.wallMs() < turnMs + 1000) {
    // up to 225 ms under way, so that many are caught by the turn
    const { packet, recovery } = client.loop(PATH, (expected.size % 4) * 25, epochAt(clock.wallMs(), EPOCH_MS));
    client.send(net.entry('mix-1-1').address, packet);
    expected.add(recovery.key);
    await clock.step();
  }
  await clock.until(() => client.received.length >= expected.size, EPOCH_MS / 10);
  t.strictSame(new Set(client.received.map(gammaKeyOf)), expected);
  for (const node of net.nodes) t.strictSame(await node.drops(), {}, node.name);
  const peers = () => net.node('mix-1-1').count('peers_up');
  await reaches(turnMs + keyGraceMs(EPOCH_MS) - 1000);
  t.equal(await peers(), 2, 'before Δ is over');
  await net.until(async () => (await peers()) === 1);
  t.equal(net.topology().layers[1]?.length, 1);
});
