/**
 * The endpoint of a client in a mini network, whose link's threads run what was built.
 * @module
 */
import type { Test } from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import { systemRng } from '../../lib/core/rng.ts';
import type { EndpointOptions, MixEndpoint } from '../../lib/endpoint/index.ts';
import { createIdentity } from '../../lib/link/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { crypto, type MiniNetwork } from './mini-network.ts';

const built: { MixEndpoint: typeof MixEndpoint } = await import(
  new URL('../../dist/lib/endpoint/index.js', import.meta.url).href
);

/** Not started yet; it stops with the test. `warnings` takes what it logs as warnings. */
export async function miniEndpoint(
  t: Test,
  net: MiniNetwork,
  options: Pick<EndpointOptions, 'usableGateways' | 'accessTo'>,
  warnings: string[] = [],
): Promise<MixEndpoint> {
  const log = { ...silentLog, warn: (_facts: object, line: string) => void warnings.push(line) } as typeof silentLog;
  const topology = net.topology();
  const endpoint = new built.MixEndpoint({
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
    ...options,
  });
  t.teardown(() => endpoint.stop());
  return endpoint;
}
