/**
 * Attack: an authority, or somebody before it, answers one member with an old consensus or with none, so that it goes on with keys and
 * nodes of yesterday, alone with them, and in the end stops. Or its gateway does so, or sends it garbage, or a list of nodes of its own.
 *
 * Defence: gateways hand the consensus on to their clients over the link, unasked and to all alike, and a member uses the newest that the
 * authorities have signed, whoever brings it. Whoever is behind is named in log and status. What remains: a member whose authorities and
 * gateway both withhold goes on for two epochs and stops; one that is new needs an authority, since it has no gateway yet.
 */
import t, { type Test } from 'tap';
import { MAX_VERIFIED_PER_EPOCH } from '../../lib/directory/client/gateway-source.ts';
import { type ConsensusText, consensusPieces, MAX_HANDED_BYTES } from '../../lib/directory/consensus-pieces.ts';
import { type NetworkFile, signDocument } from '../../lib/directory/index.ts';
import { PACKET_BYTES } from '../support/delivery-world.ts';
import { type Answer, absent, type Bench, bench, epochAsked, willing } from '../support/directory-bench.ts';
import { consensusOf, crypto, keys, signedConsensus, testNetwork } from '../support/signed-documents.ts';
import { epochNumber } from '../support/units.ts';

const EPOCH_MS = 60_000;
const EPOCHS = 5;
const HOST = 'authority-0.test';
const network = testNetwork();
const GATEWAY = { id: keys(3).id, name: 'gateway-1' };

/** What a gateway hands on in each epoch, as an honest one has it from the authority. */
type Gateway = (epoch: number) => readonly ConsensusText[];
const documentOf = (epoch: number, text = signedConsensus(network, epoch)) => ({ epoch: epochNumber(epoch), text });
const honest: Gateway = (epoch) => [documentOf(epoch), documentOf(epoch + 1)];
const silent: Gateway = () => [];

/** Answers honestly in the first epoch, and from then on as `then` says. */
function turning(b: () => Bench, then: Answer): Answer {
  let first: number | undefined;
  return (request, signal) => {
    first ??= b().epoch;
    return (b().epoch === first ? willing(network) : then)(request, signal);
  };
}

const old: Answer = (request) => ({ status: 200, text: signedConsensus(network, epochAsked(request) - 1) });
const down: Answer = () => {
  throw new Error('no answer');
};

/** A member with a link to `gateway` for some epochs. In how many of them it had the consensus of the epoch, at its end. */
async function member(t: Test, then: Answer, gateway: Gateway | undefined) {
  let b: Bench;
  b = bench(t, network, { [HOST]: turning(() => b, then) });
  await b.client.start();
  await b.run(1_000);
  const source = b.client.gatewaySource();
  if (gateway !== undefined) source.up(GATEWAY);
  let upToDate = 0;
  for (let i = 0; i < EPOCHS; i++) {
    await b.run(EPOCH_MS - (b.clock.wallMs() % EPOCH_MS) - 2_000);
    for (const document of gateway?.(b.epoch) ?? []) hand(source, document);
    await b.run(1_000);
    if (b.client.topology()?.epoch === b.epoch) upToDate += 1;
    await b.run(1_500);
  }
  return { b, upToDate, source };
}

function hand(source: { take(piece: Uint8Array): void }, document: ConsensusText): void {
  for (const piece of consensusPieces(document, PACKET_BYTES)) source.take(piece);
}

for (const [name, answer, problem] of [
  ['answers with an old consensus', old, /is that of epoch/],
  ['answers that it has none', absent, /has no consensus/],
  ['does not answer', down, /no answer/],
] as const) {
  t.test(
    `a member whose authority ${name} goes on with what its gateway hands on, and names the authority`,
    async (t) => {
      const { b, upToDate } = await member(t, answer, honest);
      t.equal(upToDate, EPOCHS);
      t.equal(b.client.sources.origin, 'gateway');
      await b.run(EPOCH_MS / 4);
      const [lagging, ...others] = b.client.sources.lagging;
      t.match(lagging, { kind: 'authority', name: `http://${HOST}`, problem });
      t.ok((lagging?.epochsBehind ?? 0) >= (answer === old ? 1 : EPOCHS - 1), `${lagging?.epochsBehind} epochs behind`);
      t.strictSame(others, []);
      const said = b.warnings.filter((line) => line.includes('the authority is behind')).length;
      t.equal(said, answer === old ? EPOCHS - 1 : 1, 'once; of one that gives each an epoch late, in each epoch');
    },
  );

  t.test(`without a gateway that hands on, a member whose authority ${name} has no consensus in the end`, async (t) => {
    const { b, upToDate } = await member(t, answer, undefined);
    t.ok(upToDate <= 2, `${upToDate} of ${EPOCHS} epochs`);
    t.equal(b.client.topology(), undefined);
  });
}

t.test('a member whose last consensus has expired goes on as soon as a gateway hands one on, old or new', async (t) => {
  for (const by of [0, -1]) {
    const { b, source } = await member(t, down, silent);
    t.equal(b.client.topology(), undefined);
    const found = b.client.waitForTopology(1_000);
    hand(source, documentOf(b.epoch + by));
    t.equal((await found).epoch, b.epoch + by);
  }
});

for (const [name, gateway] of [
  ['hands on nothing', silent],
  ['hands on the consensus of the epoch before, for ever', (epoch: number) => [documentOf(epoch - 1)]],
  ['hands on one that has expired', (epoch: number) => [documentOf(epoch - 2)]],
  ['hands on garbage', (epoch: number) => [documentOf(epoch, '{"payload":"')]],
  ['hands on its own list of nodes', (epoch: number) => [documentOf(epoch + 1, forged(epoch + 1))]],
] as const) {
  t.test(`a gateway that ${name} changes nothing, and is named`, async (t) => {
    const { b, upToDate } = await member(t, willing(network), gateway);
    t.equal(upToDate, EPOCHS);
    t.equal(b.client.sources.origin, 'authority');
    t.match(b.client.sources.lagging, [{ kind: 'gateway', name: 'gateway-1' }]);
    t.equal(b.client.topology()?.nodes.length, 5);
    t.equal(b.warnings.filter((line) => line.includes('the gateway is behind')).length, 1);
  });
}

/** A list of nodes that whoever has the key of gateway 3 has signed. */
function forged(epoch: number): string {
  const nodes = consensusOf(network, epoch).nodes.slice(0, 4);
  return signDocument('consensus', consensusOf(network, epoch, { nodes }), keys(3).seed, crypto);
}

t.test('a member that took any signature would be steered by the same document', async (t) => {
  const trusting: NetworkFile = { ...network, authorities: [{ id: keys(3).id, url: `http://${HOST}` }] };
  const b = bench(t, trusting, { [HOST]: absent });
  await b.client.start();
  const source = b.client.gatewaySource();
  source.up(GATEWAY);
  const nodes = consensusOf(trusting, b.epoch).nodes.slice(0, 4);
  const text = signDocument('consensus', consensusOf(trusting, b.epoch, { nodes }), keys(3).seed, crypto);
  hand(source, documentOf(b.epoch, text));
  t.equal(b.client.topology()?.nodes.length, 4);
});

t.test('authorities that sign another list for one gateway are convicted by what it hands on', async (t) => {
  const { b, source } = await member(t, willing(network), silent);
  const { epoch } = b;
  const nodes = consensusOf(network, epoch).nodes.slice(0, 4);
  hand(source, documentOf(epoch, signedConsensus(network, epoch, { nodes })));
  t.equal(b.client.topology()?.nodes.length, 5, 'the first is used');
  t.strictSame(b.client.sources.signedTwice, { epoch, authorities: [`http://${HOST}`] });
  t.equal(b.client.evidence.length, 1);
  t.match(b.warnings.at(-1), new RegExp(`signed two consensuses for one epoch.*"epoch":${epoch}.*${HOST}`));
});

t.test('and by the authority itself, when the gateway came first', async (t) => {
  const { b, source } = await member(t, willing(network), silent);
  const next = b.epoch + 1;
  const nodes = consensusOf(network, next).nodes.slice(0, 4);
  const until = EPOCH_MS - (b.clock.wallMs() % EPOCH_MS);
  await b.run(until - EPOCH_MS / 6 + 100);
  hand(source, documentOf(next, signedConsensus(network, next, { nodes })));
  await b.run(EPOCH_MS / 6);
  t.equal(b.client.topology()?.nodes.length, 4);
  t.equal(b.client.sources.signedTwice?.epoch, next, 'what a gateway has handed on is asked for all the same');
});

t.test('a gateway that floods has little verified and little kept', async (t) => {
  const { b, source } = await member(t, willing(network), silent);
  const before = await b.metrics.text();
  for (let i = 0; i < 200; i++) hand(source, documentOf(b.epoch, `{"payload":"${i}","signatures":[]}`));
  const refused = (text: string) => Number(/consensus_handed_total\{result="refused"\} (\d+)/.exec(text)?.[1] ?? 0);
  t.equal(refused(await b.metrics.text()) - refused(before), MAX_VERIFIED_PER_EPOCH);
  t.match(await b.metrics.text(), /consensus_handed_total\{result="excess"\} 192/);
  const [endless] = consensusPieces(documentOf(b.epoch, 'x'.repeat(PACKET_BYTES)), PACKET_BYTES) as [Buffer, Buffer];
  endless.writeUInt32BE(MAX_HANDED_BYTES, 8);
  for (let i = 0; i < 10_000; i++) source.take(Buffer.from(endless)); // begins anew each time
  t.equal(b.client.topology()?.epoch, b.epoch);
});
