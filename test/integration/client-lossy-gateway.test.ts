/** A client whose gateway loses most packets takes another, once, and stays there although that one is no better. */
import t from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import { until } from '../support/link-fixtures.ts';
import { miniEndpoint } from '../support/mini-endpoint.ts';
import { startMiniNetwork } from '../support/mini-network.ts';

t.test('a client leaves a lossy gateway, and does not wander', async (t) => {
  const net = await startMiniNetwork({
    mixesPerLayer: 2,
    gateways: 2,
    gateway: { fault: 'drop=0.6' },
    params: { classes: { standard: { mainRate: 1, replyRate: 1, loopRate: 40, dropRate: 1, deliveryRate: 50 } } },
  });
  t.teardown(() => net.stop());
  const endpoint = await miniEndpoint(t, net, { usableGateways: ({ gateways }) => gateways });
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
