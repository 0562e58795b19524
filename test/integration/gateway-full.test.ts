/** A client whose gateways are full: it goes on to the next at once, and says so when all are. */
import t from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createIdentity } from '../../lib/link/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { until } from '../support/link-fixtures.ts';
import { crypto, MiniClient, startMiniNetwork } from '../support/mini-network.ts';

/** The link's threads run what was built. */
const { MixEndpoint }: typeof import('../../lib/endpoint/index.ts') = await import(
  new URL('../../dist/lib/endpoint/index.js', import.meta.url).href
);

t.test('a client tries its gateways until one has room, and says when none has', async (t) => {
  const net = await startMiniNetwork({ gateways: 2, maxClients: 1 });
  t.teardown(() => net.stop());
  const topology = net.topology();
  const lines: string[] = [];
  const log = { ...silentLog, warn: (_facts: object, line: string) => void lines.push(line) } as typeof silentLog;
  const endpointOf = async () => {
    const endpoint = new MixEndpoint({
      components: { clock: systemClock, rng: systemRng, crypto, log, metrics: new Metrics() },
      identity: await createIdentity(systemRng),
      networkId: net.networkId,
      directory: {
        topology: () => topology,
        onTopology: () => {},
        gatewaySource: () => ({ up: () => {}, down: () => {}, take: () => {} }),
      },
      keyExchange: 'any',
      trafficClass: 'standard',
      usableGateways: () => [net.entry('gateway-1'), net.entry('gateway-2')],
    });
    t.teardown(() => endpoint.stop());
    endpoint.start();
    return endpoint;
  };
  const one = await MiniClient.connect(net, 'gateway-1');
  const second = await endpointOf();
  await until(() => second.linkState === 'up');
  t.equal(second.gateway?.name, 'gateway-2');
  t.notOk(second.stats().gatewaysFull);
  t.equal(one.up, true);
  const third = await endpointOf();
  await until(() => third.stats().gatewaysFull);
  t.equal(third.linkState, 'down');
  await until(() => lines.some((line) => line.startsWith('every gateway that may be used is full')));
});
