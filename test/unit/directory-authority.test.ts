/** What an authority takes in and what it signs. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Admission, type JoinRules, joinRules } from '../../directory/admission.ts';
import { ANNOUNCEMENT_BURST, Api, type ApiRequest, MAX_RATED_ADDRESSES, rateKey } from '../../directory/api.ts';
import { Archive, CONSENSUSES_KEPT } from '../../directory/archive.ts';
import { Authority } from '../../directory/authority.ts';
import { buildConsensus, lacking, meets, nodesFor, ROUTABLE } from '../../directory/consensus-builder.ts';
import { type IdentityHex, toHex } from '../../lib/bytes.ts';
import { type Descriptor, DocumentRefused, joinProof, type Refusal, Verifier } from '../../lib/directory/index.ts';
import { silentLog } from '../../lib/log.ts';
import { DEFAULT_PARAMS } from '../../lib/params.ts';
import {
  consensusOf,
  crypto,
  descriptorOf,
  draft,
  epochOf,
  keys,
  signedConsensus,
  signedDescriptor,
  testNetwork,
} from '../support/directory-network.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const network = testNetwork();
const verifier = new Verifier(network, crypto);
const EPOCH_MS = 60_000;
const EPOCH = 1000;
const NOW_MS = EPOCH * EPOCH_MS + 30_000;
const TOKEN = 'a token of some length';
const OPEN: JoinRules = { allow: new Set(), joinToken: undefined, openToAll: true };

function outcome(act: () => unknown): Refusal | 'accepted' {
  try {
    act();
    return 'accepted';
  } catch (error) {
    if (error instanceof DocumentRefused) return error.reason;
    throw error;
  }
}

const admission = (rules = OPEN, maxNodes = 10) => new Admission(verifier, rules, maxNodes, crypto);
const gateway = (n: number, extra: object = {}, nowMs = NOW_MS): Descriptor =>
  descriptorOf(network, n, draft('gateway', [EPOCH, EPOCH + 1]), nowMs, extra);

t.test('freshness and key epochs', async (t) => {
  const tried = (extra: object) =>
    outcome(() => admission().accept(signedDescriptor(1, gateway(1, extra)), undefined, NOW_MS));
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
    outcome(() => admission().accept(signedDescriptor(2, gateway(1)), undefined, NOW_MS)),
    'bad-signature',
  );
  t.equal(
    outcome(() => admission().accept('{}', undefined, NOW_MS)),
    'malformed',
  );
});

t.test('same or newer: an older descriptor does not come back', async (t) => {
  const held = admission();
  const give = (extra: object) => held.accept(signedDescriptor(1, gateway(1, extra)), undefined, NOW_MS);
  t.equal(give({}).changed, true);
  t.equal(give({}).changed, false, 'the same again');
  t.equal(
    outcome(() => give({ publishedMs: NOW_MS - 1 })),
    'stale',
  );
  t.equal(
    outcome(() => give({ port: 4001 })),
    'stale',
    'two of one moment',
  );
  t.equal(give({ publishedMs: NOW_MS + 1, port: 4001 }).changed, true);
  t.equal(held.held.size, 1);
});

t.test('identities that share their first 8 bytes', async (t) => {
  // Such keys can not be made here: let the verifier say that the signature holds.
  const lenient = new Verifier(network, { ...crypto, ed25519Verify: () => true });
  const held = new Admission(lenient, OPEN, 10, crypto);
  const cousin = `${keys(1).id.slice(0, 16)}${'0'.repeat(48)}` as IdentityHex;
  const signed = (descriptor: Descriptor) =>
    JSON.stringify({
      payload: JSON.stringify(descriptor),
      signatures: [{ signer: descriptor.identity, signature: '0'.repeat(128) }],
    });
  held.accept(signed(gateway(1)), undefined, NOW_MS);
  t.equal(
    outcome(() => held.accept(signed(gateway(1, { identity: cousin })), undefined, NOW_MS)),
    'prefix-collision',
  );
  held.expire(NOW_MS + 5 * EPOCH_MS);
  const later = NOW_MS + 5 * EPOCH_MS;
  const sphinxKeys = [5, 6].map((ahead) => ({ epoch: EPOCH + ahead, key: '1'.repeat(64) }));
  const next = gateway(1, { identity: cousin, publishedMs: later, sphinxKeys });
  t.equal(
    outcome(() => held.accept(signed(next), undefined, later)),
    'accepted',
    'free again when the other is gone',
  );
});

t.test('who may join', async (t) => {
  const text = signedDescriptor(1, gateway(1));
  const payload = JSON.stringify(gateway(1));
  const tried = (rules: Partial<JoinRules>, proof?: string) =>
    outcome(() =>
      admission({ allow: new Set(), joinToken: undefined, openToAll: false, ...rules }).accept(text, proof, NOW_MS),
    );
  const proof = toHex(joinProof(TOKEN, payload, crypto));
  t.equal(tried({ joinToken: TOKEN }, proof), 'accepted');
  t.equal(tried({ joinToken: TOKEN }), 'not-a-member');
  t.equal(tried({ joinToken: TOKEN }, 'x'), 'not-a-member');
  t.equal(tried({ joinToken: `${TOKEN}!` }, proof), 'not-a-member');
  const replayed = toHex(joinProof(TOKEN, JSON.stringify(gateway(2)), crypto));
  t.equal(tried({ joinToken: TOKEN }, replayed), 'not-a-member', 'a proof is good for one descriptor');
  t.equal(tried({ allow: new Set([keys(1).id]) }), 'accepted');
  t.equal(tried({ allow: new Set([keys(2).id]) }), 'not-a-member');
  t.equal(tried({ allow: new Set([keys(2).id]), joinToken: TOKEN }, proof), 'accepted', 'either is enough');
  const none = { allow: [], openToAll: false };
  t.throws(() => joinRules(none), { code: 'CONFIG', message: /nobody could join/ });
  t.throws(() => joinRules({ ...none, allow: ['me'] }), {
    code: 'CONFIG',
    message: "allow: 'me' is not an identity (64 lower-case hex digits)",
  });
  t.same(joinRules({ ...none, allow: [keys(1).id] }).allow, new Set([keys(1).id]));
});

t.test('the table is bounded; what has no key any more makes room', async (t) => {
  const held = admission(OPEN, 2);
  const give = (n: number) => outcome(() => held.accept(signedDescriptor(n, gateway(n)), undefined, NOW_MS));
  t.same([give(1), give(2), give(3)], ['accepted', 'accepted', 'full']);
  t.same(held.expire(NOW_MS + EPOCH_MS), []);
  t.same(held.expire(NOW_MS + 2 * EPOCH_MS).sort(), [keys(1).id, keys(2).id].sort());
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
    nodesFor(EPOCH, descriptors, network).map((record) => record.identity);
  t.same(listed(node(1, 'gateway')), [keys(1).id]);
  t.same(listed(node(1, 'gateway', {}, fresh - 1)), [], 'announced for an earlier one');
  t.same(listed(node(1, 'gateway', {}, fresh, [EPOCH - 1, EPOCH])), [], 'without a key for the epoch after');
  t.same(listed(node(4, 'requester')), [], 'a requester without its gateway');
  t.same(listed(node(4, 'requester'), node(3, 'gateway')).length, 2);
  t.same(listed(node(4, 'requester'), node(3, 'gateway', {}, fresh - 1)), [], 'nor one whose gateway has gone');
  const [record] = nodesFor(EPOCH, [node(1, 'gateway')], network);
  t.same(
    record?.sphinxKeys.map((key) => key.epoch),
    [EPOCH, EPOCH + 1],
  );
  t.notOk(Object.hasOwn(record ?? {}, 'publishedMs'));
  const many = [1, 2, 3, 5, 6, 7].map((n) => node(n, 'gateway'));
  const bytes = (order: Descriptor[]) =>
    JSON.stringify(buildConsensus(EPOCH, nodesFor(EPOCH, order, network), DEFAULT_PARAMS, '0'.repeat(64)));
  t.equal(bytes(many), bytes([...many].reverse()));
});

t.test('minimums', async (t) => {
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

function authorityOn(archive: Archive, clock: VirtualClock, held = admission()): Authority {
  return new Authority({
    verifier,
    admission: held,
    archive,
    params: { ...DEFAULT_PARAMS, epochMs: EPOCH_MS },
    minimums: { mixesPerLayer: 1, gateways: 1, requesters: 1 },
    identitySeed: keys(1000).seed,
    clock,
    crypto,
    log: silentLog,
  });
}

t.test('an epoch that is on record is not signed again, whatever is in memory', async (t) => {
  const kept = await archive(t);
  const clock = new VirtualClock();
  const epoch = epochOf(network, clock.wallMs());
  const authority = authorityOn(kept, clock);
  await authority.open();
  // Another process of the same authority was faster.
  const theirs = signedConsensus(network, epoch);
  t.equal(await kept.recordConsensus(epoch, theirs), true);
  t.equal(await kept.recordConsensus(epoch, `${theirs} `), false);
  await announceFive(authority, clock);
  t.equal(authority.current()?.text, theirs, 'what was recorded first is what is served');
  t.equal(await kept.consensus(epoch), theirs);
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
  const authority = authorityOn(kept, clock, held);
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
  for (let epoch = 0; epoch < CONSENSUSES_KEPT + 5; epoch++) await kept.recordConsensus(epoch, '{}');
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
    nowMs: () => nowMs,
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
  held.accept(signedDescriptor(1, gateway(1)), undefined, NOW_MS);
  const consensus = verifier.consensus(signedConsensus(network, EPOCH));
  const api = new Api({
    authority: { announce: async () => {}, consensus: () => consensus, current: () => consensus },
    admission: held,
    nowMs: () => 0,
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
  held.accept(signedDescriptor(2, gateway(2)), undefined, NOW_MS);
  t.ok((await get('/descriptors')).body.length > all.length, 'made anew after a change');
});

t.test('IPv6 addresses count by their /64', async (t) => {
  t.equal(rateKey('2001:db8:1:2:3:4:5:6'), rateKey('2001:db8:1:2:ffff::1'));
  t.equal(rateKey('2001:db8::1'), rateKey('2001:db8:0:0::2'));
  t.not(rateKey('2001:db8:1:2::1'), rateKey('2001:db8:1:3::1'));
  t.not(rateKey('::ffff:192.0.2.1'), rateKey('::ffff:192.0.2.2'));
  t.equal(rateKey('fe80::1%eth0'), 'fe80:0:0:0');
  t.equal(rateKey('192.0.2.1'), '192.0.2.1');
});
