import t from 'tap';
import { systemRng } from '../../lib/core/rng.ts';
import { createIdentity } from '../../lib/link/index.ts';
import { MiniClient, PAYLOAD_BYTES, sphinx, startMiniNetwork } from '../support/mini-network.ts';
import { PacedClock } from '../support/paced-clock.ts';

const FLOOD = 1500;
const EPOCH_MS = 3_600_000;

t.test(
  'a flood through one gateway is cut to its share at the mix, and what comes through another is not',
  async (t) => {
    const requester = await createIdentity(systemRng);
    // In virtual time the flood is as fast on a slow machine: what is slower than its share is not cut.
    const clock = new PacedClock(1000.5 * EPOCH_MS);
    const net = await startMiniNetwork({
      clock,
      epochSeconds: EPOCH_MS / 1000,
      gateways: 2,
      requester,
      gateway: { linkQueuePackets: 4096 },
      mixnode: { maxPacketsPerSecond: 200 },
    });
    t.teardown(() => net.stop());
    const mix = net.node('mix-1-1');
    const { address } = net.entry('mix-1-1');
    t.equal(await mix.count('accepted_packets_per_second'), 200);
    const hostile = await MiniClient.connect(net, 'gateway-1', requester);
    const honest = await MiniClient.connect(net, 'gateway-2');
    for (let i = 0; i < FLOOD; i++) hostile.send(address, new Uint8Array(PAYLOAD_BYTES + 365));
    await net.until(async () => ((await mix.drops())['over-share'] ?? 0) > 100);
    for (let i = 0; i < 5; i++) {
      const route = honest.hops(['mix-1-1', 'mix-2-1', 'mix-3-1', 'gateway-2']);
      const self = { address: honest.address };
      const message = new Uint8Array(0);
      honest.send(address, sphinx.createLoop({ route, self, message, payloadBytes: PAYLOAD_BYTES }).packet);
    }
    await net.until(() => honest.received.length === 5);
    await net.until(async () => (await mix.count('packets_received_total')) === FLOOD + 5);
    const dropped = async () => Object.values(await mix.drops()).reduce((sum, count) => sum + count, 0);
    await net.until(async () => (await dropped()) >= FLOOD); // some of what has been received waits to be unwrapped
    const { 'over-share': overShare = 0, point = 0, ...others } = await mix.drops();
    t.strictSame(others, {});
    t.equal(overShare + point, FLOOD, 'of the flood alone');
    hostile.close();
    honest.close();
  },
);
