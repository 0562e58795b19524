import t from 'tap';
import { systemRng } from '../../lib/core/rng.ts';
import { gammaKeyOf } from '../../lib/sphinx/index.ts';
import { until } from '../support/link-fixtures.ts';
import { MiniClient, type MiniNode, PAYLOAD_BYTES, sphinx, startMiniNetwork } from '../support/mini-network.ts';

const PATH = ['mix-1-1', 'mix-2-1', 'mix-3-1', 'gateway-1'];

t.test('packets pass three layers and a gateway over TLS', async (t) => {
  const net = await startMiniNetwork();
  t.teardown(() => net.stop());
  const client = await MiniClient.connect(net);
  t.teardown(() => client.close());
  const first = net.entry('mix-1-1').address;
  const gateway = net.node('gateway-1');
  const mix1 = net.node('mix-1-1');

  /** Sends to layer 1 and waits until `node` has dropped one more under `reason`. */
  async function dropped(node: MiniNode, reason: string, packet: Uint8Array, nextHop = first): Promise<void> {
    const before = (await node.drops())[reason] ?? 0;
    client.send(nextHop, packet);
    await until(async () => ((await node.drops())[reason] ?? 0) === before + 1);
  }

  await t.test('a loop comes back intact over every hop', async (t) => {
    const { packet, recovery } = client.loop(PATH);
    t.ok(client.send(first, packet));
    await until(() => client.received.length === 1);
    const [returned] = client.received.splice(0);
    t.equal(gammaKeyOf(returned as Buffer), recovery.key);
    const message = sphinx.recover(recovery, returned as Buffer);
    t.equal(Buffer.from(message ?? []).toString(), 'hello myself');
    for (const node of net.nodes) {
      t.equal(await node.count('packets_received_total', { from: 'node' }), 1, node.name);
      t.strictSame(await node.drops(), {}, node.name);
    }
    t.equal(await gateway.count('packets_received_total', { from: 'client' }), 1);
    t.equal(await gateway.count('packets_forwarded_total', { to: 'client' }), 1);
  });

  await t.test('drop traffic ends at the gateway', async () => {
    const packet = sphinx.createPacket({
      route: client.hops(PATH),
      destination: net.entry('gateway-1').address,
      identifier: systemRng.bytes(16),
      message: new Uint8Array(0),
      payloadBytes: PAYLOAD_BYTES,
    });
    client.send(first, packet);
    await until(async () => (await gateway.count('packets_ended_total')) === 1);
  });

  await t.test('what is wrong is dropped and counted', async (t) => {
    const fresh = (names = PATH) => client.loop(names).packet;
    const flipped = (offset: number) => {
      const packet = fresh();
      packet[offset] = (packet[offset] as number) ^ 1;
      return packet;
    };
    for (const offset of [0, 40, 48, 347]) await dropped(mix1, 'mac', flipped(offset));
    const packet = fresh();
    t.ok(client.send(first, packet.slice()));
    await until(() => client.received.splice(0).length === 1);
    await dropped(mix1, 'replay', packet.slice());
    await dropped(mix1, 'replay', packet.slice());
    const old = sphinx.createPacket({
      route: client.hops(PATH),
      destination: client.address,
      identifier: systemRng.bytes(16),
      message: new Uint8Array(0),
      payloadBytes: PAYLOAD_BYTES,
      version: 259,
    });
    await dropped(mix1, 'version', old);
    await dropped(mix1, 'next-hop', fresh(['mix-1-1', 'mix-3-1', 'gateway-1']));
    await dropped(mix1, 'next-hop', fresh(['mix-1-1', 'gateway-1']));
    await dropped(mix1, 'not-an-endpoint', endingAt(['mix-1-1']));
    await dropped(net.node('mix-3-1'), 'not-an-endpoint', endingAt(PATH.slice(0, 3)));
    await dropped(gateway, 'next-hop', fresh(), net.entry('mix-2-1').address);
    await dropped(gateway, 'next-hop', fresh(), systemRng.bytes(32));
    await dropped(gateway, 'next-hop', fresh(), client.address);
    const stranger = sphinx.createLoop({
      route: client.hops(PATH),
      self: { address: systemRng.bytes(32) },
      message: new Uint8Array(0),
      payloadBytes: PAYLOAD_BYTES,
    });
    await dropped(gateway, 'unknown-client', stranger.packet);
    const backwards = sphinx.createLoop({
      route: client.hops(PATH),
      self: { address: net.entry('mix-3-1').address },
      message: new Uint8Array(0),
      payloadBytes: PAYLOAD_BYTES,
    });
    await dropped(gateway, 'unknown-client', backwards.packet);
    t.strictSame(client.received, [], 'none of it was answered');
    t.ok(client.up, 'nor did it end the link');
  });

  function endingAt(names: readonly string[]): Uint8Array {
    return sphinx.createPacket({
      route: client.hops(names),
      destination: client.address,
      identifier: systemRng.bytes(16),
      message: new Uint8Array(0),
      payloadBytes: PAYLOAD_BYTES,
    });
  }

  await t.test('a payload changed on the way arrives unreadable, not unnoticed', async (t) => {
    const { packet, recovery } = client.loop(PATH);
    packet[1000] = (packet[1000] as number) ^ 0x80;
    client.send(first, packet);
    await until(() => client.received.length === 1);
    const [returned] = client.received.splice(0);
    t.equal(gammaKeyOf(returned as Buffer), recovery.key);
    t.equal(sphinx.recover(recovery, returned as Buffer), undefined);
  });

  await t.test('nobody but the layer before may dial a mix, and no node is a client', async (t) => {
    const stranger = new MiniClient(net, client.identity);
    for (const kind of ['node', 'client'] as const) {
      stranger.dial('mix-1-1', kind);
      await until(() => stranger.ended !== '');
      t.match(stranger.ended, /refused|closed|ECONNRESET/, `a client dials a mix as ${kind}`);
    }
    stranger.dial('gateway-1', 'node');
    await until(() => stranger.ended !== '');
    const skipper = new MiniClient(net, net.node('mix-1-1').identity);
    for (const target of ['mix-3-1', 'gateway-1']) {
      skipper.dial(target, 'node');
      await until(() => skipper.ended !== '');
    }
    skipper.dial('gateway-1', 'client');
    await until(() => skipper.ended !== '');
    t.pass('all refused');
  });
});

t.test('own loops of every node go round and come back', async (t) => {
  const net = await startMiniNetwork({ params: { nodeLoopRate: 40 } });
  t.teardown(() => net.stop());
  for (const node of net.nodes) {
    await until(async () => (await node.count('node_loops_returned_total')) >= 5);
    t.strictSame(await node.drops(), {}, node.name);
    t.equal(await node.count('node_loops_lost_total'), 0, node.name);
  }
});
