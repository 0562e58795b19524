import t from 'tap';
import { MAX_PATH_NODES, PathHealth } from '../../lib/endpoint/health/path-health.ts';
import {
  IDLE_LEDGER_MS,
  MAX_BLOCKS_TRACKED,
  REORDERING_THRESHOLD,
  type ReplyBlock,
  ReplyLedgers,
} from '../../lib/endpoint/health/reply-ledger.ts';
import { nodeEntry } from '../support/nodes.ts';
import { monotonic } from '../support/units.ts';

const PATIENCE_MS = 700;
const mix = nodeEntry(1, { role: 'mixnode', layer: 2 });

/** The reply over this block comes. */
function bring(block: ReplyBlock | undefined, nowMs: number): void {
  block?.ledger.returned(block, monotonic(nowMs));
}

/** A session's ledger, and what it decided. */
function watched() {
  const health = new PathHealth();
  const decided: boolean[] = [];
  health.recordReply = ({ returned }) => decided.push(returned);
  const ledgers = new ReplyLedgers<object>(health);
  const session = {};
  const make = (count: number, nowMs: number) =>
    Array.from({ length: count }, () => ledgers.ledgerOf(session).created([mix], monotonic(nowMs)));
  const lost = () => decided.filter((returned) => !returned).length;
  return { ledgers, session, make, decided, lost };
}

t.test('a block is missed when much later ones have come back and patience is over', async (t) => {
  const { ledgers, make, decided, lost } = watched();
  const blocks = make(REORDERING_THRESHOLD + 10, 0);
  bring(blocks[REORDERING_THRESHOLD], 100);
  ledgers.sweep(monotonic(100), PATIENCE_MS);
  ledgers.sweep(monotonic(100 + PATIENCE_MS), PATIENCE_MS);
  t.strictSame(decided, [true], 'as many as overtake each other prove nothing');
  bring(blocks[REORDERING_THRESHOLD + 3], 1_000);
  ledgers.sweep(monotonic(1_000), PATIENCE_MS);
  t.equal(lost(), 0, 'it may still be on its way');
  ledgers.sweep(monotonic(1_000 + PATIENCE_MS), PATIENCE_MS);
  t.equal(lost(), 3, 'those that were overtaken, no others');
  bring(blocks[0], 3_000);
  t.equal(decided.filter(Boolean).length, 2, 'one that was given up is not counted again');
});

t.test('a packet has arrived when one of its blocks comes back; it is lost when none does', async (t) => {
  const health = new PathHealth();
  const packets: boolean[] = [];
  health.recordCarrier = ({ route, returned }) => {
    t.strictSame(
      route.map(({ id }) => id),
      [mix.id],
    );
    packets.push(returned);
  };
  const ledger = new ReplyLedgers<object>(health).ledgerOf({});
  const make = (count: number) => Array.from({ length: count }, () => ledger.created([mix], monotonic(0)));
  const [arrived, partly, lost] = [make(5), make(5), make(5)];
  const later = make(REORDERING_THRESHOLD + 1);
  for (const blocks of [arrived, partly, lost]) ledger.sent(blocks, [mix]);
  for (const block of arrived) bring(block, 10);
  bring(partly[4], 10);
  t.strictSame(packets, [true, true], 'once per packet');
  bring(later.at(-1), 100);
  ledger.sweep(monotonic(100), PATIENCE_MS);
  ledger.sweep(monotonic(100 + PATIENCE_MS), PATIENCE_MS);
  t.strictSame(packets, [true, true, false]);
});

t.test('blocks that nobody uses are not missed', async (t) => {
  const { ledgers, make, decided } = watched();
  make(500, 0);
  for (let nowMs = 0; nowMs < IDLE_LEDGER_MS; nowMs += 1_000) ledgers.sweep(monotonic(nowMs), PATIENCE_MS);
  t.strictSame(decided, []);
});

t.test('sessions are told apart, forgotten when idle, and dropped when the link breaks', async (t) => {
  const { ledgers, session, make, decided } = watched();
  const [first] = make(1, 0);
  const other = {};
  for (let i = 0; i < 2 * REORDERING_THRESHOLD; i++) {
    const block = ledgers.ledgerOf(other).created([mix], monotonic(0));
    if (i > 0) block.ledger.returned(block, monotonic(10));
  }
  ledgers.sweep(monotonic(10), PATIENCE_MS);
  ledgers.sweep(monotonic(10 + PATIENCE_MS), PATIENCE_MS);
  t.equal(decided.filter((returned) => !returned).length, 1, "the other session's, not this one's");
  const before = ledgers.ledgerOf(session);
  t.equal(first?.ledger, before);
  ledgers.sweep(monotonic(IDLE_LEDGER_MS + 11), PATIENCE_MS);
  t.not(ledgers.ledgerOf(session), before, 'idle');
  const again = ledgers.ledgerOf(session);
  ledgers.clear(monotonic(IDLE_LEDGER_MS + 11));
  t.not(ledgers.ledgerOf(session), again);
});

t.test('blocks and nodes are bounded; the oldest go without evidence', async (t) => {
  const { ledgers, make, lost } = watched();
  const blocks = make(MAX_BLOCKS_TRACKED + 100, 0);
  bring(blocks.at(-1), 0);
  ledgers.sweep(monotonic(0), PATIENCE_MS);
  ledgers.sweep(monotonic(PATIENCE_MS), PATIENCE_MS);
  t.equal(lost(), MAX_BLOCKS_TRACKED - REORDERING_THRESHOLD - 1);

  const health = new PathHealth();
  const oldest = nodeEntry(0, { role: 'mixnode', layer: 1 });
  health.sent([oldest]);
  for (let i = 1; i < MAX_PATH_NODES; i++) health.sent([nodeEntry(i, { role: 'mixnode', layer: 1 })]);
  t.equal(health.of(oldest.id, monotonic(0)).loopsSent, 1);
  health.sent([nodeEntry(MAX_PATH_NODES, { role: 'mixnode', layer: 1 })]);
  t.equal(health.of(oldest.id, monotonic(0)).loopsSent, 0);
});
