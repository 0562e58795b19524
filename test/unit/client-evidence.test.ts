import t from 'tap';
import { LoopLedger, MAX_LOOPS_IN_FLIGHT } from '../../lib/client/loop-ledger.ts';
import { ReturnTable } from '../../lib/client/returns.ts';
import type { GammaKey, Recovery } from '../../lib/sphinx/index.ts';
import { nodeEntry } from '../support/nodes.ts';

const a = nodeEntry(1, { role: 'mixnode', layer: 1 });
const b = nodeEntry(2, { role: 'mixnode', layer: 2 });

/** A packet whose gamma is 16 times `byte`, and what recognises it. */
function returning(byte: number): { packet: Uint8Array; recovery: Recovery } {
  const packet = new Uint8Array(400);
  packet.fill(byte, 32, 48);
  const gamma = packet.slice(32, 48);
  const key = Buffer.from(gamma).toString('latin1') as GammaKey;
  return { packet, recovery: { gamma, key, seeds: new Uint8Array(16) } };
}

t.test('loops that return vouch for their nodes, overdue ones count against them', async (t) => {
  const ledger = new LoopLedger();
  t.strictSame(ledger.health(a.id, 0), { health: 1, loopsSent: 0, loopsReturned: 0 }, 'no evidence means healthy');
  const home = ledger.sent([a, b], 0, 100);
  ledger.sent([a], 0, 100);
  t.ok(ledger.returned(home, 50));
  t.notOk(ledger.returned(home, 51), 'a loop counts once');
  t.equal(ledger.sweep(99), 0);
  t.equal(ledger.sweep(100), 1);
  const { health, loopsSent, loopsReturned } = ledger.health(a.id, 50);
  t.ok(Math.abs(health - 0.5) < 0.001, 'one of two');
  t.strictSame([loopsSent, loopsReturned], [2, 1]);
  t.equal(ledger.health(b.id, 100).health, 1);
});

t.test('evidence fades', async (t) => {
  const ledger = new LoopLedger();
  for (let i = 0; i < 8; i++) ledger.sent([a], 0, 100);
  ledger.sweep(100);
  t.equal(ledger.health(a.id, 100).health, 0);
  const nowMs = 100 + 3 * 60_000;
  ledger.returned(ledger.sent([a], nowMs, 100), nowMs);
  t.equal(ledger.health(a.id, nowMs).health, 0.5, 'eight losses of three minutes ago weigh like one return');
  t.equal(ledger.health(a.id, nowMs + 600_000).health, 1, 'and nothing is held against it for good');
});

t.test('what was under way when the own link failed is no evidence', async (t) => {
  const ledger = new LoopLedger();
  const id = ledger.sent([a], 0, 100);
  ledger.abandon();
  t.equal(ledger.sweep(1000), 0);
  t.notOk(ledger.returned(id, 50));
  t.equal(ledger.health(a.id, 1000).health, 1);
});

t.test('the ledger forgets the oldest loop at its bound', async (t) => {
  const ledger = new LoopLedger();
  const first = ledger.sent([a], 0, 100);
  for (let i = 0; i < MAX_LOOPS_IN_FLIGHT; i++) ledger.sent([a], 0, 100);
  t.notOk(ledger.returned(first, 1));
  t.equal(ledger.sweep(100), MAX_LOOPS_IN_FLIGHT);
});

t.test('the table knows a packet by its gamma, once', async (t) => {
  const table = new ReturnTable<string>();
  const one = returning(1);
  table.add(one.recovery, 'one', 100);
  t.equal(table.take(returning(2).packet), undefined);
  t.equal(table.take(one.packet)?.context, 'one');
  t.equal(table.take(one.packet), undefined, 'a replayed reply is unknown');
});

t.test('the table forgets at its bound and at the end of a life, and says so', async (t) => {
  const expired: string[] = [];
  const table = new ReturnTable<string>((context) => expired.push(context), 2);
  table.add(returning(1).recovery, 'one', 100);
  table.add(returning(2).recovery, 'two', 200);
  table.add(returning(3).recovery, 'three', 300);
  t.equal(table.evicted, 1);
  t.equal(table.take(returning(1).packet), undefined, 'the oldest went');
  table.sweep(199);
  t.strictSame(expired, []);
  table.sweep(250);
  t.strictSame(expired, ['two']);
  t.equal(table.size, 1);
});
