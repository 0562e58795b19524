import t from 'tap';
import { ReturnTable } from '../../lib/endpoint/returns.ts';
import type { GammaKey, Recovery } from '../../lib/sphinx/index.ts';
import { monotonic } from '../support/units.ts';

/** A packet whose gamma is 16 times `byte`, and what recognises it. */
function returning(byte: number): { packet: Uint8Array; recovery: Recovery } {
  const packet = new Uint8Array(400);
  packet.fill(byte, 32, 48);
  const gamma = packet.slice(32, 48);
  const key = Buffer.from(gamma).toString('latin1') as GammaKey;
  return { packet, recovery: { gamma, key, seeds: new Uint8Array(16) } };
}

t.test('the table knows a packet by its gamma, until its answer was taken', async (t) => {
  const table = new ReturnTable<string>();
  const one = returning(1);
  table.add(one.recovery, 'one', monotonic(100));
  t.equal(table.find(returning(2).packet), undefined);
  const found = table.find(one.packet);
  t.equal(found?.context, 'one');
  t.equal(table.find(one.packet), found, 'an altered copy that came first takes nothing away');
  if (found !== undefined) table.remove(found);
  t.equal(table.find(one.packet), undefined, 'a replayed reply is unknown');
});

t.test('the table forgets at its bound and at the end of a life, and says so', async (t) => {
  const expired: string[] = [];
  const table = new ReturnTable<string>((context) => expired.push(context), 2);
  table.add(returning(1).recovery, 'one', monotonic(100));
  table.add(returning(2).recovery, 'two', monotonic(200));
  table.add(returning(3).recovery, 'three', monotonic(300));
  t.equal(table.evicted, 1);
  t.equal(table.find(returning(1).packet), undefined, 'the oldest went');
  table.sweep(monotonic(199));
  t.strictSame(expired, []);
  table.sweep(monotonic(250));
  t.strictSame(expired, ['two']);
  t.equal(table.size, 1);
});
