/** A real gateway that lets in invited clients only: of a private network, and alone in an open one. */
import { createSecureContext } from 'node:tls';
import t from 'tap';
import { invitationFiles } from '../../gateway/invitation-files.ts';
import { systemClock } from '../../lib/core/clock.ts';
import { packetBytes } from '../../lib/core/params.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { COUNTERSIGNATURE_BYTES, invitationKeyOf, newToken, tokenIdOf } from '../../lib/directory/index.ts';
import { Dial } from '../../lib/link/dial.ts';
import { type AccessCredential, createIdentity, type HelloKind } from '../../lib/link/index.ts';
import { DEFAULT_LINK_LIMITS } from '../../lib/link/limits.ts';
import { secureOptionsOf } from '../../lib/link/tls.ts';
import { until } from '../support/link-fixtures.ts';
import { miniEndpoint } from '../support/mini-endpoint.ts';
import { crypto, MiniClient, type MiniNetwork, type MiniNode, startMiniNetwork } from '../support/mini-network.ts';
import { credential } from '../support/private-door.ts';
import { unix } from '../support/units.ts';

async function invite({ home }: MiniNode): Promise<string> {
  const token = newToken(systemRng);
  await invitationFiles(home).create({ key: invitationKeyOf(token, crypto), uses: 1, createdMs: unix(1) });
  return token;
}

const revoke = ({ home }: MiniNode, token: string) =>
  invitationFiles(home).revoke(tokenIdOf(invitationKeyOf(token, crypto)), unix(2));

/** Until the gateway has read its invitations again, it does not know a new one. */
async function connected(net: MiniNetwork, access: AccessCredential): Promise<MiniClient> {
  for (;;) {
    const client = await MiniClient.connect(net, 'gateway-1', undefined, access);
    if (client.ended !== 'invitation-unknown') return client;
  }
}

/** What a stranger gets who dials as `kind`: what stands behind the gateway's hello, or why he was refused; and why it ended. */
async function dialled(net: MiniNetwork, kind: HelloKind): Promise<{ extra?: Uint8Array; ended: string }> {
  const { id, host, port } = net.entry('gateway-1');
  const identity = await createIdentity(systemRng);
  const got: { extra?: Uint8Array } = {};
  return new Promise((resolve) => {
    Dial.start({
      ...DEFAULT_LINK_LIMITS,
      context: createSecureContext(secureOptionsOf(identity, 'any')),
      keyExchange: 'any',
      target: { id, host, port },
      kind,
      terms: { networkId: net.networkId, packetBytes: packetBytes(net.params.payloadBytes) },
      client: { trafficClass: 'standard', clocked: false },
      clock: systemClock,
      onUp: (_link, extra) => {
        got.extra = extra;
      },
      onFrame: () => {},
      onDown: (ended) => resolve({ ...got, ended }),
    });
  });
}

t.test('a gateway of a private network: guests, strangers, exits, and who claims to be one', async (t) => {
  const exit = await createIdentity(systemRng);
  const net = await startMiniNetwork({ params: { clients: 'invited' }, requester: exit });
  t.teardown(() => net.stop());
  const gateway = net.node('gateway-1');
  t.equal((await MiniClient.connect(net)).ended, 'not-invited');
  t.equal((await MiniClient.connect(net, 'gateway-1', exit)).up, true, 'an exit of the consensus is no guest');

  const claims = await dialled(net, 'countersign');
  t.ok((claims.extra?.byteLength ?? 0) >= COUNTERSIGNATURE_BYTES, 'anybody may ask for a countersignature');
  t.equal(claims.ended, 'peer-closed', 'which is no link, and makes nobody an exit');
  t.equal(await gateway.count('clients_connected'), 1);
  t.equal((await dialled(net, 'client')).ended, 'not-invited');

  const token = await invite(gateway);
  const guest = await connected(net, credential(token, 1));
  t.ok(guest.up);
  const known = await MiniClient.connect(net, 'gateway-1', undefined, credential(token, 1));
  t.ok(known.up, 'under a renewed identity the device is the same');
  t.equal((await MiniClient.connect(net, 'gateway-1', undefined, credential(token, 2))).ended, 'invitation-used-up');

  await revoke(gateway, token);
  await net.until(() => !guest.up && !known.up);
  t.equal((await MiniClient.connect(net, 'gateway-1', undefined, credential(token, 1))).ended, 'invitation-revoked');
  t.equal(await gateway.count('link_refused_total', { reason: 'not-invited' }), 2, 'refusals are counted by reason');
});

t.test('a private gateway in an open network says so, and the others let everybody in', async (t) => {
  const net = await startMiniNetwork({ gateway: { clients: 'invited' } });
  t.teardown(() => net.stop());
  t.equal(net.entry('gateway-1').clients, 'invited');
  t.equal((await MiniClient.connect(net)).ended, 'not-invited');
  t.ok((await connected(net, credential(await invite(net.node('gateway-1')), 1))).up);
});

t.test(
  'a client with several invitations shows another when one is refused, and says why it is not let in',
  async (t) => {
    const net = await startMiniNetwork({ params: { clients: 'invited' } });
    t.teardown(() => net.stop());
    const lines: string[] = [];
    const endpointOf = async (access: readonly AccessCredential[]) => {
      const terms = { usableGateways: () => [net.entry('gateway-1')], accessTo: () => access };
      const endpoint = await miniEndpoint(t, net, terms, lines);
      endpoint.start();
      return endpoint;
    };
    const gateway = net.node('gateway-1');
    const [old, fresh] = [await invite(gateway), await invite(gateway)];
    await revoke(gateway, old);
    const refused = await endpointOf([]);
    await until(() => refused.stats().accessRefusal !== undefined);
    t.equal(refused.stats().accessRefusal, 'not-invited');
    t.notOk(refused.stats().gatewaysFull);
    await until(() => lines.some((line) => line.startsWith('this network is private: its gateways let in invited')));
    const guest = await endpointOf([credential(old, 1), credential(fresh, 1)]);
    await until(() => guest.linkState === 'up');
    t.equal(guest.stats().accessRefusal, undefined);
  },
);
