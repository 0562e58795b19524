/** The address that a node publishes: of a name, resolved by the node, again and again. */
import t from 'tap';
import { AdvertisedAddresses, advertisedAddresses, RESOLVE_PERIOD_MS } from '../../lib/node/advertise.ts';
import { settled } from '../support/reach-world.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const NAMED = { at: [{ host: 'mix.example', port: 4001 }], families: new Set([4, 6]) };

/** What the name means now; the error of the system when there is none. */
class Names {
  readonly clock = new VirtualClock();
  asked = 0;
  now: readonly string[] | undefined = [];
  readonly address = new AdvertisedAddresses(NAMED, this.clock, async () => {
    this.asked += 1;
    if (this.now === undefined) throw Object.assign(new Error('no'), { code: 'ENOTFOUND' });
    return this.now;
  });
  changes = 0;

  /** Time passes, with a look at each second of the upkeep. */
  async pass(ms: number): Promise<void> {
    for (let second = 0; second < ms; second += 1000) {
      this.clock.advance(1000);
      await this.address.look(() => {
        this.changes += 1;
      });
    }
  }
}

t.test('a name is published as its addresses, one of each family, the same as long as the name has them', async (t) => {
  const names = new Names();
  const host = async (...now: string[]) => {
    names.now = now;
    const { host, port, ipv6 } = await names.address.current();
    t.same([port, ipv6?.port ?? 4001], [4001, 4001]);
    return ipv6 === undefined ? host : `${host} ${ipv6.host}`;
  };
  t.equal(await host('2001:db8::1', '192.0.2.9', '192.0.2.5'), '192.0.2.5 2001:db8::1');
  t.equal(await host('2001:db8::2', '192.0.2.5', '2001:db8::1'), '192.0.2.5 2001:db8::1', 'no change without need');
  t.equal(await host('192.0.2.1', '192.0.2.5'), '192.0.2.5', 'no change without need');
  t.equal(await host('192.0.2.1'), '192.0.2.1');
  t.equal(await host('0.0.0.0', '2001:db8::1'), '2001:db8::1', 'nothing that cannot be dialled');
  t.equal(
    await host('127.0.1.1', '::1', '10.0.0.1'),
    '10.0.0.1',
    'what others can dial before what is this machine alone',
  );
  t.equal(await host('127.0.1.1', '192.168.0.1'), '192.168.0.1');
  t.equal(await host('127.0.1.1', '10.0.0.1', '2a00::5'), '2a00::5', 'public before private');
  t.equal(await host('127.0.1.1', '1.2.3.4', '2a00::5'), '1.2.3.4 2a00::5', 'and a better one when there is one');
  t.equal(await host('127.0.1.1'), '127.0.1.1');
});

t.test(
  'a name without an address is an error that names it; a name server that fails later changes nothing',
  async (t) => {
    const names = new Names();
    names.now = undefined;
    await t.rejects(names.address.current(), /mix\.example has no address \(ENOTFOUND\): see --advertise/);
    names.now = ['::', '0.0.0.0'];
    await t.rejects(names.address.current(), { code: 'NOT_FOUND' });
    names.now = ['192.0.2.1'];
    t.same(await names.address.current(), { host: '192.0.2.1', port: 4001 });
    names.now = undefined;
    t.same(await names.address.current(), { host: '192.0.2.1', port: 4001 });
  },
);

t.test('name servers that do not answer hold nothing up for more than 5 s', async (t) => {
  const clock = new VirtualClock();
  const address = new AdvertisedAddresses(NAMED, clock, () => new Promise(() => {}));
  const outcome = t.rejects(address.current(), /no answer/);
  await settled();
  clock.advance(5_000);
  await outcome;
});

t.test('a name that means another address makes the node announce itself within minutes', async (t) => {
  const names = new Names();
  names.now = ['192.0.2.1'];
  await names.pass(RESOLVE_PERIOD_MS);
  t.equal(names.asked, 0, 'nothing is published yet');
  await names.address.current();
  await names.pass(2 * RESOLVE_PERIOD_MS);
  t.same([names.asked, names.changes], [3, 0]);
  names.now = ['192.0.2.2'];
  await names.pass(RESOLVE_PERIOD_MS);
  t.same([names.asked, names.changes], [4, 1]);
});

t.test('an address is no name and is never resolved; to listen at a name is not to be dialled there', async (t) => {
  const clock = new VirtualClock();
  const [ipv4, ipv6] = [
    { host: '192.0.2.1', port: 1 },
    { host: '2001:db8::1', port: 2 },
  ];
  const publishedOf = (...at: (typeof ipv4)[]) =>
    new AdvertisedAddresses({ at, families: new Set() }, clock, () => Promise.reject(new Error('asked'))).current();
  t.strictSame(await publishedOf(ipv6), ipv6);
  t.strictSame(await publishedOf(ipv6, ipv4), { ...ipv4, ipv6 });
  t.same(advertisedAddresses({ listen: ['[::]:0'], advertise: ['mix.example:0'] }, [{ host: '::', port: 4000 }]), {
    at: [{ host: 'mix.example', port: 4000 }],
    families: new Set([4, 6]),
  });
  t.throws(() => advertisedAddresses({ listen: ['localhost:4000'] }, []), { code: 'CONFIG' });
});

t.test('of a name a node publishes the families that it listens on, and another where it has no others', async (t) => {
  const published = async (listen: string[], ...found: string[]) => {
    const wanted = advertisedAddresses({ listen, advertise: ['mix.example:1'] }, []);
    const { host, ipv6 } = await new AdvertisedAddresses(wanted, new VirtualClock(), async () => found).current();
    return [host, ipv6?.host];
  };
  t.same(await published(['0.0.0.0:1'], '1.2.3.4', '2a00::5'), ['1.2.3.4', undefined]);
  t.same(await published(['[2a00::5]:1'], '1.2.3.4', '2a00::5'), ['2a00::5', undefined]);
  t.same(await published(['[::]:1'], '1.2.3.4', '2a00::5'), ['1.2.3.4', '2a00::5']);
  t.same(await published(['0.0.0.0:1', '[2a00::5]:1'], '1.2.3.4', '2a00::5'), ['1.2.3.4', '2a00::5']);
  t.same(await published(['0.0.0.0:1'], '2a00::5'), ['2a00::5', undefined], 'a balancer may stand before it');
});

t.test('a node that stops waits for no name server', async (t) => {
  const clock = new VirtualClock();
  const address = new AdvertisedAddresses(NAMED, clock, () => new Promise(() => {}));
  const asked = [address.current(), address.current()].map((answer) => answer.catch((error: unknown) => error));
  address.stop();
  t.match(await asked[0], { code: 'NOT_FOUND', message: /stopped/ }, 'though no time has passed');
  t.match(await asked[1], { code: 'NOT_FOUND' });
  await t.rejects(address.current(), { code: 'NOT_FOUND' });
  t.equal(clock.pending, 0, 'nor does a timer');
});
