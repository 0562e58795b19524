import fc from 'fast-check';
import t from 'tap';
import { DelayQueue } from '../../lib/mixing/index.ts';
import { monotonic } from '../support/units.ts';

t.test('items leave in order of due time, ties in order of arrival, none lost, none early', (t) => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('push' as const), dueMs: fc.integer({ min: 0, max: 40 }) }),
    fc.record({ kind: fc.constant('pop' as const), nowMs: fc.integer({ min: 0, max: 40 }) }),
  );
  const capacity = 24;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const queue = new DelayQueue<number>(capacity);
      const model: { id: number; dueMs: number }[] = [];
      steps.forEach((one, id) => {
        if (one.kind === 'push') {
          const taken = queue.push(id, monotonic(one.dueMs));
          if (taken !== model.length < capacity) throw new Error('bound');
          if (taken) model.push({ id, dueMs: one.dueMs });
        } else {
          model.sort((a, b) => a.dueMs - b.dueMs || a.id - b.id);
          const expected = (model[0]?.dueMs ?? Number.POSITIVE_INFINITY) <= one.nowMs ? model.shift()?.id : undefined;
          if (queue.popDue(monotonic(one.nowMs)) !== expected) throw new Error('order');
        }
        const next = Math.min(...model.map((item) => item.dueMs));
        if (queue.size !== model.length || queue.nextDueMs !== next) throw new Error('size or head');
      });
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('an empty pool has no due time and gives nothing', (t) => {
  const queue = new DelayQueue<string>(2);
  t.equal(queue.nextDueMs, Number.POSITIVE_INFINITY);
  t.equal(queue.popDue(monotonic(Number.POSITIVE_INFINITY)), undefined);
  t.ok(queue.push('a', monotonic(5)) && queue.push('b', monotonic(4)));
  t.notOk(queue.push('c', monotonic(1)), 'full');
  t.equal(queue.popDue(monotonic(4)), 'b');
  t.equal(queue.popDue(monotonic(4)), undefined, 'not yet due');
  t.equal(queue.popDue(monotonic(5)), 'a');
  t.end();
});
