import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { HostsFile, parseHosts } from '../../network-requester/hosts-file.ts';
import { type DnsQueries, SystemResolver } from '../../network-requester/resolver.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

type Answer = string[] | string | 'silence';

/** Queries answered from a script: addresses, an error code, or never. */
class ScriptedDns implements DnsQueries {
  cancelled = 0;
  readonly asked: string[] = [];
  constructor(
    readonly ipv4: Answer,
    readonly ipv6: Answer,
  ) {}

  resolve4 = (name: string) => this.#answer(name, this.ipv4);
  resolve6 = (name: string) => this.#answer(name, this.ipv6);
  cancel(): void {
    this.cancelled += 1;
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

function world(ipv4: Answer, ipv6: Answer, pending = 256) {
  const clock = new VirtualClock();
  const dns = new ScriptedDns(ipv4, ipv6);
  const hosts = { lookup: (name: string) => (name === 'router.example' ? ['10.0.0.138'] : []) };
  const resolver = new SystemResolver({ clock, hosts, dns: () => dns, limits: { pending } });
  return { clock, dns, resolver };
}

t.test('both families, IPv4 first, in turn', async (t) => {
  const { resolver, clock } = world(['192.0.2.1', '192.0.2.2'], ['2001:db8::1']);
  t.same(await resolver.resolve('a.example'), ['192.0.2.1', '2001:db8::1', '192.0.2.2']);
  clock.advance(10_000);
  t.equal(clock.pending, 0);
});

t.test('one family is enough', async (t) => {
  t.same(await world(['192.0.2.1'], 'ENODATA').resolver.resolve('a.example'), ['192.0.2.1']);
  t.same(await world('ESERVFAIL', ['2001:db8::1']).resolver.resolve('a.example'), ['2001:db8::1']);
});

t.test('one that is slow is waited for a moment only', async (t) => {
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

t.test('what does not exist, and what gives no answer', async (t) => {
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

t.test('hosts file', async (t) => {
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
});

t.test('the real resolver answers an unknown name promptly', async (t) => {
  const { systemClock } = await import('../../lib/clock.ts');
  const resolver = new SystemResolver({ clock: systemClock });
  await t.rejects(resolver.resolve('no-such-name.invalid'), { name: 'MixError' });
});
