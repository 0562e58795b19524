/** What an authority takes in and what it signs. */

import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ANNOUNCEMENT_BURST, Api, type ApiRequest } from '../../directory/api.ts';
import { Archive, CONSENSUSES_KEPT } from '../../directory/archive.ts';
import type { Authority } from '../../directory/authority.ts';
import { buildConsensus, lacking, type Minimums, nodesFor, ROUTABLE } from '../../directory/consensus-builder.ts';
import { type JoinRules, joinRules } from '../../directory/members/membership.ts';
import { MAX_RATED_ADDRESSES } from '../../directory/source-rates.ts';
import type { IdentityHex } from '../../lib/core/bytes.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import {
  type Descriptor,
  DocumentRefused,
  type NodeRecord,
  parseConsensus,
  parseDescriptor,
  type Refusal,
  Topology,
  Verifier,
} from '../../lib/directory/index.ts';
import { sourceOf } from '../../lib/net/connection-table.ts';
import { admissionOf, authorityOn, CLOSED, OPEN, take } from '../support/admission.ts';
import {
  consensusOf,
  crypto,
  descriptorOf,
  draft,
  epochOf,
  keys,
  outcome,
  signedConsensus,
  signedDescriptor,
  testNetwork,
} from '../support/signed-documents.ts';
import { epochNumber, monotonic, unix } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const network = testNetwork();
const verifier = new Verifier(network, crypto);
const EPOCH_MS = 60_000;
const EPOCH = 1000;
const NOW_MS = EPOCH * EPOCH_MS + 30_000;

const admission = (rules = OPEN, maxNodes = 10, minCapacity = 0) =>
  admissionOf(verifier, rules, maxNodes, () => monotonic(0), minCapacity);
const gateway = (n: number, extra: object = {}, nowMs = NOW_MS): Descriptor =>
  descriptorOf(network, n, draft('gateway', [EPOCH, EPOCH + 1]), nowMs, extra);

t.test('freshness and key epochs', async (t) => {
  const tried = (extra: object) =>
    outcome(() => admission().accept(signedDescriptor(1, gateway(1, extra)), undefined, unix(NOW_MS)));
  const sphinxKeys = (...epochs: number[]) => ({ sphinxKeys: epochs.map((epoch) => ({ epoch, key: '1'.repeat(64) })) });
  t.equal(tried({}), 'accepted');
  t.equal(tried({ publishedMs: NOW_MS - 10_000 }), 'accepted', 'clocks may differ by Δ');
  t.equal(tried({ publishedMs: NOW_MS - 10_001 }), 'clock-skew');
  t.equal(tried({ publishedMs: NOW_MS + 10_001 }), 'clock-skew');
  t.equal(tried(sphinxKeys(EPOCH)), 'key-epochs');
  t.equal(tried(sphinxKeys(EPOCH + 1, EPOCH + 2)), 'key-epochs');
  t.equal(tried(sphinxKeys(EPOCH - 1, EPOCH, EPOCH + 1, EPOCH + 2)), 'accepted');
  t.equal(tried({ network: '0'.repeat(64) }), 'wrong-network');
  t.equal(
    outcome(() => admission().accept(signedDescriptor(2, gateway(1)), undefined, unix(NOW_MS))),
    'bad-signature',
  );
  t.equal(
    outcome(() => admission().accept('{}', undefined, unix(NOW_MS))),
    'malformed',
  );
});

t.test('same or newer: an older descriptor does not come back', async (t) => {
  const held = admission();
  const give = (extra: object) => take(held, signedDescriptor(1, gateway(1, extra)), NOW_MS);
  t.ok(give({}));
  t.equal(give({}), undefined, 'the same again');
  t.equal(
    outcome(() => give({ publishedMs: NOW_MS - 1 })),
    'stale',
  );
  t.equal(
    outcome(() => give({ port: 4001 })),
    'stale',
    'two of one moment',
  );
  t.ok(give({ publishedMs: NOW_MS + 1, port: 4001 }));
  t.equal(held.held.size, 1);
});

t.test('of identities that share their first 8 bytes one is refused', async (t) => {
  // Such keys can not be made here: let the verifier say that the signature holds.
  const lenient = new Verifier(network, { ...crypto, ed25519Verify: () => true });
  const held = admissionOf(lenient);
  const cousin = `${keys(1).id.slice(0, 16)}${'0'.repeat(48)}` as IdentityHex;
  const signed = (descriptor: Descriptor) =>
    JSON.stringify({
      payload: JSON.stringify(descriptor),
      signatures: [{ signer: descriptor.identity, signature: '0'.repeat(128) }],
    });
  take(held, signed(gateway(1)), NOW_MS);
  t.equal(
    outcome(() => held.accept(signed(gateway(1, { identity: cousin })), undefined, unix(NOW_MS))),
    'prefix-collision',
  );
  held.expire(unix(NOW_MS + 5 * EPOCH_MS));
  const later = NOW_MS + 5 * EPOCH_MS;
  const sphinxKeys = [5, 6].map((ahead) => ({ epoch: EPOCH + ahead, key: '1'.repeat(64) }));
  const next = gateway(1, { identity: cousin, publishedMs: later, sphinxKeys });
  t.equal(
    outcome(() => held.accept(signed(next), undefined, unix(later))),
    'accepted',
    'free again when the other is gone',
  );
});

t.test('a node may join when it is allowed, or when all may', async (t) => {
  const tried = (rules: JoinRules) => outcome(() => take(admission(rules), signedDescriptor(1, gateway(1)), NOW_MS));
  t.equal(tried(OPEN), 'accepted');
  t.equal(tried(CLOSED), 'not-a-member');
  t.equal(tried({ ...CLOSED, allow: new Set([keys(1).id]) }), 'accepted');
  t.equal(tried({ ...CLOSED, allow: new Set([keys(2).id]) }), 'not-a-member');
  const config = { allow: [keys(1).id], openToAll: false, maxNodes: 1 };
  t.same(joinRules(config).allow, new Set([keys(1).id]));
  t.throws(() => joinRules({ ...config, allow: ['me'] }), {
    code: 'CONFIG',
    message: "allow: 'me' is not an identity (64 lower-case hex digits)",
  });
  t.throws(() => joinRules({ ...config, allow: [keys(1).id, keys(2).id] }), {
    code: 'CONFIG',
    message: 'allow lists 2 identities, and maxNodes is 1',
  });
});

t.test('a mix or gateway that carries too little is refused, and learns why', async (t) => {
  const held = admission(OPEN, 100, 293);
  const give = (n: number, extra: object) => outcome(() => take(held, signedDescriptor(n, gateway(n, extra)), NOW_MS));
  t.same([give(1, { capacity: 235 }), give(2, {}), give(5, { capacity: 293 })], ['capacity', 'capacity', 'accepted']);
  t.throws(() => take(held, signedDescriptor(1, gateway(1, { capacity: 235 })), NOW_MS), {
    message: /this node carries 235 packets\/s, and the network lists those that carry 293 or more/,
  });
});

t.test('the table is bounded; what has no key any more makes room', async (t) => {
  const held = admission(OPEN, 2);
  const give = (n: number) => outcome(() => take(held, signedDescriptor(n, gateway(n)), NOW_MS));
  t.same([give(1), give(2), give(3)], ['accepted', 'accepted', 'full']);
  t.same(held.expire(unix(NOW_MS + EPOCH_MS)), []);
  t.same(held.expire(unix(NOW_MS + 2 * EPOCH_MS)).sort(), [keys(1).id, keys(2).id].sort());
  t.equal(held.held.size, 0);
});

t.test('a consensus lists who announced for it, with the keys of its time, in one order', async (t) => {
  const fresh = EPOCH * EPOCH_MS - 20_000;
  const all = [EPOCH - 1, EPOCH, EPOCH + 1];
  const node = (
    n: number,
    role: 'mixnode' | 'gateway' | 'requester',
    extra: object = {},
    publishedMs = fresh,
    epochs = all,
  ) => descriptorOf(network, n, draft(role, epochs, extra), publishedMs);
  const listed = (...descriptors: Descriptor[]) =>
    nodesFor(epochNumber(EPOCH), descriptors, network, DEFAULT_PARAMS, undefined).map((record) => record.identity);
  t.same(listed(node(1, 'gateway')), [keys(1).id]);
  t.same(listed(node(1, 'gateway', {}, fresh - 1)), [], 'announced for an earlier one');
  t.same(listed(node(1, 'gateway', {}, fresh, [EPOCH - 1, EPOCH])), [], 'without a key for the epoch after');
  t.same(listed(node(4, 'requester')), [], 'a requester without its gateway');
  t.same(listed(node(4, 'requester'), node(3, 'gateway')).length, 2);
  t.same(listed(node(4, 'requester'), node(3, 'gateway', {}, fresh - 1)), [], 'nor one whose gateway has gone');
  const [record] = nodesFor(epochNumber(EPOCH), [node(1, 'gateway')], network, DEFAULT_PARAMS, undefined);
  t.same(
    record?.sphinxKeys.map((key) => key.epoch),
    [EPOCH, EPOCH + 1],
  );
  t.notOk(Object.hasOwn(record ?? {}, 'publishedMs'));
  const many = [1, 2, 3, 5, 6, 7].map((n) => node(n, 'gateway'));
  const bytes = (order: Descriptor[]) =>
    JSON.stringify(
      buildConsensus(
        epochNumber(EPOCH),
        nodesFor(epochNumber(EPOCH), order, network, DEFAULT_PARAMS, undefined),
        DEFAULT_PARAMS,
        '0'.repeat(64),
        order,
        undefined,
      ),
    );
  t.equal(bytes(many), bytes([...many].reverse()));
});

t.test(
  'what a node of a later version says beside is listed as it is, by authorities that do not know it',
  async (t) => {
    const fresh = EPOCH * EPOCH_MS - 20_000;
    const keysFor = [EPOCH, EPOCH + 1];
    const [extensions, sessionVersions] = [
      { postbox: 3, quic: true },
      { lowest: 3, highest: 4 },
    ];
    const descriptors = [
      descriptorOf(network, 3, draft('gateway', keysFor, { extensions }), fresh),
      descriptorOf(network, 4, draft('requester', keysFor, { extensions, sessionVersions }), fresh),
    ].map((descriptor) => parseDescriptor(JSON.stringify(descriptor)));
    const nodes = nodesFor(epochNumber(EPOCH), descriptors, network, DEFAULT_PARAMS, undefined);
    t.match(nodes, [{ extensions }, { extensions }]);
    const exit = nodes.find(({ role }) => role === 'requester');
    t.match(exit, { sessionVersions });
    const consensus = consensusOf(network, EPOCH);
    const others = consensus.nodes.filter(({ identity }) => nodes.every((node) => node.identity !== identity));
    const all = [...others, ...nodes].sort((a, b) => (a.identity < b.identity ? -1 : 1));
    const topology = new Topology(parseConsensus(JSON.stringify({ ...consensus, nodes: all })));
    t.same(topology.requesters[0]?.sessionVersions, sessionVersions, 'and members read it');
  },
);

t.test('a network below its minimums has no consensus', async (t) => {
  const meets = (nodes: readonly NodeRecord[], minimums: Minimums) => lacking(nodes, minimums) === '';
  const { nodes } = consensusOf(network, EPOCH);
  t.ok(meets(nodes, { mixesPerLayer: 1, gateways: 1, requesters: 1 }));
  t.notOk(meets(nodes, { mixesPerLayer: 2, gateways: 1, requesters: 1 }));
  t.notOk(meets(nodes, { mixesPerLayer: 1, gateways: 2, requesters: 1 }));
  t.notOk(meets(nodes, { mixesPerLayer: 1, gateways: 1, requesters: 2 }));
  t.equal(
    lacking([], { mixesPerLayer: 1, gateways: 2, requesters: 1 }),
    '0 of 1 mixes in layer 1, 0 of 1 mixes in layer 2, 0 of 1 mixes in layer 3, 0 of 2 gateways, 0 of 1 requesters',
  );
  for (const index of [0, 1, 2, 3]) t.notOk(meets(nodes.toSpliced(index, 1), ROUTABLE), `without node ${index}`);
  t.ok(meets(nodes.slice(0, 4), ROUTABLE));
});

async function archive(t: Test): Promise<Archive> {
  const dir = await mkdtemp(join(tmpdir(), 'mixsocks-archive-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return new Archive(dir);
}

const alone = (archive: Archive, clock: VirtualClock, held = admission()) => authorityOn(archive, held, clock);

t.test('an epoch that is on record is not signed again, whatever is in memory', async (t) => {
  const kept = await archive(t);
  const clock = new VirtualClock();
  const epoch = epochOf(network, clock.wallMs());
  const authority = alone(kept, clock);
  await authority.open();
  // Another process of the same authority was faster.
  const theirs = signedConsensus(network, epoch);
  t.equal(await kept.recordConsensus(epochNumber(epoch), theirs), true);
  t.equal(await kept.recordConsensus(epochNumber(epoch), `${theirs} `), false);
  await announceFive(authority, clock);
  t.equal(authority.current()?.text, theirs, 'what was recorded first is what is served');
  t.equal(await kept.consensus(epochNumber(epoch)), theirs);
});

t.test('a damaged record still uses up its epoch; damaged descriptors are left out', async (t) => {
  const kept = await archive(t);
  await kept.open();
  const clock = new VirtualClock();
  const epoch = epochOf(network, clock.wallMs());
  await writeFile(join(kept.dir, 'consensus', `${epoch}.json`), '{"payl');
  await writeFile(join(kept.dir, 'descriptors', `${keys(1).id}.json`), '{"payl');
  await writeFile(join(kept.dir, 'descriptors', 'x.draft'), 'half');
  const held = admission();
  const authority = alone(kept, clock, held);
  await authority.open();
  t.equal(held.held.size, 0);
  t.notOk((await readdir(join(kept.dir, 'descriptors'))).includes('x.draft'));
  await announceFive(authority, clock);
  t.equal(authority.current(), undefined, 'nothing is signed for that epoch');
  clock.advance(EPOCH_MS);
  await announceFive(authority, clock);
  t.equal(authority.current()?.consensus.epoch, epoch + 1);
});

t.test('the archive keeps the newest consensuses and one file per node', async (t) => {
  const kept = await archive(t);
  await mkdir(kept.dir, { recursive: true });
  await kept.open();
  for (let epoch = 0; epoch < CONSENSUSES_KEPT + 5; epoch++) await kept.recordConsensus(epochNumber(epoch), '{}');
  t.same((await kept.epochs()).at(0), 5);
  t.equal((await kept.epochs()).length, CONSENSUSES_KEPT);
  await kept.saveDescriptor(keys(1).id, 'a');
  await kept.saveDescriptor(keys(1).id, 'b');
  t.same([...(await kept.descriptors()).values()], ['b']);
  await kept.deleteDescriptor(keys(1).id);
  t.equal((await kept.descriptors()).size, 0);
});

async function announceFive(authority: Authority, clock: VirtualClock): Promise<void> {
  const nowMs = clock.wallMs();
  const epoch = epochOf(network, nowMs);
  const epochs = [epoch, epoch + 1, epoch + 2];
  for (const n of [0, 1, 2, 3, 4]) {
    const role = n < 3 ? 'mixnode' : n === 3 ? 'gateway' : 'requester';
    const node = draft(role, epochs, n < 3 ? { layer: n + 1 } : {});
    await authority.announce(signedDescriptor(n, descriptorOf(network, n, node, nowMs)), undefined);
  }
}

t.test('API: rates per address, bounded; statuses name the refusal', async (t) => {
  let refusal: Refusal | undefined;
  const results: string[] = [];
  let nowMs = 0;
  const api = new Api({
    authority: {
      announce: async () => {
        if (refusal !== undefined) throw new DocumentRefused(refusal, 'because');
      },
      consensus: () => undefined,
      current: () => undefined,
    },
    admission: admission(),
    nowMs: () => monotonic(nowMs),
    onAnnouncement: (result) => results.push(result),
  });
  const post = async (address: string) => {
    const request: ApiRequest = {
      method: 'POST',
      path: '/descriptor',
      query: new URLSearchParams(),
      header: () => undefined,
      body: '',
      address,
    };
    return (await api.handle(request)).status;
  };
  for (let i = 0; i < ANNOUNCEMENT_BURST; i++) t.equal(await post('192.0.2.1'), 200);
  t.equal(await post('192.0.2.1'), 429);
  t.equal(await post('192.0.2.2'), 200, 'each address has its own');
  nowMs += 1000;
  t.equal(await post('192.0.2.1'), 200);
  while ((await post('192.0.2.1')) === 200);
  for (let i = 0; i < MAX_RATED_ADDRESSES; i++) await post(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
  t.equal(await post('192.0.2.1'), 200, 'forgotten for those that came since');
  for (const [reason, status] of [
    ['not-a-member', 403],
    ['token-used', 403],
    ['rate', 429],
    ['prefix-collision', 409],
    ['stale', 409],
    ['full', 503],
    ['malformed', 400],
    ['key-epochs', 400],
  ] as const) {
    refusal = reason;
    t.equal(await post('192.0.2.3'), status, reason);
    t.equal(results.at(-1), reason);
  }
});

t.test('API: long answers are made once and shared', async (t) => {
  const held = admission();
  take(held, signedDescriptor(1, gateway(1)), NOW_MS);
  const consensus = verifier.consensus(signedConsensus(network, EPOCH));
  const api = new Api({
    authority: { announce: async () => {}, consensus: () => consensus, current: () => consensus },
    admission: held,
    nowMs: () => monotonic(0),
    onAnnouncement: () => {},
  });
  const get = (target: string) => {
    const [path = '', query] = target.split('?');
    const request = {
      method: 'GET',
      path,
      query: new URLSearchParams(query),
      header: () => undefined,
      body: '',
      address: '',
    };
    return api.handle(request);
  };
  t.equal((await get('/consensus')).body, (await get(`/consensus/${EPOCH}`)).body);
  const all = (await get('/descriptors')).body;
  t.equal((await get('/descriptors')).body, all);
  t.equal((await get('/descriptors?role=mixnode')).body.toString(), '{"descriptors":[]}');
  t.equal((await get('/descriptors?role=king')).status, 400);
  take(held, signedDescriptor(2, gateway(2)), NOW_MS);
  t.ok((await get('/descriptors')).body.length > all.length, 'made anew after a change');
});

t.test('IPv6 addresses count by their /64', async (t) => {
  t.equal(sourceOf('2001:db8:1:2:3:4:5:6'), sourceOf('2001:db8:1:2:ffff::1'));
  t.equal(sourceOf('2001:db8::1'), sourceOf('2001:db8:0:0::2'));
  t.not(sourceOf('2001:db8:1:2::1'), sourceOf('2001:db8:1:3::1'));
  t.not(sourceOf('::ffff:192.0.2.1'), sourceOf('::ffff:192.0.2.2'));
  t.equal(sourceOf('fe80::1%eth0'), 'fe80:0:0:0');
  t.equal(sourceOf('192.0.2.1'), '192.0.2.1');
});
