/**
 * A client asks an exit for names and addresses of a zone of its own, whose name server answers with as many records as 64 KiB hold. The
 * exit would remember them all, for ever since some versions of Node.js give the time to live of the first 256 only, and judge each of them
 * for each stream.
 */
import t from 'tap';
import { DEFAULT_RESOLVER_LIMITS } from '../../network-requester/config.ts';
import { MAX_TTL_MS } from '../../network-requester/dns/dns-cache.ts';
import { SystemResolver } from '../../network-requester/dns/resolver.ts';
import { startDns } from '../support/dns.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const RECORDS = 1000;
const MOST = DEFAULT_RESOLVER_LIMITS.records;
const OWNED = '2001:db8::1';

const addresses = Array.from({ length: RECORDS }, (_, i) => [
  `8.8.${i >> 8}.${i & 255}`,
  `2001:4860::${i.toString(16)}`,
]);
const owners = Array.from({ length: RECORDS }, (_, i) => `n${i}.crowd.example`);
const zone = {
  'many.example': addresses.flat(),
  ...Object.fromEntries(owners.map((owner) => [owner, [OWNED]])),
};

/** An exit whose clock is at the beginning of time, and the name server of the attacker. */
async function exitOf(t: Parameters<typeof startDns>[0], records?: number) {
  const dns = await startDns(t, zone);
  const clock = new VirtualClock();
  const limits = records === undefined ? {} : { records };
  const resolver = new SystemResolver({ clock, limits, nameServers: [dns.place] });
  /** How many questions the name server gets for `name`. */
  const questionsFor = async (name: string) => {
    const before = dns.asked.length;
    await resolver.resolve(name);
    return dns.asked.length - before;
  };
  return { clock, resolver, questionsFor };
}

t.test('of a name with a thousand addresses of each family the first few of each count', async (t) => {
  const { resolver } = await exitOf(t);
  const found = await resolver.resolve('many.example');
  t.equal(found.length, 2 * MOST);
  t.same(found.slice(0, 2), ['2001:4860::', '8.8.0.0'], 'in their order');
});

t.test('of an address with a thousand names the first few count', async (t) => {
  const { resolver } = await exitOf(t);
  t.same(await resolver.reverse(OWNED), owners.slice(0, MOST));
});

t.test('however many records an answer has, it is forgotten in time', async (t) => {
  const { clock, questionsFor } = await exitOf(t);
  t.not(await questionsFor('many.example'), 0);
  t.equal(await questionsFor('many.example'), 0, 'remembered');
  clock.advance(MAX_TTL_MS);
  t.not(await questionsFor('many.example'), 0);
});

t.test('without the bound an exit holds all of them', async (t) => {
  const { resolver } = await exitOf(t, Number.POSITIVE_INFINITY);
  t.equal((await resolver.resolve('many.example')).length, 2 * RECORDS);
  t.equal((await resolver.reverse(OWNED)).length, RECORDS);
});
