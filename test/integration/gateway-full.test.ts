/** A client whose gateways are full: it goes on to the next at once, and says so when all are. */
import t from 'tap';
import { until } from '../support/link-fixtures.ts';
import { miniEndpoint } from '../support/mini-endpoint.ts';
import { MiniClient, startMiniNetwork } from '../support/mini-network.ts';

t.test('a client tries its gateways until one has room, and says when none has', async (t) => {
  const net = await startMiniNetwork({ gateways: 2, maxClients: 1 });
  t.teardown(() => net.stop());
  const lines: string[] = [];
  const endpointOf = async () => {
    const usable = [net.entry('gateway-1'), net.entry('gateway-2')];
    const endpoint = await miniEndpoint(t, net, { usableGateways: () => usable }, lines);
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
