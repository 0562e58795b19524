import t from 'tap';
import { REVISION_MS } from '../../lib/endpoint/health/thresholds.ts';
import {
  INITIAL_LOSS_DELAY_MS,
  LoopLedger,
  MAX_LOOPS_IN_FLIGHT,
  MAX_LOSS_DELAY_MS,
  MIN_LOSS_DELAY_MS,
} from '../../lib/endpoint/loop-ledger.ts';
import { nodeEntry } from '../support/nodes.ts';
import { monotonic } from '../support/units.ts';

const a = nodeEntry(1, { role: 'mixnode', layer: 1 });
const b = nodeEntry(2, { role: 'mixnode', layer: 2 });
const DELAY_MS = 50;
const LOST_MS = DELAY_MS + INITIAL_LOSS_DELAY_MS;

t.test('loops that return vouch for their nodes, overdue ones count against them', async (t) => {
  const ledger = new LoopLedger();
  const { health } = ledger;
  t.strictSame(
    health.of(a.id, monotonic(0)),
    { health: 1, excluded: false, loopsSent: 0, loopsReturned: 0 },
    'no evidence means healthy',
  );
  const home = ledger.sent([a, b], monotonic(0), LOST_MS);
  ledger.sent([a], monotonic(0), DELAY_MS);
  t.equal(health.of(a.id, monotonic(0)).health, 1, 'nothing is decided yet');
  t.ok(ledger.returned(home, monotonic(50)));
  t.notOk(ledger.returned(home, monotonic(51)), 'a loop counts once');
  t.equal(ledger.sweep(monotonic(LOST_MS - 1)), 0);
  t.equal(ledger.sweep(monotonic(LOST_MS)), 1);
  t.strictSame(health.of(a.id, monotonic(LOST_MS)), { health: 0.5, excluded: false, loopsSent: 2, loopsReturned: 1 });
  t.equal(health.of(b.id, monotonic(LOST_MS)).health, 1);
});

t.test('a node that returned no loop at all has health 0, not 1', async (t) => {
  const ledger = new LoopLedger();
  for (let i = 0; i < 5; i++) ledger.sent([a], monotonic(0), DELAY_MS);
  t.equal(ledger.sweep(monotonic(LOST_MS)), 5);
  t.equal(ledger.health.of(a.id, monotonic(LOST_MS)).health, 0);
});

t.test('patience follows what loops take, within bounds', async (t) => {
  const ledger = new LoopLedger();
  t.equal(ledger.lossDelayMs, INITIAL_LOSS_DELAY_MS);
  let nowMs = 0;
  const loopTaking = (excessMs: number) => {
    nowMs += 1000;
    ledger.returned(ledger.sent([a], monotonic(nowMs), DELAY_MS), monotonic(nowMs + DELAY_MS + excessMs));
  };
  for (let i = 0; i < 100; i++) loopTaking(i % 2 === 0 ? 5 : 15);
  t.equal(ledger.lossDelayMs, MIN_LOSS_DELAY_MS, 'a quick network is not waited for long');
  for (let i = 0; i < 100; i++) loopTaking(i % 2 === 0 ? 200 : 600);
  t.ok(ledger.lossDelayMs > 1_500 && ledger.lossDelayMs < 2_500, `${ledger.lossDelayMs} ms after loops that vary`);
  for (let i = 0; i < 100; i++) loopTaking(i % 2 === 0 ? 1_000 : 9_000);
  t.equal(ledger.lossDelayMs, MAX_LOSS_DELAY_MS);
});

t.test('a loop that comes home after it was given up takes its loss back, for a while', async (t) => {
  const ledger = new LoopLedger();
  const late = ledger.sent([a], monotonic(0), DELAY_MS);
  const tooLate = ledger.sent([a], monotonic(0), DELAY_MS);
  ledger.sweep(monotonic(LOST_MS));
  t.equal(ledger.health.of(a.id, monotonic(LOST_MS)).health, 0);
  t.notOk(ledger.returned(late, monotonic(LOST_MS + 10)));
  t.strictSame(ledger.health.of(a.id, monotonic(LOST_MS + 10)), {
    health: 0.5,
    excluded: false,
    loopsSent: 2,
    loopsReturned: 1,
  });
  t.notOk(ledger.returned(late, monotonic(LOST_MS + 11)), 'once');
  const endMs = REVISION_MS + MAX_LOSS_DELAY_MS;
  ledger.sweep(monotonic(endMs));
  ledger.returned(tooLate, monotonic(endMs + 1));
  t.equal(ledger.health.of(a.id, monotonic(endMs + 1)).loopsReturned, 1);
});

t.test('while this process stood still, no loop was lost', async (t) => {
  const ledger = new LoopLedger();
  ledger.sweep(monotonic(0));
  const id = ledger.sent([a], monotonic(0), DELAY_MS);
  ledger.sweep(monotonic(250));
  t.equal(ledger.sweep(monotonic(8_250)), 0, 'eight seconds without a sweep: what arrived is still to be read');
  t.ok(ledger.returned(id, monotonic(8_251)));
  t.equal(ledger.health.of(a.id, monotonic(8_251)).health, 1);
  ledger.sent([a], monotonic(8_251), DELAY_MS);
  let lost = 0;
  for (let nowMs = 10_000; nowMs < 20_000; nowMs += 2_000) lost += ledger.sweep(monotonic(nowMs));
  t.equal(lost, 1, 'a process that is always slow gives loops up all the same');
});

t.test('what was under way when the own link failed is no evidence', async (t) => {
  const ledger = new LoopLedger();
  const id = ledger.sent([a], monotonic(0), DELAY_MS);
  ledger.clear();
  t.equal(ledger.sweep(monotonic(LOST_MS)), 0);
  t.notOk(ledger.returned(id, monotonic(LOST_MS)));
  t.equal(ledger.health.of(a.id, monotonic(LOST_MS)).health, 1);
});

t.test('the ledger forgets the oldest loop at its bound', async (t) => {
  const ledger = new LoopLedger();
  const first = ledger.sent([a], monotonic(0), DELAY_MS);
  for (let i = 0; i < MAX_LOOPS_IN_FLIGHT; i++) ledger.sent([a], monotonic(0), DELAY_MS);
  t.notOk(ledger.returned(first, monotonic(1)));
  t.equal(ledger.sweep(monotonic(LOST_MS)), MAX_LOOPS_IN_FLIGHT);
});
