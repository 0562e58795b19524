import t from 'tap';
import { systemRng } from '../../lib/core/rng.ts';
import { ConsensusAssembler, type ConsensusText } from '../../lib/directory/consensus-pieces.ts';
import { createIdentity } from '../../lib/link/index.ts';
import { until } from '../support/link-fixtures.ts';
import { MiniClient, PAYLOAD_BYTES, sphinx, startMiniNetwork } from '../support/mini-network.ts';

const PATH = ['mix-1-1', 'mix-2-1', 'mix-3-1', 'gateway-1'];

t.test('a gateway takes clients up to its bound, keeps their packets for a while, and drops the rest', async (t) => {
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
    t.equal(surplus.ended, 'full');
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
    t.ok(refused > 20 && refused <= 400 - 32, `${refused} of 400 beyond the first burst of 32`);
    client.close();
  });
});

t.test('a gateway hands the consensus on to a client that sends', async (t) => {
  const net = await startMiniNetwork();
  t.teardown(() => net.stop());
  const client = await MiniClient.connect(net);
  const silent = await MiniClient.connect(net);
  for (let i = 0; i < 20; i++) client.send(systemRng.bytes(32), new Uint8Array(PAYLOAD_BYTES + 365));
  const assembler = new ConsensusAssembler();
  let taken = 0;
  const documents: ConsensusText[] = [];
  await until(() => {
    for (; taken < client.pieces.length; taken++) {
      const result = assembler.take(client.pieces[taken] as Buffer, () => true);
      if (typeof result === 'object') documents.push(result);
    }
    return documents.length > 0;
  });
  const [{ epoch, text } = { epoch: -1, text: '' }] = documents;
  t.equal(text, net.authority.signed.get(epoch), 'as the authority has signed it');
  t.strictSame(silent.pieces, [], 'one that sends nothing gets nothing');
  client.close();
  silent.close();
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

t.test('a gateway admits as many clients as the consensus says; requesters beside them', async (t) => {
  const requester = await createIdentity(systemRng);
  const net = await startMiniNetwork({ maxClients: 2, requester });
  t.teardown(() => net.stop());
  const gateway = net.node('gateway-1');
  t.equal(await gateway.count('max_clients'), 2);
  const clients = await Promise.all([1, 2].map(() => MiniClient.connect(net)));
  const surplus = await MiniClient.connect(net);
  t.equal(surplus.ended, 'full');
  t.ok((await MiniClient.connect(net, 'gateway-1', requester)).up);
  clients[0]?.close();
  await until(async () => (await gateway.count('clients_connected')) === 2);
  surplus.dial('gateway-1');
  await until(() => surplus.up);
  t.ok(clients[1]?.up);
  t.equal(await gateway.count('link_refused_total', { reason: 'full' }), 1);
});
