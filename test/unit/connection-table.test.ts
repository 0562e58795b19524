import t from 'tap';
import { type ConnectionLimits, ConnectionTable, PENDING_GRACE_MS, sourceOf } from '../../lib/net/connection-table.ts';
import { monotonic } from '../support/units.ts';

const LIMITS: ConnectionLimits = { total: 8, pending: 4, perSource: 3, reserved: 0 };

/** A table of names, and the outcome of opening as one word: what was evicted, `seat`, or why not. */
function world(limits: Partial<ConnectionLimits> = {}, neighbours: readonly string[] = []) {
  const table = new ConnectionTable<string>({ ...LIMITS, ...limits }, (source) => neighbours.includes(source));
  const open = (name: string, address: string | undefined, atMs = 0) => {
    const seating = table.open(name, address, monotonic(atMs));
    if (!seating.seated) return seating.reason;
    return seating.evicted === undefined ? 'seat' : `-${seating.evicted}`;
  };
  return { table, open };
}

t.test('one source has so many connections; its oldest pending one goes for a new one, after its grace', async (t) => {
  const { table, open } = world();
  t.strictSame([open('a', '10.0.0.1'), open('b', '10.0.0.1', 1), open('c', '10.0.0.1', 2)], ['seat', 'seat', 'seat']);
  t.equal(open('d', '10.0.0.1', PENDING_GRACE_MS - 1), 'source-full');
  t.equal(open('e', '10.0.0.1', PENDING_GRACE_MS), '-a');
  t.equal(open('f', '10.0.0.1', PENDING_GRACE_MS), 'source-full', 'one a grace');
  t.equal(open('g', '10.0.0.2', PENDING_GRACE_MS), 'seat', 'another source is not touched');
  t.equal(table.size, 4);
});

t.test('who has settled is never closed for another', async (t) => {
  const { table, open } = world();
  for (const name of ['a', 'b', 'c']) {
    open(name, '10.0.0.1');
    table.settle(name);
  }
  t.equal(open('d', '10.0.0.1', 1e9), 'source-full');
  for (const n of [1, 2, 3, 4, 5]) {
    open(`x${n}`, `10.1.0.${n}`);
    table.settle(`x${n}`);
  }
  t.equal(open('e', '10.0.0.2', 1e9), 'full');
  table.unsettle('b', monotonic(1e9));
  t.equal(open('d', '10.0.0.1', 1e9), 'source-full', 'an answered request begins a new grace');
  t.equal(open('d', '10.0.0.1', 1e9 + PENDING_GRACE_MS), '-b');
  table.close('a');
  t.equal(open('f', '10.0.0.2', 1e9), 'seat');
});

t.test('a sign of life lets others go first, and gives no new grace', async (t) => {
  const { table, open } = world();
  for (const name of ['a', 'b', 'c']) open(name, '10.0.0.1');
  table.touch('a');
  t.equal(open('d', '10.0.0.1', PENDING_GRACE_MS), '-b');
  for (const name of ['a', 'c']) table.touch(name);
  t.equal(open('e', '10.0.0.1', PENDING_GRACE_MS), '-a', 'd is in its grace, they are not');
});

t.test('when all seats are taken, the source with the most pending ones gives one up', async (t) => {
  const { open } = world({ perSource: 0 });
  for (const name of ['a', 'b', 'c']) open(name, '10.0.0.1');
  open('x', '10.0.0.2', 1);
  t.equal(open('y', '10.0.0.3', 2), '-a', 'at once: it has three');
  t.equal(open('z', '10.0.0.4', 3), '-b', 'it has two, more than the new source would have');
  t.equal(open('w', '10.0.0.5', 4), 'pending-full', 'all have one');
  t.equal(open('v', '10.0.0.5', PENDING_GRACE_MS), '-c', 'the oldest, after its grace');
});

t.test('a thousand silent connections of one source, and of ten, keep nobody out', async (t) => {
  for (const sources of [1, 10]) {
    const { table, open } = world({ total: 1024, pending: 256, perSource: 128, reserved: 64 });
    for (let n = 0; n < 1200; n++) open(`flood ${n}`, `10.0.0.${n % sources}`, n);
    t.ok(table.size <= Math.min(128 * sources, 192), `${table.size}`);
    for (let n = 0; n < 20; n++) t.match(open(`honest ${n}`, `10.9.0.${n}`, 1200), /^(seat|-flood \d+)$/);
    for (let n = 0; n < 20; n++) table.settle(`honest ${n}`);
    for (let n = 0; n < 10_000; n++) open(`more ${n}`, `10.0.0.${n % sources}`, 1200 + n);
    for (let n = 0; n < 20; n++) t.equal(table.close(`honest ${n}`), undefined);
    t.ok(table.size <= Math.min(128 * sources, 192), `${table.size}`);
  }
});

t.test('all addresses of an IPv6 /64 together are one host', async (t) => {
  const { table, open } = world({ total: 1024, pending: 256, perSource: 128, reserved: 64 });
  for (let n = 0; n < 1200; n++) open(`flood ${n}`, `2001:db8:1:2::${n.toString(16)}`);
  t.equal(table.size, 128);
  t.equal(open('honest', '2001:db8:1:3::1'), 'seat');
});

t.test('neighbours have seats of their own, and are not closed for strangers', async (t) => {
  const { open } = world({ total: 8, pending: 8, perSource: 0, reserved: 2 }, ['10.0.0.9']);
  for (let n = 0; n < 6; n++) t.equal(open(`s${n}`, `10.0.0.${n}`), 'seat');
  t.equal(open('s6', '10.0.0.6'), 'full', 'two are kept');
  t.strictSame([open('n1', '10.0.0.9'), open('n2', '10.0.0.9')], ['seat', 'seat']);
  t.equal(open('s7', '10.0.0.7', PENDING_GRACE_MS), '-s0', 'a stranger goes for a stranger');
  t.equal(open('n3', '10.0.0.9', PENDING_GRACE_MS), '-n1', 'a neighbour for a neighbour that has more');
});

t.test('who becomes a neighbour while it has connections has the seats of one', async (t) => {
  const neighbours: string[] = [];
  const { open } = world({ total: 8, pending: 8, perSource: 0, reserved: 2 }, neighbours);
  t.equal(open('n1', '10.0.0.9'), 'seat', 'before the node has a consensus');
  for (let n = 0; n < 5; n++) open(`s${n}`, `10.0.0.${n}`);
  t.equal(open('n2', '10.0.0.9'), 'full');
  neighbours.push('10.0.0.9');
  t.equal(open('n2', '10.0.0.9'), 'seat');
  t.equal(open('s5', '10.0.0.7', PENDING_GRACE_MS), '-s0', 'and is not closed for a stranger');
});

t.test('no bound per source where it is 0, and few seats have no reserve', async (t) => {
  const { open } = world({ total: 3, pending: 3, perSource: 0, reserved: 64 });
  t.strictSame([open('a', undefined), open('b', undefined), open('c', undefined)], ['seat', 'seat', 'seat']);
  t.equal(open('d', undefined), 'full');
});

t.test('a source is an IPv4 address or the /64 of an IPv6 address', async (t) => {
  t.equal(sourceOf('::ffff:192.0.2.1'), '192.0.2.1');
  t.equal(sourceOf('2001:db8:1:2:3:4:5:6'), sourceOf('2001:db8:1:2::1'));
  t.not(sourceOf('2001:db8:1:2::1'), sourceOf('2001:db8:1:3::1'));
  t.equal(sourceOf('fe80::1%eth0'), sourceOf('fe80::2%eth1'));
  t.equal(sourceOf('::1'), '0:0:0:0');
});
