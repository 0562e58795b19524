import t from 'tap';
import { MAX_PATH_NODES, PathHealth } from '../../lib/client/path-health.ts';
import {
  IDLE_LEDGER_MS,
  MAX_BLOCKS_WATCHED,
  OVERTAKING,
  type ReplyBlock,
  ReplyLedgers,
} from '../../lib/client/reply-ledger.ts';
import { nodeEntry } from '../support/nodes.ts';

const PATIENCE_MS = 700;
const mix = nodeEntry(1, { role: 'mixnode', layer: 2 });

/** The reply over this block comes. */
function bring(block: ReplyBlock | undefined, nowMs: number): void {
  block?.ledger.back(block, nowMs);
}

/** A session's ledger, and what it decided. */
function watched() {
  const health = new PathHealth();
  const decided: boolean[] = [];
  health.replyDecided = ({ returned }) => decided.push(returned);
  const ledgers = new ReplyLedgers<object>(health);
  const session = {};
  const make = (count: number, nowMs: number) =>
    Array.from({ length: count }, () => ledgers.ledgerOf(session).made([mix], nowMs));
  const lost = () => decided.filter((returned) => !returned).length;
  return { ledgers, session, make, decided, lost };
}

t.test('a block is missed when much later ones have come back and patience is over', async (t) => {
  const { ledgers, make, decided, lost } = watched();
  const blocks = make(OVERTAKING + 10, 0);
  bring(blocks[OVERTAKING], 100);
  ledgers.sweep(100, PATIENCE_MS);
  ledgers.sweep(100 + PATIENCE_MS, PATIENCE_MS);
  t.strictSame(decided, [true], 'as many as overtake each other prove nothing');
  bring(blocks[OVERTAKING + 3], 1_000);
  ledgers.sweep(1_000, PATIENCE_MS);
  t.equal(lost(), 0, 'it may still be on its way');
  ledgers.sweep(1_000 + PATIENCE_MS, PATIENCE_MS);
  t.equal(lost(), 3, 'those that were overtaken, no others');
  bring(blocks[0], 3_000);
  t.equal(decided.filter(Boolean).length, 2, 'one that was given up is not counted again');
});

t.test('a packet has arrived when one of its blocks comes back; it is lost when none does', async (t) => {
  const health = new PathHealth();
  const packets: boolean[] = [];
  health.shipmentDecided = ({ route, returned }) => {
    t.strictSame(
      route.map(({ id }) => id),
      [mix.id],
    );
    packets.push(returned);
  };
  const ledger = new ReplyLedgers<object>(health).ledgerOf({});
  const make = (count: number) => Array.from({ length: count }, () => ledger.made([mix], 0));
  const [arrived, partly, lost] = [make(5), make(5), make(5)];
  const later = make(OVERTAKING + 1);
  for (const blocks of [arrived, partly, lost]) ledger.shipped(blocks, [mix]);
  for (const block of arrived) bring(block, 10);
  bring(partly[4], 10);
  t.strictSame(packets, [true, true], 'once per packet');
  bring(later.at(-1), 100);
  ledger.sweep(100, PATIENCE_MS);
  ledger.sweep(100 + PATIENCE_MS, PATIENCE_MS);
  t.strictSame(packets, [true, true, false]);
});

t.test('blocks that nobody uses are not missed', async (t) => {
  const { ledgers, make, decided } = watched();
  make(500, 0);
  for (let nowMs = 0; nowMs < IDLE_LEDGER_MS; nowMs += 1_000) ledgers.sweep(nowMs, PATIENCE_MS);
  t.strictSame(decided, []);
});

t.test('sessions are told apart, forgotten when idle, and dropped when the link breaks', async (t) => {
  const { ledgers, session, make, decided } = watched();
  const [first] = make(1, 0);
  const other = {};
  for (let i = 0; i < 2 * OVERTAKING; i++) {
    const block = ledgers.ledgerOf(other).made([mix], 0);
    if (i > 0) block.ledger.back(block, 10);
  }
  ledgers.sweep(10, PATIENCE_MS);
  ledgers.sweep(10 + PATIENCE_MS, PATIENCE_MS);
  t.equal(decided.filter((returned) => !returned).length, 1, "the other session's, not this one's");
  const before = ledgers.ledgerOf(session);
  t.equal(first?.ledger, before);
  ledgers.sweep(IDLE_LEDGER_MS + 11, PATIENCE_MS);
  t.not(ledgers.ledgerOf(session), before, 'idle');
  const again = ledgers.ledgerOf(session);
  ledgers.abandon();
  t.not(ledgers.ledgerOf(session), again);
});

t.test('blocks and nodes are bounded; the oldest go without evidence', async (t) => {
  const { ledgers, make, lost } = watched();
  const blocks = make(MAX_BLOCKS_WATCHED + 100, 0);
  bring(blocks.at(-1), 0);
  ledgers.sweep(0, PATIENCE_MS);
  ledgers.sweep(PATIENCE_MS, PATIENCE_MS);
  t.equal(lost(), MAX_BLOCKS_WATCHED - OVERTAKING - 1);

  const health = new PathHealth();
  const oldest = nodeEntry(0, { role: 'mixnode', layer: 1 });
  health.sent([oldest]);
  for (let i = 1; i < MAX_PATH_NODES; i++) health.sent([nodeEntry(i, { role: 'mixnode', layer: 1 })]);
  t.equal(health.of(oldest.id, 0).loopsSent, 1);
  health.sent([nodeEntry(MAX_PATH_NODES, { role: 'mixnode', layer: 1 })]);
  t.equal(health.of(oldest.id, 0).loopsSent, 0);
});
