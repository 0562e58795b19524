/**
 * A client uses an exit to reach what trusts the exit's machine: the metadata service and the host agent of its cloud, or
 * the machine itself under its public address, which address translation keeps from the machine's own sight. It asks for
 * the addresses, for names that lead to them, and for names that lead elsewhere when they are looked at first.
 */
import t, { type Test } from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import type { ErrorCode } from '../../lib/core/errors.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createIdentity } from '../../lib/link/index.ts';
import { observedAddressIn, withObservedAddress } from '../../lib/link/observed-address.ts';
import { parseAddress } from '../../lib/net/address-policy.ts';
import type { AcceptedStream, StreamKind } from '../../lib/session/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { Egress } from '../../network-requester/egress/egress.ts';
import { ExitPolicy, MAX_OBSERVED } from '../../network-requester/policy/exit-policy.ts';
import { serve } from '../support/front-world.ts';
import { builtLinks, NETWORK_ID, PACKET_BYTES, testListener } from '../support/link-fixtures.ts';

const CLOUD = [
  '169.254.169.254',
  '169.254.170.2',
  '169.254.42.42',
  '168.63.129.16',
  '100.100.100.200',
  '192.0.0.192',
  'fd00:ec2::254',
  'fd00:ec2::23',
  'fd20:ce::254',
  'fd00:c1::a9fe:a9fe',
  'fd00:42::42',
  'fd00:a9fe:a9fe::1',
  'fd00:100::100:200',
  'fe80::a9fe:a9fe',
];

/** An IPv4 address as tunnels and translators write it in IPv6. */
function formsOf(address: string): string[] {
  const hex = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  const [high = '', low = ''] = [hex.slice(0, 2).join(''), hex.slice(2).join('')];
  return [
    address,
    `::ffff:${address}`,
    `::ffff:0:${high}:${low}`, // RFC 2765
    `::${address}`, // IPv4-compatible
    `64:ff9b::${high}:${low}`, // NAT64
    `64:ff9b:1::${high}:${low}`, // local NAT64
    `2002:${high}:${low}::1`, // 6to4
    `2606:4700::5efe:${high}:${low}`, // ISATAP
  ];
}

const allFormsOf = (addresses: readonly string[]) =>
  addresses.flatMap((address) => (address.includes(':') ? [address] : formsOf(address)));

/** Answers every name with the next of its answers; the last one for ever. */
class Resolver {
  calls = 0;
  constructor(readonly answers: readonly (readonly string[])[]) {}
  resolve = async () => this.answers[Math.min(this.calls++, this.answers.length - 1)] ?? [];
  reverse = this.resolve;
}

/** Asks an exit for a destination; what became of it. */
async function ask(egress: Egress, kind: StreamKind, host: string, port: number): Promise<ErrorCode | 'opened'> {
  return new Promise((resolve) => {
    const stream: AcceptedStream = {
      id: 1,
      opened: () => resolve('opened'),
      refuse: resolve,
      reset: () => {},
      endWithReset: () => {},
      write: () => true,
      sendDatagram: () => true,
      end: () => {},
      stop: () => {},
      consume: () => {},
    };
    const handlers = egress.accept(stream, kind, kind === 'udp' ? '0.0.0.0' : host, kind === 'udp' ? 0 : port, 'one');
    if (kind === 'udp') handlers.onDatagram?.(host, port, Buffer.from('x'));
  });
}

function exit(t: Test, policy: ExitPolicy, allowPrivate: boolean, answers: readonly (readonly string[])[] = []) {
  const metrics = new Metrics();
  const resolver = new Resolver(answers);
  const components = { clock: systemClock, log: silentLog, metrics };
  const egress = new Egress({ components, allowPrivate, policy, resolver });
  t.teardown(() => egress.stop());
  return { egress, metrics, resolver };
}

const policyOf = (allowPrivate: boolean, listedAddresses: readonly string[] = []) =>
  new ExitPolicy({ clock: systemClock, allowPrivate, ownAddresses: () => [], listedAddresses });

/** The ones of `addresses` that an exit would connect to. */
const reached = (policy: Pick<ExitPolicy, 'permitted'>, addresses: readonly string[]) =>
  addresses.filter((address) => policy.permitted([address], 80).length > 0);

t.test('no exit connects to the metadata services and host agents of clouds, in whatever form', async (t) => {
  const forms = allFormsOf(CLOUD);
  for (const allowPrivate of [false, true]) {
    t.strictSame(reached(policyOf(allowPrivate), forms), [], `allowPrivate ${allowPrivate}`);
  }
  // The defence switched off: by its range alone such an address is one of the internet.
  const byRange = {
    permitted: (addresses: readonly string[]) =>
      addresses.flatMap((address) => parseAddress(address.replace('168.63.129.16', '168.63.129.17')) ?? []),
  };
  t.strictNotSame(reached(byRange, forms), []);
});

t.test('names that lead there are refused, for TCP, UDP and look-ups', async (t) => {
  for (const address of CLOUD) {
    const { egress, metrics } = exit(t, policyOf(true), true, [[address, `::ffff:${address}`]]);
    for (const host of ['metadata.cloud.example', address]) {
      t.equal(await ask(egress, 'tcp', host, 80), 'POLICY', `TCP ${host}`);
      t.equal(await ask(egress, 'resolve', host, 0), 'POLICY', `look-up ${host}`);
      t.equal(await ask(egress, 'udp', host, 53), 'opened', 'an association names no destination yet');
    }
    const lost = async () => /datagrams_total\{fate="policy"\} 2/.test(await metrics.text());
    while (!(await lost())) await new Promise((resolve) => setTimeout(resolve, 2));
    t.notMatch(await metrics.text(), /fate="up"/, address);
  }
});

t.test('a name that changes between two looks is judged by the address that is connected to', async (t) => {
  const site = await serve((socket) => socket.resume());
  t.teardown(() => site.close());
  const { egress, resolver } = exit(t, policyOf(true), true, [['127.0.0.1'], ['168.63.129.16'], ['127.0.0.1']]);
  const outcomes = [];
  for (let n = 0; n < 3; n++) outcomes.push(await ask(egress, 'tcp', 'changes.example', site.port));
  t.strictSame(outcomes, ['opened', 'POLICY', 'opened']);
  t.equal(resolver.calls, 3, 'each is looked at once');
});

t.test(
  'the public address of an exit behind translation is its own, once it is listed or a gateway sees it',
  async (t) => {
    const own = ['8.8.4.4', '2606:4700::53'];
    const prefix = ['9.9.9.0', '9.9.9.255', '2620:fe::1', '2620:fe:0:0:ffff::1'];
    const forms = allFormsOf([...own, ...prefix]);
    const others = ['8.8.4.5', '9.9.8.255', '9.9.10.0', '2606:4700::54', '2620:fe:0:1::1'];

    const listed = policyOf(false, [...own, '9.9.9.0/24', '2620:fe::/64']);
    t.strictSame(reached(listed, forms), []);
    t.strictSame(reached(listed, others), others);

    const seen = policyOf(false);
    for (const address of own) seen.observe(address);
    t.strictSame(reached(seen, allFormsOf(own)), []);
    t.strictSame(reached(seen, others), others);
    const { egress } = exit(t, seen, false, [['8.8.4.4']]);
    t.equal(await ask(egress, 'tcp', 'exit.example', 80), 'POLICY');
    t.equal(await ask(egress, 'tcp', '8.8.4.4', 80), 'POLICY');
    t.equal(await ask(egress, 'resolve', 'exit.example', 0), 'POLICY');

    t.strictNotSame(reached(policyOf(false), forms), [], 'the defence switched off: an exit that is not told');
  },
);

t.test('a gateway that lies about the address closes a few, and opens none', async (t) => {
  const policy = policyOf(false);
  const lies = Array.from({ length: 100 }, (_, n) => `1.1.1.${n}`);
  for (const lie of lies) policy.observe(lie);
  for (const nonsense of ['', 'example.org', '10.0.0.1', '::']) policy.observe(nonsense);
  t.equal(lies.length - reached(policy, lies).length, MAX_OBSERVED - 2, 'the last ones');
  t.strictSame(reached(policy, ['10.0.0.1', '127.0.0.1', '169.254.169.254']), []);
});

t.test('a gateway tells its clients under which address it sees them', async (t) => {
  const { ClientLink } = await builtLinks();
  const gateway = await testListener();
  const client = ClientLink.open({
    identity: await createIdentity(systemRng),
    gateway: gateway.target(),
    client: { trafficClass: 'standard', clocked: false },
    networkId: NETWORK_ID,
    packetBytes: PACKET_BYTES,
    keyExchange: 'any',
    log: silentLog,
  });
  t.teardown(() => Promise.all([client.stop(), gateway.close()]));
  t.equal(await new Promise((resolve) => client.onObservedAddress(resolve)), '127.0.0.1');
});

t.test('an address in a hello is read as it was written, and anything else is none', async (t) => {
  const hello = Buffer.alloc(44, 1);
  for (const [given, read] of [
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:DB8:0::7', '2001:db8::7'],
  ] as const) {
    const frame = withObservedAddress(hello, given);
    t.equal(observedAddressIn(frame), read, given);
    t.strictSame(frame.subarray(0, 44), hello);
  }
  for (const none of [undefined, '', 'fe80::1%eth0', 'name']) {
    t.equal(observedAddressIn(withObservedAddress(hello, none)), undefined);
  }
  const frame = withObservedAddress(hello, '203.0.113.7');
  t.equal(observedAddressIn(frame.subarray(0, 130)), undefined, 'cut off');
  frame[128] = 5;
  t.equal(observedAddressIn(frame), undefined, 'no such family');
  t.equal(observedAddressIn(Buffer.alloc(2445)), undefined, 'an older gateway');
});
