import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { systemClock } from '../../lib/core/clock.ts';
import { RequesterConfig } from '../../network-requester/config.ts';
import { DnsCache } from '../../network-requester/dns/dns-cache.ts';
import type { AddressRecord, DnsQueries } from '../../network-requester/dns/dns-queries.ts';
import { HostsFile, parseHosts } from '../../network-requester/dns/hosts-file.ts';
import { SystemResolver } from '../../network-requester/dns/resolver.ts';
import { startDns } from '../support/dns.ts';
import { monotonic } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

type Answer = string[] | string | 'silence';

const TTL_S = 60;

/** Queries answered from a script: addresses, an error code, or never. */
class ScriptedDns implements DnsQueries {
  cancelled = 0;
  readonly asked: string[] = [];
  constructor(
    public ipv4: Answer,
    public ipv6: Answer,
    readonly names: Answer = 'ENOTFOUND',
    readonly ttl = TTL_S,
  ) {}

  resolve4 = (name: string) => this.#records(name, this.ipv4);
  resolve6 = (name: string) => this.#records(name, this.ipv6);
  reverse = (address: string) => this.#answer(address, this.names);
  cancel(): void {
    this.cancelled += 1;
  }

  async #records(name: string, answer: Answer): Promise<AddressRecord[]> {
    return (await this.#answer(name, answer)).map((address) => ({ address, ttl: this.ttl }));
  }

  #answer(name: string, answer: Answer): Promise<string[]> {
    this.asked.push(name);
    if (answer === 'silence') return new Promise(() => {});
    return typeof answer === 'string'
      ? Promise.reject(Object.assign(new Error(answer), { code: answer }))
      : Promise.resolve(answer);
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

function world(ipv4: Answer, ipv6: Answer, pending = 256, names?: Answer, ttl?: number) {
  const clock = new VirtualClock();
  const dns = new ScriptedDns(ipv4, ipv6, names, ttl);
  const hosts = {
    lookup: (name: string) => (name === 'router.example' ? ['10.0.0.138'] : []),
    namesOf: (address: string) => (address === '10.0.0.138' ? ['router.example'] : []),
  };
  const resolver = new SystemResolver({ clock, hosts, dns: () => dns, limits: { pending } });
  return { clock, dns, resolver };
}

t.test('addresses of both families come in turn, IPv6 first', async (t) => {
  const { resolver, clock } = world(['192.0.2.1', '192.0.2.2'], ['2001:db8::1']);
  t.same(await resolver.resolve('a.example'), ['2001:db8::1', '192.0.2.1', '192.0.2.2']);
  clock.advance(10_000);
  t.equal(clock.pending, 0);
});

t.test('a name with addresses of one family is resolved', async (t) => {
  t.same(await world(['192.0.2.1'], 'ENODATA').resolver.resolve('a.example'), ['192.0.2.1']);
  t.same(await world('ESERVFAIL', ['2001:db8::1']).resolver.resolve('a.example'), ['2001:db8::1']);
});

t.test('a slow family is waited for a moment only', async (t) => {
  const { resolver, clock, dns } = world(['192.0.2.1'], 'silence');
  let result: readonly string[] | undefined;
  void resolver.resolve('a.example').then((addresses) => {
    result = addresses;
  });
  await turn();
  clock.advance(49);
  await turn();
  t.equal(result, undefined);
  clock.advance(1);
  await turn();
  t.same(result, ['192.0.2.1']);
  t.equal(dns.cancelled, 1, 'the other query is ended');
});

t.test('a name that does not exist and one without an answer have their codes', async (t) => {
  await t.rejects(world('ENOTFOUND', 'ENOTFOUND').resolver.resolve('a.example'), { code: 'NOT_FOUND' });
  await t.rejects(world('ENODATA', 'ENODATA').resolver.resolve('a.example'), { code: 'NOT_FOUND' });
  await t.rejects(world('ESERVFAIL', 'ENODATA').resolver.resolve('a.example'), { code: 'HOST_UNREACHABLE' });
  await t.rejects(world('ECONNREFUSED', 'ECONNREFUSED').resolver.resolve('a.example'), { code: 'HOST_UNREACHABLE' });
  const { resolver, clock, dns } = world('silence', 'silence');
  const silent = t.rejects(resolver.resolve('a.example'), { code: 'HOST_UNREACHABLE' });
  await turn();
  clock.advance(5_000);
  await silent;
  t.equal(dns.cancelled, 1);
});

t.test('localhost and the hosts file need no DNS', async (t) => {
  const { resolver, dns } = world('ENOTFOUND', 'ENOTFOUND');
  t.same(await resolver.resolve('localhost'), ['127.0.0.1', '::1']);
  t.same(await resolver.resolve('app.localhost'), ['127.0.0.1', '::1']);
  t.same(await resolver.resolve('router.example'), ['10.0.0.138']);
  t.same(dns.asked, []);
});

t.test('names under way are bounded', async (t) => {
  const { resolver, clock } = world('silence', 'silence', 2);
  const waiting = [resolver.resolve('a.example'), resolver.resolve('b.example')];
  await t.rejects(resolver.resolve('c.example'), { code: 'LIMIT' });
  t.same(await resolver.resolve('localhost'), ['127.0.0.1', '::1'], 'what needs no DNS still works');
  await turn();
  clock.advance(5_000);
  await Promise.allSettled(waiting);
  const next = t.rejects(resolver.resolve('c.example'), { code: 'HOST_UNREACHABLE' });
  await turn();
  clock.advance(5_000);
  await next;
});

t.test('the hosts file is read', async (t) => {
  const text =
    '127.0.0.1 localhost\n# 10.9.9.9 off.example\n 10.0.0.1\tA.example b.example # b2\r\n::1 localhost\n\n1.2.3.4\n';
  const entries = parseHosts(text);
  t.same(entries.get('localhost'), ['127.0.0.1', '::1']);
  t.same(entries.get('a.example'), ['10.0.0.1']);
  t.same(entries.get('b.example'), ['10.0.0.1']);
  t.same([entries.has('b2'), entries.has('off.example'), entries.size], [false, false, 3]);

  const dir = mkdtempSync(join(tmpdir(), 'mixsocks-hosts-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const hosts = new HostsFile(join(dir, 'hosts'));
  t.same(hosts.lookup('a.example'), [], 'a missing file is empty');
  writeFileSync(hosts.path, '10.0.0.1 a.example\n');
  t.same(hosts.lookup('a.example'), ['10.0.0.1']);
  writeFileSync(hosts.path, '10.0.0.2 a.example b.example\n');
  t.same(hosts.lookup('a.example'), ['10.0.0.2'], 'and read again when it changes');
  writeFileSync(hosts.path, '::ffff:10.0.0.3 c.example\n10.0.0.3 d.example\n');
  t.same(hosts.namesOf('10.0.0.3'), ['c.example', 'd.example']);
  t.same(hosts.namesOf('10.0.0.2'), [], 'of the new file only');
});

t.test('the real resolver answers an unknown name promptly', async (t) => {
  const { systemClock } = await import('../../lib/core/clock.ts');
  const resolver = new SystemResolver({ clock: systemClock });
  await t.rejects(resolver.resolve('no-such-name.invalid'), { name: 'MixError' });
});

t.test('an answer is remembered for its time to live', async (t) => {
  const { resolver, dns, clock } = world(['192.0.2.1'], 'ENODATA');
  t.same(await resolver.resolve('a.example'), ['192.0.2.1']);
  dns.ipv4 = ['192.0.2.2'];
  clock.advance(TTL_S * 1000 - 1);
  t.same(await resolver.resolve('a.example'), ['192.0.2.1']);
  t.equal(dns.asked.length, 2, 'one question per family');
  clock.advance(1);
  t.same(await resolver.resolve('a.example'), ['192.0.2.2']);
});

t.test('an answer is not remembered for long, however long its time to live', async (t) => {
  const { resolver, dns, clock } = world(['192.0.2.1'], 'ENODATA', 256, undefined, 86_400);
  await resolver.resolve('a.example');
  clock.advance(299_999);
  await resolver.resolve('a.example');
  t.equal(dns.asked.length, 2);
  clock.advance(1);
  await resolver.resolve('a.example');
  t.equal(dns.asked.length, 4);
  const fleeting = world(['192.0.2.1'], 'ENODATA', 256, undefined, 0);
  await fleeting.resolver.resolve('a.example');
  await fleeting.resolver.resolve('a.example');
  t.equal(fleeting.dns.asked.length, 4, 'nor what is not to be remembered at all');
});

t.test('bad answers are remembered for a shorter time', async (t) => {
  for (const [answer, code, forMs] of [
    ['ENOTFOUND', 'NOT_FOUND', 30_000],
    ['ESERVFAIL', 'HOST_UNREACHABLE', 2_000],
  ] as const) {
    const { resolver, dns, clock } = world(answer, answer);
    await t.rejects(resolver.resolve('a.example'), { code });
    dns.ipv4 = ['192.0.2.1'];
    clock.advance(forMs - 1);
    await t.rejects(resolver.resolve('a.example'), { code });
    clock.advance(1);
    t.same(await resolver.resolve('a.example'), ['192.0.2.1'], answer);
  }
});

t.test('half an answer is soon asked for again', async (t) => {
  const { resolver, dns, clock } = world(['192.0.2.1'], 'ESERVFAIL');
  await resolver.resolve('a.example');
  dns.ipv6 = ['2001:db8::1'];
  clock.advance(5_000);
  t.same(await resolver.resolve('a.example'), ['2001:db8::1', '192.0.2.1']);
});

t.test('look-ups of the same name share one answer', async (t) => {
  const { resolver, dns } = world(['192.0.2.1'], ['2001:db8::1'], 1);
  const answers = await Promise.all([resolver.resolve('a.example'), resolver.resolve('a.example')]);
  t.same(answers[0], answers[1]);
  t.equal(dns.asked.length, 2);
});

t.test('an address is resolved to names, the hosts file first', async (t) => {
  const { resolver, dns } = world([], [], 256, ['one.example', 'two.example']);
  t.same(await resolver.reverse('10.0.0.138'), ['router.example'], 'the hosts file first');
  t.same(await resolver.reverse('192.0.2.1'), ['one.example', 'two.example']);
  t.same(await resolver.reverse('192.0.2.1'), ['one.example', 'two.example']);
  t.same(dns.asked, ['192.0.2.1'], 'remembered');
  await t.rejects(world([], []).resolver.reverse('192.0.2.1'), { code: 'NOT_FOUND' });
  await t.rejects(world([], [], 256, 'ETIMEOUT').resolver.reverse('192.0.2.1'), { code: 'HOST_UNREACHABLE' });
});

t.test('the memory is bounded, and keeps what is used', async (t) => {
  const cache = new DnsCache<number>(3);
  for (const [index, name] of ['a', 'b', 'c'].entries()) cache.put(name, index, 1000, monotonic(0));
  t.equal(cache.get('a', monotonic(1)), 0);
  cache.put('d', 3, 1000, monotonic(1));
  t.same(
    [
      cache.get('a', monotonic(2)),
      cache.get('b', monotonic(2)),
      cache.get('c', monotonic(2)),
      cache.get('d', monotonic(2)),
    ],
    [0, undefined, 2, 3],
  );
  t.equal(cache.size, 3);
  t.equal(cache.get('a', monotonic(1000)), undefined);
  t.equal(cache.size, 2, 'what is too old goes when it is met');
});

t.test('name servers of its own are asked over the wire', async (t) => {
  const zone = { 'both.example': ['192.0.2.1', '2001:db8::1'], 'four.example': ['192.0.2.2', '192.0.2.3'] };
  const dns = await startDns(t, zone);
  const resolver = new SystemResolver({ clock: systemClock, nameServers: [dns.place] });
  t.same(await resolver.resolve('both.example'), ['2001:db8::1', '192.0.2.1']);
  t.same(await resolver.resolve('four.example'), ['192.0.2.2', '192.0.2.3']);
  t.same(await resolver.reverse('2001:db8::1'), ['both.example']);
  await t.rejects(resolver.resolve('none.example'), { code: 'NOT_FOUND' });
});

t.test('name servers are addresses', async (t) => {
  const parse = (...nameServers: string[]) => RequesterConfig.safeParse({ dir: 'x', nameServers }).success;
  t.ok(parse('192.0.2.53', '192.0.2.53:5353', '2001:db8::53', '[2001:db8::53]:53'));
  for (const bad of ['dns.example', 'dns.example:53', '192.0.2.53:0', '192.0.2.53:65536', '']) t.notOk(parse(bad), bad);
});
