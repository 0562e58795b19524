import t from 'tap';
import { createIdentity } from '../../lib/link/index.ts';
import { systemRng } from '../../lib/rng.ts';
import { until } from '../support/link-fixtures.ts';
import { MiniClient, PAYLOAD_BYTES, sphinx, startMiniNetwork } from '../support/mini-network.ts';

const PATH = ['mix-1-1', 'mix-2-1', 'mix-3-1', 'gateway-1'];

t.test('clients of a gateway', async (t) => {
  const net = await startMiniNetwork({ gateway: { maxClients: 3, mailboxPackets: 4 } });
  t.teardown(() => net.stop());
  const first = net.entry('mix-1-1').address;
  const gateway = net.node('gateway-1');
  const drops = async (reason: string) => (await gateway.drops())[reason] ?? 0;

  /** A packet of `from` to the client at `address`. */
  function packetTo(from: MiniClient, address: Uint8Array): Uint8Array {
    return sphinx.createLoop({
      route: from.hops(PATH),
      self: { address },
      message: new Uint8Array(0),
      payloadBytes: PAYLOAD_BYTES,
    }).packet;
  }

  await t.test('a client that comes back finds the newest packets of its absence', async (t) => {
    const sender = await MiniClient.connect(net);
    const absent = await MiniClient.connect(net);
    absent.close();
    await until(async () => (await gateway.count('clients_connected')) === 1);
    for (let i = 0; i < 6; i++) sender.send(first, packetTo(sender, absent.address));
    await until(async () => (await drops('mailbox-full')) === 2);
    t.equal(await gateway.count('mailbox_packets'), 4);
    const back = await MiniClient.connect(net, 'gateway-1', absent.identity);
    await until(() => back.received.length === 4);
    t.equal(await gateway.count('mailbox_packets'), 0);
    sender.send(first, packetTo(sender, back.address));
    await until(() => back.received.length === 5);
    sender.close();
    back.close();
    await until(async () => (await gateway.count('clients_connected')) === 0);
  });

  await t.test('the newest link of an identity replaces the one before', async (t) => {
    const client = await MiniClient.connect(net);
    const again = await MiniClient.connect(net, 'gateway-1', client.identity);
    await until(() => !client.up);
    again.send(first, packetTo(again, again.address));
    await until(() => again.received.length === 1);
    t.equal(await gateway.count('clients_connected'), 1);
    again.close();
    await until(async () => (await gateway.count('clients_connected')) === 0);
  });

  await t.test('more clients than allowed are refused, and let in when there is room', async (t) => {
    const clients = await Promise.all([1, 2, 3].map(() => MiniClient.connect(net)));
    const surplus = await MiniClient.connect(net);
    t.notOk(surplus.up);
    clients[0]?.close();
    await until(async () => (await gateway.count('clients_connected')) === 2);
    surplus.dial('gateway-1');
    await until(() => surplus.up);
    for (const client of [...clients, surplus]) client.close();
    await until(async () => (await gateway.count('clients_connected')) === 0);
  });

  await t.test('a client that sends faster than its clocks is held to its rate', async (t) => {
    const client = await MiniClient.connect(net);
    for (let i = 0; i < 400; i++) client.send(systemRng.bytes(32), new Uint8Array(PAYLOAD_BYTES + 365));
    await until(async () => (await drops('rate-limit')) + (await drops('next-hop')) === 400);
    const refused = await drops('rate-limit');
    t.ok(refused > 20 && refused <= 400 - 256, `${refused} of 400 beyond the burst of 256`);
    client.close();
  });
});

t.test('a requester of the consensus has a rate of its own', async (t) => {
  const requester = await createIdentity(systemRng);
  const net = await startMiniNetwork({ requester });
  t.teardown(() => net.stop());
  const gateway = net.node('gateway-1');
  const client = await MiniClient.connect(net, 'gateway-1', requester);
  for (let i = 0; i < 1500; i++) client.send(systemRng.bytes(32), new Uint8Array(PAYLOAD_BYTES + 365));
  await until(async () => ((await gateway.drops())['next-hop'] ?? 0) === 1500);
  t.equal((await gateway.drops())['rate-limit'], undefined);
  client.close();
});
