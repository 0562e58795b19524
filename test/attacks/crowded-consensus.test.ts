/**
 * Attack: more nodes than a consensus takes. Each authority has seats for no more, but what several agree on may be nearly twice as much:
 * who has nodes at some of them, and an authority that lists what it likes, bring their seats together. Identities are free to
 * draw: if the lowest won, theirs would push out the others, and a gateway that falls out would take its exit's record
 * with it, which no member accepts: no consensus at all.
 *
 * Defence: those that the last consensus lists come first, and what falls out is named by nobody.
 */
import t from 'tap';
import { buildConsensus, nodesFor } from '../../directory/consensus-builder.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { DEFAULT_PARAMS, type NetworkParams } from '../../lib/core/params.ts';
import { type Consensus, type Descriptor, MAX_NODES, parseConsensus } from '../../lib/directory/index.ts';
import { descriptorOf, draft, testNetwork } from '../support/signed-documents.ts';
import { epochNumber } from '../support/units.ts';

const EPOCH = 1000;
const network = testNetwork();
const params: NetworkParams = { ...DEFAULT_PARAMS, epochMs: 60_000 };

const node = (n: number, role: 'mixnode' | 'gateway' | 'requester', extra: object = {}): Descriptor =>
  descriptorOf(network, n, draft(role, [EPOCH, EPOCH + 1], extra), EPOCH * 60_000 - 10_000);
/** Three mixes, a gateway, and an exit at it. */
const HONEST = [
  node(10, 'mixnode'),
  node(11, 'mixnode'),
  node(12, 'mixnode'),
  node(3, 'gateway'),
  node(4, 'requester'),
];
const idsOf = (nodes: readonly { identity: IdentityHex }[]) => nodes.map(({ identity }) => identity).sort();

/** Nodes of the attacker, with the lowest identities that there are. */
function crowd(count: number): Descriptor[] {
  const one = node(1, 'gateway');
  return Array.from({ length: count }, (_, i) => {
    const identity = `${(i + 1).toString(16).padStart(16, '0')}${'0'.repeat(48)}` as IdentityHex;
    return { ...one, identity };
  });
}

function consensus(descriptors: readonly Descriptor[], last?: Consensus): Consensus {
  const nodes = nodesFor(epochNumber(EPOCH), descriptors, network, params, last);
  return buildConsensus(epochNumber(EPOCH), nodes, params, '0'.repeat(64), descriptors, last);
}

const LAST = consensus(HONEST);
const CROWD = crowd(MAX_NODES);

t.test('a crowd of newcomers pushes out none of those that are listed', async (t) => {
  const made = consensus([...CROWD, ...HONEST], LAST);
  t.equal(made.nodes.length, MAX_NODES);
  const honest = made.nodes.filter(({ identity }) => LAST.nodes.some((node) => node.identity === identity));
  t.strictSame(idsOf(honest), idsOf(HONEST));
  parseConsensus(JSON.stringify(made));
  t.same(
    idsOf(consensus([...HONEST, ...CROWD].reverse(), LAST).nodes),
    idsOf(made.nodes),
    'in whatever order they came',
  );
});

t.test('if the lowest identities won, they would be gone: rejected', async (t) => {
  const made = consensus([...CROWD, ...HONEST]); // as if nobody had been listed before
  t.ok(made.nodes.every(({ identity }) => CROWD.some((node) => node.identity === identity)));
});

t.test('an exit whose gateway falls out falls out with it, and members accept the consensus', async (t) => {
  const exit = { ...node(4, 'requester'), identity: '0'.repeat(64) as IdentityHex };
  const made = consensus([...CROWD, exit, ...HONEST]);
  t.notOk(made.nodes.some(({ role }) => role === 'requester'));
  parseConsensus(JSON.stringify(made));
});
