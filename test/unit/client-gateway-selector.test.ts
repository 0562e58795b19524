/** Which gateway a client is at, and when it leaves for another. */

import t from 'tap';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import {
  GatewaySelector,
  IDLE_TIMEOUT_MS,
  LINK_DOWN_TIMEOUT_MS,
  LOSS_MOVE_INTERVAL_MS,
  RETURN_AFTER_MS,
} from '../../lib/endpoint/gateways/gateway-selector.ts';
import { monotonic } from '../support/units.ts';

const gateway = (id: string, lossy = false) => ({ id: id as IdentityHex, name: id, lossy }) as NodeEntry;
const [a, b, c] = [gateway('a'), gateway('b'), gateway('c')];

function topologyOf(gateways: readonly NodeEntry[]): Topology {
  return { gateways, byId: (id: string) => gateways.find((node) => node.id === id) } as unknown as Topology;
}

const all = topologyOf([a, b, c]);

function at(topology = all) {
  const selector = new GatewaySelector(({ gateways }) => gateways, monotonic(0));
  selector.first(topology);
  return selector;
}

t.test('the first choice is a gateway of the consensus, or none', async (t) => {
  t.equal(at().current, a);
  t.throws(() => at(topologyOf([])), { code: 'NO_GATEWAY' });
});

t.test('a consensus renews it, drops it, or marks it', async (t) => {
  const selector = at();
  const renewed = gateway('a');
  t.equal(selector.adopt(topologyOf([renewed, b])), renewed);
  t.equal(selector.adopt(topologyOf([b, c])), b);
  t.equal(at().adopt(topologyOf([gateway('a', true), b])), b, 'one that loses packets is left');
  const marked = gateway('a', true);
  t.equal(at(topologyOf([a])).adopt(topologyOf([marked])), marked, 'unless there is no other');
});

t.test('without a link it goes on to the next, and round again', async (t) => {
  const selector = at();
  let nowMs = 0;
  const moves: (string | undefined)[] = [];
  for (let i = 0; i < 4; i++) {
    for (const endMs = nowMs + LINK_DOWN_TIMEOUT_MS; nowMs < endMs; ) {
      nowMs += 250;
      const next = selector.review(all, 0, monotonic(nowMs));
      if (next === undefined || next === 'redial') continue;
      moves.push(next.id);
      selector.moveTo(next, monotonic(nowMs));
    }
  }
  t.strictSame(moves, ['b', 'c', 'a', 'b']);
  t.ok(selector.noneAnswers, 'all were tried');
  selector.onLinkState('up', monotonic(nowMs));
  t.equal(selector.linkDownMs(monotonic(nowMs)), 0);
  t.notOk(selector.noneAnswers);
  selector.onLinkState('down', monotonic(nowMs));
  t.equal(selector.linkDownMs(monotonic(nowMs + 100)), 100);
});

t.test('a full gateway is left for the next at once; when all are full they are asked round and round', async (t) => {
  const selector = at();
  /** Dials the present one, which is full; who is dialled at once. */
  const full = () => {
    selector.onLinkState('down', monotonic(0));
    const next = selector.onRefused(all);
    if (next !== undefined) selector.moveTo(next, monotonic(0));
    return next?.id;
  };
  t.strictSame([full(), full()], ['b', 'c']);
  t.notOk(selector.allRefuse, 'one has not been asked');
  t.equal(full(), undefined, 'now it waits, and dials the last one again');
  t.ok(selector.allRefuse);
  for (let nowMs = 0; nowMs < 10 * LINK_DOWN_TIMEOUT_MS; nowMs += 250)
    t.equal(selector.review(all, 0, monotonic(nowMs)), undefined, 'a full one is not left for being down');
  t.strictSame([full(), full(), full()], ['a', 'b', undefined], 'all of them once more');
  t.ok(selector.allRefuse, 'as before');
  selector.onLinkState('up', monotonic(1e6));
  t.notOk(selector.allRefuse);
});

t.test('a full gateway beside one that does not answer', async (t) => {
  const [, two] = [a, b];
  const both = topologyOf([a, b]);
  const selector = at(both);
  t.equal(selector.onRefused(both), two);
  selector.moveTo(b, monotonic(0));
  selector.onOtherFailure();
  let moved: unknown;
  for (let nowMs = 0; moved === undefined && nowMs < 2 * LINK_DOWN_TIMEOUT_MS; nowMs += 250)
    moved = selector.review(both, 0, monotonic(nowMs));
  t.equal(moved, a);
  selector.moveTo(a, monotonic(0));
  t.equal(selector.onRefused(both), b, 'it is asked again, too');
});

t.test('a silent link is dialled anew first, and then left', async (t) => {
  const selector = at();
  selector.onLinkState('up', monotonic(0));
  const advice: unknown[] = [];
  for (let nowMs = 250; nowMs <= 3 * IDLE_TIMEOUT_MS + 500; nowMs += 250) {
    const next = selector.review(all, nowMs / 10, monotonic(nowMs));
    if (next !== undefined) advice.push(next);
  }
  t.strictSame(advice, ['redial', b]);
});

t.test('a gateway behind which most loops are lost is left once, and the next one stayed with', async (t) => {
  const selector = at(topologyOf([a, b]));
  const two = topologyOf([a, b]);
  const next = selector.alternativeForLoss(two, monotonic(1000));
  t.equal(next, b);
  selector.moveTo(next as NodeEntry, monotonic(1000));
  t.equal(selector.alternativeForLoss(two, monotonic(2000)), undefined, 'it may not be the fault of gateways');
  const laterMs = 1000 + LOSS_MOVE_INTERVAL_MS;
  t.equal(selector.alternativeForLoss(two, monotonic(laterMs)), undefined, 'the first was left for the same reason');
  t.equal(selector.alternativeForLoss(all, monotonic(laterMs + LOSS_MOVE_INTERVAL_MS)), c, 'another was not tried yet');
  t.equal(selector.alternativeForLoss(two, monotonic(laterMs + RETURN_AFTER_MS)), a);
  t.equal(at(topologyOf([a])).alternativeForLoss(topologyOf([a]), monotonic(0)), undefined, 'there is no other');
});

t.test('it returns to an earlier one after half an hour, not at once', async (t) => {
  const selector = at();
  selector.moveTo(b, monotonic(0));
  selector.onLinkState('up', monotonic(0));
  t.equal(selector.earlier(all, monotonic(RETURN_AFTER_MS - 1)), undefined);
  t.equal(selector.earlier(all, monotonic(RETURN_AFTER_MS)), a);
  selector.postpone(a, monotonic(RETURN_AFTER_MS));
  t.equal(selector.earlier(all, monotonic(2 * RETURN_AFTER_MS - 1)), undefined, 'it did not answer');
  t.equal(selector.earlier(all, monotonic(2 * RETURN_AFTER_MS)), a);
  selector.moveTo(a, monotonic(2 * RETURN_AFTER_MS));
  t.equal(selector.earlier(all, monotonic(9 * RETURN_AFTER_MS)), undefined, 'it is at the first');
  selector.moveTo(c, monotonic(9 * RETURN_AFTER_MS));
  selector.onLinkState('down', monotonic(9 * RETURN_AFTER_MS));
  t.equal(selector.earlier(all, monotonic(10 * RETURN_AFTER_MS)), undefined, 'without a link there is another rule');
});

t.test('an earlier one that is listed again, or no longer marked, waits half an hour too', async (t) => {
  const marked = topologyOf([gateway('a', true), b]);
  const selector = at(marked);
  t.equal(selector.current, b);
  selector.onLinkState('up', monotonic(0));
  t.equal(selector.earlier(marked, monotonic(RETURN_AFTER_MS)), undefined);
  t.equal(selector.earlier(topologyOf([a, b]), monotonic(RETURN_AFTER_MS - 1)), undefined);
  t.equal(selector.earlier(topologyOf([a, b]), monotonic(RETURN_AFTER_MS)), a);
});

t.test('one that may not be used any more is left, though it is listed', async (t) => {
  const selector = new GatewaySelector(({ gateways }) => gateways.slice(-2), monotonic(0));
  selector.first(all);
  t.equal(selector.current, b);
  t.equal(selector.adopt(topologyOf([a, b, c, gateway('d')])), c);
});

const STEP_MS = 250;

/** A selector with a choice of gateways that is reviewed four times a second, with five loops a second. */
class Reviewed {
  readonly selector = at();
  nowMs = 0;
  loops = 0;
  loopsPerSecond = 5;

  /** The advice of the next `ms`, with its times from now. */
  pass(ms: number, receives = false): [number, 'redial' | 'move'][] {
    const given: [number, 'redial' | 'move'][] = [];
    const startMs = this.nowMs;
    while (this.nowMs < startMs + ms) {
      this.nowMs += STEP_MS;
      this.loops += (this.loopsPerSecond * STEP_MS) / 1000;
      if (receives) this.selector.onAnswer();
      const advice = this.selector.review(all, this.loops, monotonic(this.nowMs));
      if (advice !== undefined) given.push([this.nowMs - startMs, advice === 'redial' ? advice : 'move']);
    }
    return given;
  }

  up(): this {
    this.selector.onLinkState('up', monotonic(this.nowMs));
    return this;
  }
}

t.test('a gateway that cannot be reached is left, and the next one too', (t) => {
  const reviewed = new Reviewed();
  t.strictSame(reviewed.pass(20_000), [
    [LINK_DOWN_TIMEOUT_MS, 'move'],
    [2 * LINK_DOWN_TIMEOUT_MS, 'move'],
  ]);
  reviewed.up();
  t.strictSame(reviewed.pass(60_000, true), []);
  t.equal(reviewed.selector.onLinkState('down', monotonic(reviewed.nowMs)), true);
  t.strictSame(reviewed.pass(5000), [], 'it may come back');
  t.equal(reviewed.selector.onLinkState('down', monotonic(reviewed.nowMs)), false, 'attempts fail');
  t.equal(reviewed.selector.linkDownMs(monotonic(reviewed.nowMs)), 5000);
  t.strictSame(reviewed.pass(5000), [[3000, 'move']], 'failed attempts do not prolong it');
  reviewed.up();
  t.equal(reviewed.selector.linkDownMs(monotonic(reviewed.nowMs)), 0);
  t.end();
});

t.test('a silent link is dialled anew, then left, ever more slowly', (t) => {
  const reviewed = new Reviewed().up();
  t.strictSame(reviewed.pass(10_000, true), []);
  t.strictSame(reviewed.pass(40_000), [
    [IDLE_TIMEOUT_MS, 'redial'],
    [3 * IDLE_TIMEOUT_MS, 'move'],
    [7 * IDLE_TIMEOUT_MS, 'move'],
  ]);
  t.strictSame(reviewed.pass(STEP_MS, true), []);
  t.strictSame(
    reviewed.pass(IDLE_TIMEOUT_MS),
    [[IDLE_TIMEOUT_MS, 'redial']],
    'the timeout is as before once a packet came',
  );
  t.end();
});

t.test('silence says nothing while no loops leave, or in sleep', (t) => {
  const quiet = new Reviewed().up();
  quiet.loopsPerSecond = 0;
  t.strictSame(quiet.pass(60_000), []);

  const sleeper = new Reviewed().up();
  sleeper.pass(1000, true);
  sleeper.nowMs += 3_600_000;
  sleeper.loops += 100;
  t.strictSame(sleeper.pass(2000), [], 'awake for two seconds');

  const absent = new Reviewed();
  absent.nowMs += 3_600_000;
  t.strictSame(absent.pass(4000), []);
  t.end();
});
