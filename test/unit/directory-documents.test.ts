/** Every field of the documents: what is refused, and the one line that says why. */

import t from 'tap';
import { DirectoryConfig } from '../../directory/config.ts';
import { networkParams } from '../../directory/network.ts';
import { parseSheet } from '../../directory/voting/sheet.ts';
import { parseBallot, parseVote } from '../../directory/voting/vote.ts';
import { type IdentityHex, toHex } from '../../lib/core/bytes.ts';
import {
  DEFAULT_SESSION_PARAMS,
  SESSION_ORDERS,
  type SessionParamName,
  sessionOptionName,
} from '../../lib/core/session-params.ts';
import { MAX_EXTENSIONS_CHARS } from '../../lib/directory/document-versions.ts';
import { MAX_CONSENSUS_BYTES, MAX_DESCRIPTOR_BYTES, MAX_NODES } from '../../lib/directory/documents.ts';
import { envelopeBytes, parseEnvelope } from '../../lib/directory/envelope.ts';
import {
  DocumentRefused,
  networkId,
  parseConsensus,
  parseDescriptor,
  parseNetworkFile,
  Topology,
} from '../../lib/directory/index.ts';
import {
  consensusOf,
  countersigned,
  crypto,
  descriptorOf,
  draft,
  key32,
  keys,
  records,
  testNetwork,
} from '../support/signed-documents.ts';
import { epochNumber } from '../support/units.ts';

const network = testNetwork();
const EPOCH = 1000;
const refused = (message: string | RegExp) => ({ code: 'DOCUMENT', message });

t.test('descriptors of each role are read back as written', async (t) => {
  for (const role of ['mixnode', 'gateway', 'requester'] as const) {
    const descriptor = descriptorOf(network, 5, draft(role, [EPOCH, EPOCH + 1], { family: 'acme' }), 1);
    t.same(parseDescriptor(JSON.stringify(descriptor)), descriptor);
  }
});

t.test('a Sphinx key of small order is refused, in descriptors and consensuses, in any encoding', async (t) => {
  const p = (2n ** 255n - 19n).toString(16);
  const bigEndian = [
    '0',
    '1',
    (2n ** 255n).toString(16), // X25519 ignores the top bit
    'b8495f16056286fdb1329ceb8d09da6ac49ff1fae35616aeb8413b7c7aebe0', // order 8
    '57119fd0dd4e22d8868e1c58c45c44045bef839c55b1d0b1248c50a3bc959c5f', // order 8
    (2n ** 255n - 20n).toString(16), // p - 1
    p,
    (2n ** 255n - 18n).toString(16), // p + 1
  ];
  const message = /sphinxKeys\[0\]\.key: expected an X25519 key that is not of small order/;
  for (const value of bigEndian) {
    const key = Buffer.from(value.padStart(64, '0'), 'hex').reverse();
    t.throws(() => crypto.x25519(new Uint8Array(32).fill(7), key), { code: 'CRYPTO' }, `${value} has a small order`);
    const sphinxKeys = [{ epoch: EPOCH, key: toHex(key) }];
    const descriptor = descriptorOf(network, 5, draft('mixnode', [EPOCH], { sphinxKeys }), 1);
    t.throws(() => parseDescriptor(JSON.stringify(descriptor)), refused(message));
    const [first, ...others] = records(EPOCH);
    const nodes = [{ ...first, sphinxKeys }, ...others];
    t.throws(() => parseConsensus(JSON.stringify({ ...consensusOf(network, EPOCH), nodes })), refused(message));
  }
});

t.test('a descriptor with one thing wrong is refused with one line about it', async (t) => {
  const mix = (extra: object) =>
    JSON.stringify({ ...descriptorOf(network, 5, draft('mixnode', [EPOCH, EPOCH + 1]), 1), ...extra });
  const exit = (extra: object) =>
    JSON.stringify({ ...descriptorOf(network, 5, draft('requester', [EPOCH]), 1), ...extra });
  const key = { epoch: EPOCH, key: key32(1) };
  const word = countersigned(network, 5);
  const cases: [string, string | RegExp][] = [
    ['', 'descriptor: is not JSON'],
    ['[]', /^descriptor: /],
    ['null', /^descriptor: /],
    [mix({ colour: 'red' }), 'descriptor: unknown key "colour"'],
    [mix({ gateways: [] }), 'descriptor: unknown key "gateways"'],
    [exit({ gateway: keys(3).id }), 'descriptor: unknown key "gateway"'],
    [exit({ layer: 1 }), 'descriptor: unknown key "layer"'],
    [exit({ host: '192.0.2.1' }), 'descriptor: unknown key "host"'],
    [mix({ version: undefined }), 'descriptor: version: expected document version 2'],
    [mix({ version: '2' }), 'descriptor: version: expected document version 2'],
    [mix({ role: 'king' }), 'descriptor: role: expected a role: mixnode, gateway or requester'],
    [mix({ layer: 0 }), 'descriptor: layer: expected layer 1, 2 or 3'],
    [mix({ layer: 4 }), 'descriptor: layer: expected layer 1, 2 or 3'],
    [mix({ port: 0 }), 'descriptor: port: expected a port from 1 to 65535'],
    [mix({ port: 65_536 }), 'descriptor: port: expected a port from 1 to 65535'],
    [mix({ port: 80.5 }), 'descriptor: port: expected a port'],
    [mix({ host: 'mix.example' }), 'descriptor: host: expected an IPv4 or IPv6 address'],
    [mix({ host: '0.0.0.0' }), 'descriptor: host: the unspecified address can not be dialled'],
    [mix({ host: '::' }), 'descriptor: host: the unspecified address can not be dialled'],
    [mix({ ipv6: { host: '192.0.2.9', port: 1 } }), 'descriptor: ipv6.host: expected an IPv6 address'],
    [mix({ ipv6: { host: '::ffff:192.0.2.9', port: 1 } }), 'descriptor: ipv6.host: expected an IPv6 address'],
    [mix({ ipv6: { host: '2001:db8::1', port: 0 } }), 'descriptor: ipv6.port: expected a port from 1 to 65535'],
    [mix({ ipv6: { host: '2001:db8::1', port: 1, more: 1 } }), 'descriptor: ipv6: unknown key "more"'],
    [
      mix({ host: '2001:db8::2', ipv6: { host: '2001:db8::1', port: 1 } }),
      'descriptor: ipv6: expected an IPv4 address as host beside it',
    ],
    [exit({ ipv6: { host: '2001:db8::1', port: 1 } }), 'descriptor: unknown key "ipv6"'],
    [mix({ identity: 'AB' }), 'descriptor: identity: expected 64 lower-case hex digits'],
    [mix({ identity: keys(5).id.toUpperCase() }), 'descriptor: identity: expected 64 lower-case hex digits'],
    [mix({ network: 7 }), /^descriptor: network: /],
    [mix({ publishedMs: 1.5 }), /^descriptor: publishedMs: /],
    [mix({ publishedMs: -1 }), /^descriptor: publishedMs: /],
    [mix({ sphinxKeys: [] }), 'descriptor: sphinxKeys: expected at least one key'],
    [mix({ sphinxKeys: [key, key] }), 'descriptor: sphinxKeys: expected keys of consecutive epochs, oldest first'],
    [mix({ sphinxKeys: [{ ...key, key: 'x' }] }), 'descriptor: sphinxKeys[0].key: expected 64 lower-case hex digits'],
    [mix({ sphinxKeys: [{ ...key, use: 1 }] }), 'descriptor: sphinxKeys[0]: unknown key "use"'],
    [
      mix({ sphinxKeys: [0, 1, 2, 3, 4].map((i) => ({ epoch: EPOCH + i, key: key32(i) })) }),
      'descriptor: sphinxKeys: expected at most 4 keys',
    ],
    [mix({ name: 'a b' }), /^descriptor: name: expected/],
    [mix({ name: 'x\n' }), /^descriptor: name: expected/],
    [mix({ family: '' }), /^descriptor: family: expected/],
    [exit({ gateways: undefined }), /^descriptor: gateways: /],
    [exit({ gateways: [] }), 'descriptor: gateways: expected at least one gateway'],
    [exit({ gateways: [word, word] }), 'descriptor: gateways: expected no gateway twice'],
    [
      exit({ gateways: [word, { ...word, gateway: keys(1).id }, { ...word, gateway: keys(2).id }] }),
      'descriptor: gateways: expected at most 2 gateways',
    ],
    [exit({ gateways: [keys(3).id] }), /^descriptor: gateways\[0\]: /],
    [exit({ gateways: [{ ...word, gateway: 'x' }] }), /^descriptor: gateways\[0\].gateway: expected 64 lower-case/],
    [exit({ gateways: [{ ...word, signature: 'x' }] }), /^descriptor: gateways\[0\].signature: expected 128/],
    [exit({ gateways: [{ ...word, madeMs: -1 }] }), /^descriptor: gateways\[0\].madeMs: /],
    [exit({ gateways: [{ ...word, more: 1 }] }), 'descriptor: gateways[0]: unknown key "more"'],
    [exit({ exitPolicy: 'x'.repeat(1025) }), 'descriptor: exitPolicy: expected at most 1024 characters'],
    [exit({ exitPolicy: 'a\nb' }), /^descriptor: exitPolicy: expected printable ASCII/],
    [exit({ accessTokenRequired: 'yes' }), /^descriptor: accessTokenRequired: /],
    [exit({ sessionVersions: { lowest: 4, highest: 3 } }), /^descriptor: sessionVersions: expected a highest version/],
    [exit({ sessionVersions: { lowest: 0, highest: 3 } }), /^descriptor: sessionVersions.lowest: /],
    [exit({ sessionVersions: { lowest: 3, highest: 65_536 } }), /^descriptor: sessionVersions.highest: /],
    [mix({ sessionVersions: { lowest: 3, highest: 3 } }), 'descriptor: unknown key "sessionVersions"'],
    [mix({ extensions: {} }), 'descriptor: extensions: expected at least one'],
    [mix({ extensions: { e: 'x'.repeat(MAX_EXTENSIONS_CHARS - 7) } }), /^descriptor: extensions: expected at most 96/],
    [mix({ extensions: { e: [1] } }), /^descriptor: extensions/],
    [mix({ extensions: { e: 'a\nb' } }), /^descriptor: extensions/],
    [mix({ extensions: { 'a b': 1 } }), /^descriptor: extensions/],
    [mix({ software: 'x'.repeat(MAX_DESCRIPTOR_BYTES) }), `descriptor: over ${MAX_DESCRIPTOR_BYTES} bytes`],
  ];
  for (const [payload, message] of cases) {
    t.throws(() => parseDescriptor(payload), refused(message), `${message}`);
    t.throws(() => parseDescriptor(payload), { message: /^[ -~]{1,200}$/ }, 'one line');
  }
});

t.test('a consensus that contradicts itself is refused', async (t) => {
  const text = (extra: object) => JSON.stringify(consensusOf(network, EPOCH, extra));
  t.same(parseConsensus(text({})), consensusOf(network, EPOCH));
  const [mix, , , gateway, exit] = records(EPOCH);
  if (mix === undefined || gateway === undefined || exit === undefined) throw new Error('no records');
  const cousin = { ...gateway, identity: `${mix.identity.slice(0, 16)}${'0'.repeat(48)}` as IdentityHex };
  const cases: [object, string | RegExp][] = [
    [{ epoch: EPOCH + 1 }, /validAfterMs: is not the start of the epoch/],
    [{ validAfterMs: 0 }, /validAfterMs: is not the start of the epoch/],
    [{ freshUntilMs: 0 }, /freshUntilMs: is not the end of the epoch/],
    [{ validUntilMs: 9e15 }, /validUntilMs: is not the end of the next epoch/],
    [{ nodes: [mix, cousin] }, /two identities share their first 8 bytes/],
    [{ nodes: [mix, mix] }, /two identities share their first 8 bytes/],
    [{ nodes: [exit] }, /requester-1 names a gateway not listed/],
    [{ nodes: [{ ...gateway, sphinxKeys: [{ epoch: EPOCH + 1, key: key32(1) }] }] }, /has no key for the epoch/],
    [{ nodes: [{ ...gateway, layer: 1 }] }, /nodes\[0\]: unknown key "layer"/],
    [{ nodes: Array(MAX_NODES + 1).fill(gateway) }, /nodes: expected at most 4096 nodes/],
    [{ more: 1 }, /unknown key "more"/],
  ];
  for (const [extra, message] of cases) t.throws(() => parseConsensus(text(extra)), refused(message), `${message}`);
  const params = (extra: object) => ({ params: { ...consensusOf(network, EPOCH).params, ...extra } });
  const rates = { mainRate: 1, replyRate: 1, loopRate: 1, dropRate: 1, deliveryRate: 2.4 };
  t.ok(parseConsensus(text(params({ classes: { standard: rates } }))), 'the least delivery rate');
  for (const extra of [
    { payloadBytes: 2047 },
    { meanDelayMs: -1 },
    { classes: {} },
    { classes: { standard: { ...rates, mainRate: 10_001 } } },
    { classes: { standard: { ...rates, moreRate: 1 } } },
    { classes: { standard: { ...rates, deliveryRate: 2.39 } } },
    { classes: { standard: { ...rates, deliveryRate: 24_001 } } },
    { classes: { standard: { ...rates, deliveryRate: undefined } } },
    { nodeLoopRate: 'fast' },
    { session: undefined },
    { session: { ...DEFAULT_SESSION_PARAMS, ackDelayMs: 1001 } },
    { session: { ...DEFAULT_SESSION_PARAMS, pingMs: 5000.5 } },
    { session: { ...DEFAULT_SESSION_PARAMS, skipEvery: undefined } },
    { session: { ...DEFAULT_SESSION_PARAMS, patienceMs: 1 } },
    { colour: 'red' },
  ]) {
    t.throws(() => parseConsensus(text(params(extra))), refused(/^consensus: params/), JSON.stringify(extra));
  }
});

t.test('parameters of sessions that contradict each other are refused, by members and by the authority', async (t) => {
  // As close as they may be; the second value less by one is a contradiction.
  const cases = [
    ['pingMs', 60_000, 'deadPeerMs', 120_000],
    ['minStreamWindowBytes', 100_000, 'streamWindowBytes', 100_000],
    ['streamWindowBytes', 300_000, 'sessionWindowBytes', 300_000],
    ['openTimeoutMs', 90_000, 'halfClosedIdleMs', 90_000],
    ['halfClosedIdleMs', 70_000, 'streamIdleMs', 70_000],
    ['identityIdleMs', 70_000, 'rotationMs', 70_000],
  ] as const;
  t.equal(cases.length, SESSION_ORDERS.length);
  const { params } = consensusOf(network, EPOCH);
  const documentOf = (session: object) =>
    JSON.stringify({
      ...consensusOf(network, EPOCH),
      params: { ...params, session: { ...params.session, ...session } },
    });
  const configOf = (session: object) =>
    DirectoryConfig.parse({
      dir: '/tmp',
      ...Object.fromEntries(
        Object.entries(session).map(([name, value]) => [sessionOptionName(name as SessionParamName), value]),
      ),
    });
  for (const [less, low, more, high] of cases) {
    const [fitting, contradictory] = [0, 1].map((by) => ({ [less]: low, [more]: high - by }));
    t.ok(parseConsensus(documentOf(fitting ?? {})), `${more} of ${high}`);
    t.match(networkParams(configOf(fitting ?? {}), network).session, fitting ?? {});
    const line = (of: string, from: string) =>
      new RegExp(`${of} is ${high - 1}: .+; set it to ${high} or more .*${from}`);
    t.throws(() => parseConsensus(documentOf(contradictory ?? {})), refused(line(more, less)));
    t.throws(() => networkParams(configOf(contradictory ?? {}), network), {
      code: 'CONFIG',
      message: line(sessionOptionName(more), sessionOptionName(less)),
    });
  }
});

t.test('a document of another version is refused with a line that names both versions', async (t) => {
  const descriptor = descriptorOf(network, 5, draft('mixnode', [EPOCH, EPOCH + 1]), 1);
  for (const version of [1, 3]) {
    const line = (kind: string, remedy: string) =>
      new DocumentRefused('version', `${kind}: has version ${version}, and this program reads version 2; ${remedy}`);
    const [older, ours] = ['update the older one', version > 2 ? 'update mixsocks' : 'update the older one'];
    const unknown = { version, keyOfThatVersion: 1 };
    t.throws(() => parseDescriptor(JSON.stringify({ ...descriptor, ...unknown })), line('descriptor', older));
    t.throws(
      () => parseConsensus(JSON.stringify({ ...consensusOf(network, EPOCH), ...unknown })),
      line('consensus', ours),
    );
    t.throws(() => parseVote(JSON.stringify(unknown)), line('vote', ours));
    t.throws(() => parseBallot(JSON.stringify(unknown)), line('ballot', ours));
    t.throws(() => parseSheet(JSON.stringify(unknown)), line('sheet', ours));
  }
});

t.test('a document of a full network fits, and a larger one is refused unread', async (t) => {
  const longest = {
    identity: keys(1).id,
    role: 'requester',
    gateways: [keys(3).id, keys(2).id],
    name: 'n'.repeat(64),
    software: 's'.repeat(64),
    family: 'f'.repeat(64),
    exitPolicy: 'p'.repeat(1024),
    accessTokenRequired: false,
    sessionVersions: { lowest: 65_534, highest: 65_535 },
    extensions: { e: 'x'.repeat(MAX_EXTENSIONS_CHARS - 8) },
    sphinxKeys: [1e12, 1e12 + 1].map((epoch) => ({ epoch, key: key32(1) })),
  };
  t.ok(MAX_NODES * (JSON.stringify(longest).length + 1) + 4096 <= MAX_CONSENSUS_BYTES);
  const spaces = ' '.repeat(MAX_CONSENSUS_BYTES + 1);
  t.throws(
    () => parseConsensus(spaces),
    new DocumentRefused('oversize', `consensus: over ${MAX_CONSENSUS_BYTES} bytes`),
  );
  const long = ' '.repeat(envelopeBytes(100) + 1);
  t.throws(() => parseEnvelope('consensus', long, 100), refused(`consensus: over ${envelopeBytes(100)} bytes`));
});

t.test('an envelope that is not well-formed is refused', async (t) => {
  const cases: [string, RegExp][] = [
    ['x', /is not JSON/],
    ['{}', /payload/],
    ['{"payload":"","signatures":[],"more":1}', /unknown key "more"/],
    ['{"payload":"\\ud800","signatures":[]}', /payload: is not well-formed text/],
    ['{"payload":"","signatures":[{"signer":"","signature":""}]}', /signatures\[0\].signer: expected 64/],
    [
      `{"payload":"","signatures":[${Array(65).fill(`{"signer":"${key32(1)}","signature":"${key32(1)}${key32(1)}"}`)}]}`,
      /at most 64/,
    ],
  ];
  for (const [text, message] of cases) {
    t.throws(() => parseEnvelope('consensus', text, 1000), refused(message));
  }
});

t.test('a topology finds nodes by layer, role, address, identity and prefix', async (t) => {
  const topology = new Topology(consensusOf(network, EPOCH));
  t.same(
    topology.layers.map((layer) => layer.map((node) => node.layer)),
    [[1], [2], [3]],
  );
  t.same(
    topology.gateways.map((node) => node.id),
    [keys(3).id],
  );
  t.same(
    topology.requesters.map((node) => node.id),
    [keys(4).id],
  );
  for (const node of topology.nodes) {
    t.equal(topology.byId(node.id), node);
    t.equal(topology.byPrefix(Buffer.from(node.address.subarray(0, 8)).toString('latin1')), node);
    t.equal(toHex(node.address), node.id);
    t.equal(toHex(node.sphinxKey(epochNumber(EPOCH)) ?? new Uint8Array()), key32(EPOCH + 1));
    t.equal(toHex(node.sphinxKey(epochNumber(EPOCH + 1)) ?? new Uint8Array()), key32(EPOCH + 2));
    t.equal(node.sphinxKey(epochNumber(EPOCH + 2)), undefined);
    t.equal(node.sphinxKey(epochNumber(EPOCH - 1)), undefined);
  }
  const [exit] = topology.requesters;
  t.match(exit, { gateways: [keys(3).id], exitPolicy: 'accept *:443', accessTokenRequired: true, host: '', port: 0 });
  t.equal(topology.layers[1]?.[0]?.family, 'acme');
  t.equal(topology.byId(keys(9).id), undefined);
  t.equal(topology.byPrefix('\0'.repeat(8)), undefined);
});

t.test('network.json has defaults and is strict; a fault gives one clear line', async (t) => {
  const authority = { id: keys(1).id, url: 'http://192.0.2.1:8080' };
  const good = { name: 'mine', authorities: [authority], threshold: 1 };
  t.same(parseNetworkFile(JSON.stringify(good)), { ...good, epochSeconds: 3600, payloadBytes: 2048 });
  const cases: [object, RegExp][] = [
    [{ ...good, colour: 'red' }, /^F: unknown key "colour"$/],
    [{ ...good, authorities: [] }, /^F: authorities: expected at least one authority$/],
    [{ ...good, authorities: [authority, authority] }, /^F: authorities: an identity is listed twice$/],
    [{ ...good, threshold: 2 }, /^F: threshold: is more than there are authorities$/],
    [{ ...good, threshold: 0 }, /^F: threshold: /],
    [{ ...good, payloadBytes: 1000 }, /^F: payloadBytes: expected one of 2048/],
    [{ ...good, epochSeconds: 1 }, /^F: epochSeconds: /],
    [{ ...good, name: '' }, /^F: name: /],
    [
      { ...good, authorities: [{ ...authority, id: 'x' }] },
      /^F: authorities\[0\]\.id: expected 64 lower-case hex digits$/,
    ],
    [{ ...good, authorities: [{ ...authority, url: 'ftp://x' }] }, /^F: authorities\[0\]\.url: expected a URL/],
    [{ ...good, authorities: [{ ...authority, url: 'http://u:p@x/' }] }, /^F: authorities\[0\]\.url: expected a URL/],
  ];
  for (const [value, message] of cases) {
    t.throws(() => parseNetworkFile(JSON.stringify(value), 'F'), { code: 'DOCUMENT', message }, `${message}`);
  }
  t.throws(() => parseNetworkFile('{', 'F'), { code: 'DOCUMENT', message: 'F: is not JSON' });
});

t.test('the id of a network depends on all that its members must agree on, and on nothing else', async (t) => {
  const two = testNetwork(2, 1);
  const id = (change: object) => toHex(networkId({ ...two, ...change }, crypto));
  const [a, b] = two.authorities;
  if (a === undefined || b === undefined) throw new Error('two authorities');
  t.equal(id({}).length, 64);
  t.equal(id({ authorities: [b, a] }), id({}), 'not on their order');
  t.equal(id({ authorities: [{ ...a, url: 'http://moved.example' }, b] }), id({}), 'nor on where they are');
  const others = [
    { name: 'other' },
    { threshold: 2 },
    { epochSeconds: 61 },
    { payloadBytes: 8192 },
    { authorities: [a] },
  ];
  t.equal(new Set([id({}), ...others.map(id)]).size, others.length + 1);
  const fixed = { ...two, name: 'test', epochSeconds: 3600, authorities: [{ id: key32(1) as IdentityHex, url: '' }] };
  t.equal(
    toHex(networkId(fixed, crypto)),
    toHex(
      crypto.sha256(
        Buffer.from(
          `${Buffer.from('mixsocks/network/v1\0').toString('hex')}0474657374` +
            `00000e10${'00000800'}${'00000001'}${'00000001'}${key32(1)}`,
          'hex',
        ),
      ),
    ),
    'as docs/PROTOCOL.md says',
  );
});

t.test('nodes of a network with large packets send fewer loops, unless its authority says how many', async (t) => {
  const config = DirectoryConfig.parse({ dir: '/tmp' });
  const large = { ...network, payloadBytes: 32_768 };
  t.equal(networkParams(config, network).nodeLoopRate, 10);
  t.equal(networkParams(config, large).nodeLoopRate, 2);
  t.equal(networkParams({ ...config, nodeLoopRate: 7 }, large).nodeLoopRate, 7);
  t.equal(networkParams({ ...config, nodeLoopRate: 0 }, large).nodeLoopRate, 0);
});
