/** A client whose gateway loses most packets takes another, once, and stays there although that one is no better. */
import t from 'tap';
import { systemClock } from '../../lib/clock.ts';
import { createIdentity } from '../../lib/link/index.ts';
import { silentLog } from '../../lib/log.ts';
import { Metrics } from '../../lib/metrics.ts';
import { pick, systemRng } from '../../lib/rng.ts';
import { until } from '../support/link-fixtures.ts';
import { crypto, startMiniNetwork } from '../support/mini-network.ts';

/** The link's threads run what was built. */
const { MixEndpoint }: typeof import('../../lib/client/index.ts') = await import(
  new URL('../../dist/lib/client/index.js', import.meta.url).href
);

t.test('a client leaves a lossy gateway, and does not wander', async (t) => {
  const net = await startMiniNetwork({
    mixesPerLayer: 2,
    gateways: 2,
    gateway: { fault: 'drop=0.6' },
    params: { classes: { standard: { mainRate: 1, replyRate: 1, loopRate: 40, dropRate: 1 } } },
  });
  t.teardown(() => net.stop());
  const topology = net.topology();
  const endpoint = new MixEndpoint({
    components: { clock: systemClock, rng: systemRng, crypto, log: silentLog, metrics: new Metrics() },
    identity: await createIdentity(systemRng),
    networkId: net.networkId,
    directory: { topology: () => topology, onTopology: () => {} },
    trafficClass: 'standard',
    chooseGateway: ({ gateways }, avoid) =>
      pick(
        systemRng,
        gateways.filter(({ id }) => !avoid.has(id)),
      ),
  });
  t.teardown(() => endpoint.stop());
  const gateways: (string | undefined)[] = [];
  endpoint.onMoved(() => gateways.push(endpoint.gateway?.name));
  endpoint.start();
  const first = endpoint.gateway?.name;
  const { health } = endpoint.ledger;
  const pathIsBad = () => health.pathIsBad(systemClock.nowMs());
  await until(() => gateways.length > 0);
  t.notOk(pathIsBad(), 'the new one begins without a record');
  t.not(gateways[0], first);
  await until(pathIsBad);
  const sent = endpoint.ledger.loopsSent;
  await until(() => endpoint.ledger.loopsSent >= sent + 40 && pathIsBad());
  t.strictSame(gateways, [gateways[0]], 'it stays');
  t.strictSame(health.excluded, [], 'and blames no mix');
});
