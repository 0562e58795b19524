/** Why a node is or is not in, from the folder of an authority. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Archive } from '../../directory/archive.ts';
import { auditText } from '../../directory/voting/audit.ts';
import { canonicalJson } from '../../directory/voting/canonical-json.ts';
import { DiskRecords } from '../../directory/voting/disk-records.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import { DOCUMENT_VERSION } from '../../lib/directory/index.ts';
import {
  consensusOf,
  descriptorOf,
  draft,
  key32,
  keys,
  signedConsensus,
  signedDescriptor,
  testNetwork,
} from '../support/signed-documents.ts';
import { epochNumber, unix } from '../support/units.ts';

const network = testNetwork(4, 3);
const EPOCH = 1000;
const START_MS = EPOCH * 60_000;
const FIVE = [0, 1, 2, 3, 4];

async function folder(t: Test): Promise<Archive> {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-audit-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const archive = new Archive(dir);
  await archive.open();
  return archive;
}

/** A vote that lists nodes by key, each with its first or another descriptor. */
function vote(nodes: readonly number[], others: readonly number[] = [], meanDelayMs = 40) {
  const lines = nodes.map((n) => [keys(n).id, key32(others.includes(n) ? 7 : 1)]);
  const params = { ...DEFAULT_PARAMS, epochMs: 60_000, meanDelayMs };
  const sorted = lines.sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
  return { vote: '{}', ballot: canonicalJson({ version: DOCUMENT_VERSION, params, nodes: sorted }) };
}

async function hold(archive: Archive, n: number, publishedMs: number, epochs: readonly number[]): Promise<void> {
  const made = descriptorOf(network, n, draft('gateway', epochs, { name: `node-${n}` }), publishedMs);
  await archive.saveDescriptor(keys(n).id, signedDescriptor(n, made));
}

t.test('the audit names votes, signatures, evidence, and a reason for each node that is out', async (t) => {
  const archive = await folder(t);
  await archive.recordConsensus(epochNumber(EPOCH), signedConsensus(network, EPOCH));
  const records = new DiskRecords(archive.dir);
  const slot = { epoch: epochNumber(EPOCH), attempt: 0, startMs: unix(0), roundMs: 1, rounds: 2 };
  const votes = new Map<IdentityHex, ReturnType<typeof vote>[]>([
    [keys(1000).id, [vote([...FIVE, 20, 21, 22])]],
    [keys(1001).id, [vote([...FIVE, 21], [21])]],
    [keys(1002).id, [vote(FIVE), vote(FIVE, [], 50)]],
  ]);
  await records.keepVotes(slot, votes);
  await records.keepEvidence(slot.epoch, 'votes', keys(1002).id, ['a', 'b']);
  const fresh = [EPOCH - 1, EPOCH, EPOCH + 1];
  await hold(archive, 20, START_MS - 10_000, fresh);
  await hold(archive, 30, START_MS - 30_000, fresh);
  await hold(archive, 31, START_MS - 10_000, [EPOCH - 1, EPOCH]);
  await hold(archive, 32, START_MS - 10_000, fresh);
  const text = await auditText({ network, archive, expelled: new Set([keys(32).id]) });
  const lineOf = (n: number) => text.split('\n').find((line) => line.includes(keys(n).id)) ?? '';
  t.match(text, `epoch ${EPOCH}, from 1970-01-01 16:40 UTC: 5 nodes, 1 of 4 signatures\nvotes (attempt 0):`);
  t.match(lineOf(1000), 'lists 8 nodes');
  t.match(lineOf(1002), 'signed several votes, of which none counts');
  t.match(lineOf(1003), 'no vote came in time');
  t.match(lineOf(0), `in   mix-1-1  ${keys(0).id}  on 2 of 2 votes`);
  t.match(lineOf(20), `out  node-20  ${keys(20).id}  on 1 of 2 votes; more than half are needed`);
  t.match(
    lineOf(21),
    'on 2 of 2 votes; at most 1 name the same descriptor, and 2 are needed; this authority holds no descriptor of it',
  );
  t.match(
    lineOf(30),
    'on 0 of 2 votes; more than half are needed; it last announced itself at 1970-01-01 16:39 UTC, before',
  );
  t.match(lineOf(31), `it has no key for epoch ${EPOCH + 1}`);
  t.match(lineOf(32), 'expelled here');
  t.match(text, new RegExp(`evidence  ${EPOCH}-votes-${keys(1002).id}.json`));
});

t.test('a voting that was begun and not counted says nothing about the consensus', async (t) => {
  const archive = await folder(t);
  await archive.recordConsensus(epochNumber(EPOCH), signedConsensus(network, EPOCH));
  const records = new DiskRecords(archive.dir);
  const slot = { epoch: epochNumber(EPOCH), attempt: 0, startMs: unix(0), roundMs: 1, rounds: 2 };
  await records.ownVote({ ...slot, attempt: 0 }, vote(FIVE));
  t.notMatch(await auditText({ network, archive, expelled: new Set() }), /votes/);
  await records.keepVotes(slot, new Map([[keys(1000).id, [vote(FIVE)]]]));
  await records.ownVote({ ...slot, attempt: 1 }, vote([]));
  const text = await auditText({ network, archive, expelled: new Set() });
  t.match(text, /^votes \(attempt 0\):$/m);
  t.match(text, `${keys(0).id}  on 1 of 1 votes`);
});

t.test('one node, one epoch, an authority that is alone, and one that has nothing', async (t) => {
  const archive = await folder(t);
  const alone = testNetwork();
  const none = { network: alone, archive, expelled: new Set<IdentityHex>() };
  await t.rejects(auditText(none), { code: 'CONFIG', message: /has no consensus of any epoch/ });
  await t.rejects(auditText({ ...none, archive: new Archive(join(archive.dir, 'new')) }), { code: 'CONFIG' });
  for (const epoch of [EPOCH, EPOCH + 1]) {
    const nodes = consensusOf(alone, epoch).nodes.slice(0, epoch === EPOCH ? 5 : 4);
    await archive.recordConsensus(epochNumber(epoch), signedConsensus(alone, epoch, { nodes }));
  }
  t.match(await auditText(none), `epoch ${EPOCH + 1}, from 1970-01-01 16:41 UTC: 4 nodes, 1 of 1 signatures\nin `);
  const one = (await auditText({ ...none, epoch: EPOCH, node: 'requester-1' })).trimEnd().split('\n');
  t.equal(one.length, 2);
  t.match(one[1], `in   requester-1  ${keys(4).id}`);
  await t.rejects(auditText({ ...none, node: 'requester-1' }), { code: 'CONFIG', message: /no node 'requester-1'/ });
  await t.rejects(auditText({ ...none, epoch: 5 }), { code: 'CONFIG', message: /no consensus of epoch 5/ });
});
