/** Which gateway a client is at, and when it leaves for another. */
import t from 'tap';
import type { IdentityHex } from '../../lib/bytes.ts';
import { GATEWAY_PATIENCE_MS, SILENCE_MS } from '../../lib/client/gateway-watch.ts';
import { BAD_PATH_STAY_MS, HomeGateway } from '../../lib/client/home-gateway.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';

const gateway = (id: string, lossy = false) => ({ id: id as IdentityHex, name: id, lossy }) as NodeEntry;
const [a, b, c] = [gateway('a'), gateway('b'), gateway('c')];

function topologyOf(gateways: readonly NodeEntry[], requestersAt: readonly NodeEntry[] = []): Topology {
  return {
    gateways,
    requesters: requestersAt.map(({ id }) => ({ gateway: id })),
    byId: (id: string) => gateways.find((node) => node.id === id),
  } as unknown as Topology;
}

const all = topologyOf([a, b, c]);

/** Takes the first that it is not told to avoid. */
const inOrder = (topology: Topology, avoid: ReadonlySet<IdentityHex>) =>
  topology.gateways.find(({ id }) => !avoid.has(id));

function at(topology = all, choose = inOrder) {
  const home = new HomeGateway(choose, 0);
  home.first(topology);
  return home;
}

t.test('the first choice, or none', async (t) => {
  t.equal(at().current, a);
  t.throws(() => at(topologyOf([])), { code: 'NO_GATEWAY' });
});

t.test('a consensus renews it, drops it, or marks it', async (t) => {
  const home = at();
  const renewed = gateway('a');
  t.equal(home.adopt(topologyOf([renewed, b])), renewed);
  t.equal(home.adopt(topologyOf([b, c])), b);
  t.equal(at().adopt(topologyOf([gateway('a', true), b])), b, 'one that loses packets is left');
  const marked = gateway('a', true);
  t.equal(at(topologyOf([a])).adopt(topologyOf([marked])), marked, 'unless there is no other');
});

t.test('without a link it goes on to the next, and round again', async (t) => {
  const home = at();
  let nowMs = 0;
  const moves: (string | undefined)[] = [];
  for (let i = 0; i < 4; i++) {
    for (const endMs = nowMs + GATEWAY_PATIENCE_MS; nowMs < endMs; ) {
      nowMs += 250;
      const next = home.review(all, 0, nowMs);
      if (next === undefined || next === 'redial') continue;
      moves.push(next.id);
      home.moveTo(next);
    }
  }
  t.strictSame(moves, ['b', 'c', 'a', 'b']);
  home.onLinkState('up', nowMs);
  t.equal(home.linkDownMs(nowMs), 0);
  home.onLinkState('down', nowMs);
  t.equal(home.linkDownMs(nowMs + 100), 100);
});

t.test('a silent link is dialled anew first, and then left', async (t) => {
  const home = at();
  home.onLinkState('up', 0);
  const advice: unknown[] = [];
  for (let nowMs = 250; nowMs <= 3 * SILENCE_MS + 500; nowMs += 250) {
    const next = home.review(all, nowMs / 10, nowMs);
    if (next !== undefined) advice.push(next);
  }
  t.strictSame(advice, ['redial', b]);
});

t.test('a gateway behind which most loops are lost is left once, and the next one stayed with', async (t) => {
  const home = at();
  const next = home.insteadOfBadPath(all, 1000);
  t.equal(next, b);
  home.moveTo(next as NodeEntry);
  t.equal(home.insteadOfBadPath(all, 2000), undefined, 'it may not be the fault of gateways');
  t.equal(home.insteadOfBadPath(all, 1000 + BAD_PATH_STAY_MS - 1), undefined);
  t.equal(home.insteadOfBadPath(all, 1000 + BAD_PATH_STAY_MS), a);
  t.equal(at(topologyOf([a])).insteadOfBadPath(topologyOf([a]), 0), undefined, 'there is no other');
});

t.test('losing packets drives nobody to a gateway that sees the exit too', async (t) => {
  const shared = topologyOf([a, b], [b]);
  t.equal(at(shared).insteadOfBadPath(shared, 0), undefined);
  const both = topologyOf([a, b], [a, b]);
  t.equal(at(both).insteadOfBadPath(both, 0), b, 'unless it is at one already');
});
