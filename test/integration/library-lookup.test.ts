import t, { type Test } from 'tap';
import { lookUp } from '../../client/lookup.ts';
import { MixError } from '../../lib/core/errors.ts';
import type { NameResolver } from '../../network-requester/dns/resolver.ts';
import { Egress } from '../../network-requester/egress/egress.ts';
import { testComponents } from '../support/front-world.ts';
import { StreamPairs } from '../support/stream-pair.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** A small internet; a name that is not in it is never answered. */
const ZONE: Readonly<Record<string, readonly string[]>> = {
  'both.example': ['2606:4700::1111', '1.1.1.1'],
  'inside.example': ['10.0.0.1'],
  'mixed.example': ['10.0.0.1', '8.8.8.8'],
  '1.1.1.1': ['one.example', 'router.lan'],
};
const SILENCE = new Promise<string[]>(() => {});

class Zone implements NameResolver {
  resolve = (name: string): Promise<readonly string[]> => {
    if (name === 'none.example') return Promise.reject(new MixError('NOT_FOUND', 'the name does not exist'));
    return ZONE[name] === undefined ? SILENCE : Promise.resolve(ZONE[name]);
  };
  reverse = this.resolve;
}

function world(t: Test) {
  const egress = new Egress({ components: testComponents(), allowPrivate: false, resolver: new Zone() });
  t.teardown(() => egress.stop());
  const opener = new StreamPairs(egress.accept);
  const clock = new VirtualClock();
  const outcomes: string[] = [];
  const observer = {
    opened: () => outcomes.push('opened'),
    failed: (code: string) => outcomes.push(code),
    abandoned: () => outcomes.push('abandoned'),
    ended: (outcome: string) => outcomes.push(outcome),
  };
  const ask = (host: string, reverse = false, ...signals: AbortSignal[]) =>
    lookUp(
      { host, reverse, isolation: 'one' },
      { opener, clock, allowPrivate: false, timeoutMs: 1000, observer, signals },
    );
  return { opener, clock, outcomes, ask };
}

t.test('names, addresses, and what they are in their own right', async (t) => {
  const { ask, opener, outcomes } = world(t);
  t.same(await ask('both.example'), ['2606:4700::1111', '1.1.1.1'], 'all of them, in their order');
  t.same(await ask('mixed.example'), ['8.8.8.8'], 'without private ones');
  t.same(await ask('1.1.1.1', true), ['one.example']);
  t.same(await ask('192.0.66.1'), ['192.0.66.1'], 'without asking');
  t.equal(opener.opened.length, 3);
  t.match(opener.opened[0]?.target, { kind: 'resolve', host: 'both.example', port: 0, isolation: 'one' });
  t.same(outcomes, new Array(4).fill(['opened', 'finished']).flat());
});

t.test('a failed look-up says why', async (t) => {
  const { ask, outcomes } = world(t);
  const table: [string, boolean, string][] = [
    ['none.example', false, 'NOT_FOUND'],
    ['inside.example', false, 'POLICY'],
    ['10.0.0.1', true, 'POLICY'],
    ['a.example', true, 'ADDRESS_TYPE'],
    ['a b', false, 'ADDRESS_TYPE'],
  ];
  for (const [host, reverse, code] of table) await t.rejects(ask(host, reverse), { code, message: host });
  t.same(
    outcomes,
    table.map(([, , code]) => code),
  );
});

t.test('a look-up ends when its time runs out or whoever asked gives up', async (t) => {
  const { ask, clock, opener, outcomes } = world(t);
  const late = ask('silent.example');
  clock.advance(1000);
  await t.rejects(late, { code: 'TIMEOUT' });
  const [mine, closing] = [new AbortController(), new AbortController()];
  const given = ask('silent.example', false, closing.signal, mine.signal);
  mine.abort(new Error('enough'));
  await t.rejects(given, { message: 'enough' });
  const cut = ask('silent.example', false, closing.signal);
  closing.abort(new MixError('SESSION_CLOSED', 'the client is closed'));
  await t.rejects(cut, { code: 'SESSION_CLOSED' });
  await t.rejects(ask('both.example', false, closing.signal), { code: 'SESSION_CLOSED' }, 'and from then on');
  t.same(
    opener.opened.map(({ near }) => near.resetCode),
    ['TIMEOUT', 'RESET', 'RESET'],
  );
  t.same(outcomes, ['TIMEOUT', 'abandoned', 'abandoned', 'abandoned']);
  clock.advance(5000);
  t.equal(outcomes.length, 4, 'no timer is left');
});
