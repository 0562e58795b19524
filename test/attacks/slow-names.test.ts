/**
 * A client asks an exit for names of a zone of its own, whose server never answers: each look-up lasts for the whole time-out, and an exit
 * makes no more than 256 at a time. Names are in the requests of connections, and in datagrams, dozens of which are in a packet.
 */
import t from 'tap';
import type { AcceptedStream, StreamKind } from '../../lib/session/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { DEFAULT_RESOLVER_LIMITS } from '../../network-requester/config.ts';
import type { AddressRecord, DnsQueries } from '../../network-requester/dns/dns-queries.ts';
import { SystemResolver } from '../../network-requester/dns/resolver.ts';
import { Egress } from '../../network-requester/egress/egress.ts';
import type { PaidBy } from '../../network-requester/shares.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const MOST = DEFAULT_RESOLVER_LIMITS.pending;
const SLOW = '.slow.example';

/** Servers that answer, but not for the attacker's zone. */
class Servers implements DnsQueries {
  static cancelled = 0;
  resolve4 = async (name: string): Promise<AddressRecord[]> =>
    name.endsWith(SLOW) ? new Promise(() => {}) : [{ address: '127.0.0.1', ttl: 60 }];
  resolve6 = (name: string) => this.resolve4(name);
  reverse = () => new Promise<never>(() => {});
  cancel(): void {
    Servers.cancelled += 1;
  }
}

/** One proxy sends 56 packets a second, of however many sessions. */
const paidBy: PaidBy = (session) => (session.startsWith('evil') ? 56 / MOST : 56);

function resolverOf(weights?: PaidBy) {
  const clock = new VirtualClock();
  const hosts = { lookup: () => [], namesOf: () => [] };
  const shares = weights === undefined ? {} : { paidBy: weights };
  return { clock, resolver: new SystemResolver({ clock, hosts, dns: () => new Servers(), ...shares }) };
}

/** How many of these look-ups are answered; those that are under way are not waited for. */
async function answered(lookups: readonly Promise<readonly string[]>[]): Promise<number> {
  let count = 0;
  for (const lookup of lookups) {
    lookup.then(
      () => (count += 1),
      () => {},
    );
  }
  await new Promise(setImmediate);
  return count;
}

const names = (of: string, count: number) => Array.from({ length: count }, (_, i) => `${i}.${of}`);

t.test('a client that asks for as many slow names as an exit takes leaves others theirs', async (t) => {
  for (const sessions of [1, 4, MOST]) {
    const { clock, resolver } = resolverOf(paidBy);
    const slow = names('a.slow.example', MOST).map((name, i) => resolver.resolve(name, `evil ${i % sessions}`));
    t.equal(await answered(slow), 0);
    const cancelled = Servers.cancelled;
    const page = names('page.example', 30).map((name) => resolver.resolve(name, 'honest'));
    const other = names('other.example', 30).map((name) => resolver.resolve(name, 'other'));
    const more = names('b.slow.example', MOST).map((name, i) => resolver.resolve(name, `evil ${i % sessions}`));
    clock.advance(50); // the other family answers later
    t.equal(await answered([...page, ...other, ...more]), 60, `in ${sessions} sessions`);
    t.ok(Servers.cancelled >= cancelled + 60, 'what gives way is not asked for any more');
    clock.advance(5_000);
    await Promise.allSettled([...slow, ...more]);
  }
});

t.test('where sessions that send little weigh as much as others, one client in many closes the exit', async (t) => {
  const { clock, resolver } = resolverOf();
  const slow = names('a.slow.example', MOST).map((name, i) => resolver.resolve(name, `evil ${i}`));
  await t.rejects(resolver.resolve('page.example', 'honest'), { code: 'LIMIT' });
  clock.advance(5_000);
  await Promise.allSettled(slow);
});

t.test('who waits for a name that another session asked for first does not lose it with that', async (t) => {
  const { clock, resolver } = resolverOf(paidBy);
  const shared = '0.a.slow.example';
  const slow = names('a.slow.example', MOST).map((name, i) => resolver.resolve(name, `evil ${i % 4}`));
  const waits = resolver.resolve(shared, 'honest');
  const page = names('page.example', 30).map((name) => resolver.resolve(name, 'honest'));
  await t.rejects(slow[0] as Promise<unknown>, { code: 'LIMIT' });
  clock.advance(5_000);
  await t.rejects(waits, { code: 'HOST_UNREACHABLE' }, 'it was asked for again, for as long as any');
  await Promise.allSettled([...slow, ...page]);
});

t.test('look-ups of all kinds of streams, and of datagrams, are those of their session', async (t) => {
  const clock = new VirtualClock();
  const asked: string[] = [];
  const lookUp = (name: string, session: string) => {
    asked.push(`${name} ${session}`);
    return new Promise<never>(() => {});
  };
  const components = { clock, log: silentLog, metrics: new Metrics() };
  const egress = new Egress({ components, allowPrivate: true, resolver: { resolve: lookUp, reverse: lookUp } });
  t.teardown(() => egress.stop());
  const stream = { id: 1, opened() {}, refuse() {}, reset() {} } as unknown as AcceptedStream;
  const open = (kind: StreamKind, host: string, port: number) => egress.accept(stream, kind, host, port, 'one');
  open('tcp', 'tcp.example', 80);
  open('resolve', 'name.example', 0);
  open('resolve', '8.8.8.8', 0);
  open('udp', '0.0.0.0', 0).onDatagram?.('udp.example', 53, Buffer.from('x'));
  await new Promise(setImmediate);
  t.strictSame(asked, ['tcp.example one', 'name.example one', '8.8.8.8 one', 'udp.example one']);
});
