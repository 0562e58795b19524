/** The times around a turn keep their order, whatever the length of an epoch. */

import t from 'tap';
import { epochAt, keyGraceMs } from '../../lib/core/params.ts';
import { PollPlan } from '../../lib/directory/client/poll-plan.ts';
import { timing } from '../../lib/directory/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { epochNumber, unix } from '../support/units.ts';

const LENGTHS_MS = [5_000, 20_000, 60_000, 3_600_000, 86_400_000];

for (const epochMs of LENGTHS_MS) {
  t.test(`an epoch of ${epochMs / 1000} s`, async (t) => {
    const rng = seededRng(epochMs);
    const epoch = 500;
    const turnMs = epoch * epochMs;
    const graceMs = keyGraceMs(epochMs);
    for (let i = 0; i < 100; i++) {
      const nowMs = turnMs - epochMs + (rng.uniform() * epochMs * 5) / 6;
      const announceMs = timing.reannounceMs(unix(nowMs), epochMs, rng);
      const fetchMs = timing.prefetchMs(epochNumber(epoch), epochMs, rng);
      const inOrder = [
        timing.announcedFromMs(epochNumber(epoch), epochMs),
        turnMs - graceMs,
        announceMs,
        timing.signingMs(epochNumber(epoch), epochMs, true),
        fetchMs,
        timing.signingMs(epochNumber(epoch), epochMs, false),
        turnMs,
      ];
      t.same(
        inOrder,
        [...inOrder].sort((a, b) => a - b),
      );
      t.ok(
        timing.descriptorEpochs(announceMs, epochMs).includes(epochNumber(epoch + 1)),
        'it lists keys for as long as it is used',
      );
    }
    t.equal(
      epochAt(timing.reannounceMs(unix(turnMs - graceMs + 1), epochMs, rng), epochMs),
      epoch,
      'announced for this turn already',
    );
    t.same(timing.descriptorEpochs(unix(turnMs), epochMs), [epoch, epoch + 1]);
    t.same(timing.descriptorEpochs(unix(turnMs - 1), epochMs), [epoch - 1, epoch, epoch + 1]);
    t.ok(timing.announceBackoffMs(1000, epochMs, rng) <= 20_000, 'waits are bounded');
    t.ok(timing.fetchBackoffMs(1000, epochMs, rng) <= 30_000);
  });
}

t.test('errands: the current consensus first, then the next, then the turn', async (t) => {
  const epochMs = 60_000;
  const plan = new PollPlan(epochMs, seededRng(1), true);
  const startMs = 500 * epochMs;
  const has =
    (...epochs: number[]) =>
    (epoch: number) =>
      epochs.includes(epoch);
  const first = plan.next(unix(startMs), has());
  t.same(first, { atMs: startMs, kind: 'fetch', epoch: 500 });
  plan.done(first, false, unix(startMs));
  const retry = plan.next(unix(startMs), has());
  t.equal(retry.kind, 'fetch');
  t.ok(retry.atMs > startMs && retry.atMs <= startMs + 250);
  const audit = plan.next(unix(startMs), has(500));
  t.same([audit.kind, audit.epoch], ['audit', 500]);
  plan.done(audit, false, unix(startMs));
  const ahead = plan.next(unix(startMs), has(500));
  t.same([ahead.kind, ahead.epoch], ['fetch', 501]);
  t.ok(ahead.atMs >= startMs + epochMs - 1_250 && ahead.atMs < startMs + epochMs, 'when several have voted');
  const { atMs } = new PollPlan(epochMs, seededRng(1), false).next(unix(startMs), has(500));
  t.ok(atMs >= startMs + epochMs - 5_000 && atMs < startMs + epochMs - 2_500, 'of one authority');
  t.same(plan.next(unix(startMs), has(500)), ahead, 'asking again draws no other time');
  t.same(plan.next(unix(startMs), has(500, 501)), { atMs: startMs + epochMs, kind: 'turn', epoch: 501 });
});
