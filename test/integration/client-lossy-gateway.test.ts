/** A client whose gateway loses most packets takes another, once, and stays there although that one is no better. */
import t from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createIdentity } from '../../lib/link/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { until } from '../support/link-fixtures.ts';
import { crypto, startMiniNetwork } from '../support/mini-network.ts';

/** The link's threads run what was built. */
const { MixEndpoint }: typeof import('../../lib/endpoint/index.ts') = await import(
  new URL('../../dist/lib/endpoint/index.js', import.meta.url).href
);

t.test('a client leaves a lossy gateway, and does not wander', async (t) => {
  const net = await startMiniNetwork({
    mixesPerLayer: 2,
    gateways: 2,
    gateway: { fault: 'drop=0.6' },
    params: { classes: { standard: { mainRate: 1, replyRate: 1, loopRate: 40, dropRate: 1, deliveryRate: 50 } } },
  });
  t.teardown(() => net.stop());
  const topology = net.topology();
  const endpoint = new MixEndpoint({
    components: { clock: systemClock, rng: systemRng, crypto, log: silentLog, metrics: new Metrics() },
    identity: await createIdentity(systemRng),
    networkId: net.networkId,
    directory: {
      topology: () => topology,
      onTopology: () => {},
      gatewaySource: () => ({ up: () => {}, down: () => {}, take: () => {} }),
    },
    keyExchange: 'any',
    trafficClass: 'standard',
    usableGateways: ({ gateways }) => gateways,
  });
  t.teardown(() => endpoint.stop());
  const gateways: (string | undefined)[] = [];
  const { health } = endpoint.ledger;
  const pathIsBad = () => health.pathIsBad(systemClock.nowMs());
  let wasBad = true;
  endpoint.onMoved(() => {
    gateways.push(endpoint.gateway?.name);
    wasBad = pathIsBad();
  });
  endpoint.start();
  const first = endpoint.gateway?.name;
  await until(() => gateways.length > 0);
  t.notOk(wasBad, 'the new one begins without a record');
  t.not(gateways[0], first);
  await until(pathIsBad);
  const sent = endpoint.ledger.loopsSent;
  await until(() => endpoint.ledger.loopsSent >= sent + 40 && pathIsBad());
  t.strictSame(gateways, [gateways[0]], 'it stays');
  t.strictSame(health.excluded, [], 'and blames no mix');
});
