/** Authorities of two versions agree on one that enough of them can make, while they are updated one after another, and though one lies. */
import t from 'tap';
import { assembler } from '../../directory/voting/ballot-view.ts';
import { mergeBallots, quorumOf } from '../../directory/voting/merge.ts';
import { parseBallot } from '../../directory/voting/vote.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import type { VersionRange } from '../../lib/core/version-range.ts';
import { DOCUMENT_VERSION, Verifier } from '../../lib/directory/index.ts';
import { crypto, testNetwork } from '../support/signed-documents.ts';
import { NETWORK } from '../support/voting/voting-nodes.ts';
import { VotingWorld } from '../support/voting/voting-world.ts';

const network = { ...testNetwork(4, 3), epochSeconds: 30 };
const quorum = quorumOf(network);
/** A version that there is not: like this one, but for its number. */
const NEXT = DOCUMENT_VERSION + 1;
const OLD = { lowest: DOCUMENT_VERSION, highest: DOCUMENT_VERSION };
const BOTH = { lowest: DOCUMENT_VERSION, highest: NEXT };

/** What an authority runs that can make these. */
function program(versions: VersionRange) {
  const verifier = new Verifier(network, crypto, versions);
  const assemble: ReturnType<typeof assembler> = (...given) => {
    const made = assembler(verifier)(...given);
    return typeof made === 'string' ? made : { ...made, version: given[4] };
  };
  return { verifier, assemble };
}

t.test(
  'four authorities are updated one after another: a consensus in each epoch, of the next version when all can',
  async (t) => {
    const world = new VotingWorld(network);
    for (let index = 0; index < 4; index++) world.addHonest(index, { nodes: NETWORK }, program(OLD));
    const reader = new Verifier(network, crypto, BOTH);
    const texts = new Map<number, string>();
    const first = world.epoch;
    for (let updated = 0; updated <= 5; updated++) {
      const [one] = world.honest.slice(updated - 1, updated);
      if (updated >= 1 && updated <= 4 && one !== undefined) {
        one.mutant = program(BOTH);
        one.restart(NETWORK);
      }
      await world.run(world.epochMs);
      for (const { published } of world.honest) for (const [epoch, { text }] of published) texts.set(epoch, text);
    }
    const versions = new Map([...texts].map(([epoch, text]) => [epoch, reader.consensus(text).consensus.version]));
    const epochs = Array.from({ length: world.epoch - first + 1 }, (_, n) => first + n);
    t.same(
      epochs.filter((epoch) => !versions.has(epoch)),
      [],
      'none is missing',
    );
    const inOrder = epochs.map((epoch) => versions.get(epoch) ?? 0);
    t.same(inOrder, [...inOrder].sort(), 'the version never goes back');
    t.equal(inOrder[0], DOCUMENT_VERSION);
    t.equal(inOrder.at(-1), NEXT);
    t.throws(() => new Verifier(network, crypto).consensus(texts.get(world.epoch) ?? ''), {
      reason: 'version',
      message: `consensus: has version ${NEXT}, and this program reads version ${DOCUMENT_VERSION}; update mixsocks`,
    });
  },
);

const params = { ...DEFAULT_PARAMS, epochMs: 30_000 };
const ballots = (...ranges: (VersionRange | undefined)[]) =>
  ranges.map((consensusVersions) => ({
    version: DOCUMENT_VERSION as 2,
    params,
    nodes: [],
    ...(consensusVersions === undefined ? {} : { consensusVersions }),
  }));
const agreed = (attempt: number, ...ranges: (VersionRange | undefined)[]) =>
  mergeBallots(ballots(...ranges), quorum, attempt)?.version;

t.test('the version is raised when all can make it', (t) => {
  t.equal(agreed(0, undefined, undefined, undefined, undefined), DOCUMENT_VERSION, 'a ballot that says nothing');
  t.equal(agreed(0, BOTH, BOTH, BOTH, undefined), DOCUMENT_VERSION);
  t.equal(agreed(0, BOTH, BOTH, BOTH, BOTH), NEXT);
  t.equal(agreed(0, BOTH, BOTH, BOTH), NEXT, 'one is down, and nobody says that he cannot');
  t.equal(agreed(0, OLD, OLD, { lowest: NEXT, highest: NEXT }, { lowest: NEXT, highest: NEXT }), undefined);
  t.end();
});

t.test('a vote that claims versions which nobody has neither raises nor stops the version', (t) => {
  const lies = [
    { lowest: 1, highest: 65_535 },
    { lowest: 65_535, highest: 65_535 },
    { lowest: NEXT, highest: NEXT },
    { lowest: 1, highest: 1 },
    BOTH,
    OLD,
  ];
  for (const lie of lies) {
    for (const honest of [
      [OLD, OLD, OLD],
      [OLD, OLD, BOTH],
      [OLD, BOTH, BOTH],
      [BOTH, BOTH, BOTH],
    ]) {
      // Within two attempts one version that three honest authorities can make and sign without the liar.
      const makers = (version: number | undefined) =>
        honest.filter(({ lowest, highest }) => version !== undefined && lowest <= version && version <= highest).length;
      const tried = [0, 1].map((attempt) => makers(agreed(attempt, ...honest, lie)));
      t.ok(tried.includes(3), JSON.stringify({ lie, honest }));
      t.equal(tried[0], 3, 'and while versions are added it is the first');
    }
  }
  const dropped = { lowest: NEXT, highest: NEXT };
  const late = [0, 1].map((attempt) => agreed(attempt, BOTH, BOTH, dropped, OLD));
  t.same(late, [DOCUMENT_VERSION, NEXT], 'while one is dropped a liar costs an attempt');
  t.end();
});

t.test('a ballot names a range of versions or nothing', (t) => {
  const read = (consensusVersions: unknown) =>
    parseBallot(JSON.stringify({ version: DOCUMENT_VERSION, params, nodes: [], consensusVersions }));
  t.same(read(BOTH).consensusVersions, BOTH);
  t.notOk('consensusVersions' in read(undefined));
  for (const wrong of [
    3,
    [2, 3],
    { lowest: 3, highest: 2 },
    { lowest: 0, highest: 2 },
    { lowest: 2 },
    { ...BOTH, x: 1 },
  ]) {
    t.throws(() => read(wrong), { code: 'DOCUMENT' }, JSON.stringify(wrong));
  }
  t.end();
});
