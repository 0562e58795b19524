/**
 * The documents in the vectors of the directory: one network with a node of each kind, and what is wrong with others.
 * @module
 */
import { fromHex, type IdentityHex, toHex } from '../../../lib/core/bytes.ts';
import { DEFAULT_SESSION_PARAMS } from '../../../lib/core/session-params.ts';
import type { UnixMs } from '../../../lib/core/units.ts';
import { createCrypto } from '../../../lib/crypto/index.ts';
import { encodeEnvelope, type Signature, sign } from '../../../lib/directory/envelope.ts';
import { countersign, networkId, parseNetworkFile } from '../../../lib/directory/index.ts';
import { fixed, fixedHex, type Json } from '../kind.ts';

type Fields = Readonly<Record<string, Json>>;

const crypto = createCrypto('fastest');
const EPOCH = 500_000;
const EPOCH_MS = 3_600_000;
const START_MS = EPOCH * EPOCH_MS;

/** The identity whose seed is SHAKE256 of a label. */
export function identityOf(label: string): IdentityHex {
  return toHex(crypto.ed25519PublicKey(fixed(label))) as IdentityHex;
}

const authority = (label: string, url = 'http://192.0.2.1:8080') => ({ id: identityOf(label), url });
const ALICE = authority('authority alice');
const BOB = authority('authority bob', 'https://bob.example/mixsocks');

export const NETWORK: Fields = {
  name: 'vectors',
  epochSeconds: 3600,
  payloadBytes: 2048,
  authorities: [ALICE, BOB],
  threshold: 2,
};

export const NETWORKS: Readonly<Record<string, Json>> = {
  'two authorities': { network: NETWORK },
  'the order of authorities and their URLs do not matter': {
    network: { ...NETWORK, authorities: [authority('authority bob'), ALICE] },
  },
  'epochSeconds and payloadBytes absent': { network: { name: 'a', authorities: [ALICE], threshold: 1 } },
  'the longest name, another size and length': {
    network: {
      ...NETWORK,
      name: `a${'.-_9'.repeat(15)}xyz`,
      epochSeconds: 604_800,
      payloadBytes: 32_768,
      threshold: 1,
    },
  },
  'refused: threshold above the number of authorities': { network: { ...NETWORK, threshold: 3 } },
  'refused: threshold 0': { network: { ...NETWORK, threshold: 0 } },
  'refused: an authority twice': { network: { ...NETWORK, authorities: [ALICE, ALICE] } },
  'refused: a name that begins with a dot': { network: { ...NETWORK, name: '.a' } },
  'refused: epochs of 4 s': { network: { ...NETWORK, epochSeconds: 4 } },
  'refused: a payload size of its own': { network: { ...NETWORK, payloadBytes: 4096 } },
  'refused: a URL with a query': {
    network: { ...NETWORK, authorities: [authority('authority alice', 'http://a/?b')] },
  },
  'refused: upper-case hex': {
    network: { ...NETWORK, authorities: [{ ...ALICE, id: ALICE.id.toUpperCase() }], threshold: 1 },
  },
  'refused: an unknown key': { network: { ...NETWORK, color: 'red' } },
};

function signed(type: 'descriptor' | 'consensus', payload: string, ...labels: string[]): Signature[] {
  return labels.map((label) => sign(type, payload, fixed(label), crypto));
}

const A = identityOf('signer a');
const B = identityOf('signer b');
const PAYLOAD = '{"a":1}';
const both = signed('consensus', PAYLOAD, 'signer a', 'signer b');
const signedSample = (signatures: readonly Signature[], payload = PAYLOAD): Json => ({
  type: 'consensus',
  allowed: [A, B],
  envelope: encodeEnvelope({ payload, signatures }),
});
/** y = 1: the neutral element, under which a signature of zeros and itself would hold with the cofactor. */
const NEUTRAL = `01${'00'.repeat(31)}` as IdentityHex;

export const SIGNED: Readonly<Record<string, Json>> = {
  'two signatures': signedSample(both),
  'one of them twice': signedSample([both[0]!, both[0]!]),
  'a stranger among them': signedSample([...signed('consensus', PAYLOAD, 'stranger'), ...both]),
  'a bad one does not spoil the other': signedSample([{ ...both[0]!, signature: both[1]!.signature }, both[1]!]),
  'made under another type': signedSample(signed('descriptor', PAYLOAD, 'signer a')),
  'over another payload': signedSample(both, '{"a":2}'),
  'no signature': signedSample([]),
  'a key of small order': {
    type: 'consensus',
    allowed: [NEUTRAL],
    envelope: encodeEnvelope({
      payload: PAYLOAD,
      signatures: [{ signer: NEUTRAL, signature: NEUTRAL + '00'.repeat(32) }],
    }),
  },
  'refused: a signature in upper case': signedSample([{ ...both[0]!, signature: both[0]!.signature.toUpperCase() }]),
  'refused: an unknown key': {
    type: 'consensus',
    allowed: [A],
    envelope: JSON.stringify({ payload: PAYLOAD, signatures: [], more: 1 }),
  },
  'refused: an unpaired surrogate': {
    type: 'consensus',
    allowed: [A],
    envelope: '{"payload":"\\ud800","signatures":[]}',
  },
};

const NETWORK_ID = toHex(networkId(parseNetworkFile(JSON.stringify(NETWORK)), crypto));

function sphinxKeys(label: string, ...epochs: number[]): Json {
  return epochs.map((epoch) => ({ epoch, key: toHex(crypto.x25519Base(fixed(`${label} key ${epoch}`))) }));
}

interface Node {
  readonly label: string;
  readonly role: string;
  readonly fields: Fields;
}

const listening = (n: number): Fields => ({ host: `192.0.2.${n}`, port: 4000 + n });
const mix = (layer: number): Node => ({
  label: `mix ${layer}`,
  role: 'mixnode',
  fields: { layer, ...listening(layer) },
});
const GATEWAY: Node = { label: 'gateway 1', role: 'gateway', fields: { host: '2001:db8::1', port: 443 } };
/** The word of a gateway that it serves `client`. */
function countersignature(gateway: string, client: string): Fields {
  const bytes = countersign(
    fromHex(NETWORK_ID, 32) as Uint8Array,
    Buffer.from(identityOf(client), 'hex'),
    (START_MS - 3_600_000) as UnixMs,
    fixed(gateway),
    crypto,
  );
  return { gateway: identityOf(gateway), madeMs: START_MS - 3_600_000, signature: toHex(bytes.subarray(8)) };
}

const WORD = countersignature('gateway 1', 'requester 1');
const REQUESTER: Node = {
  label: 'requester 1',
  role: 'requester',
  fields: { gateways: [WORD], exitPolicy: 'accept 80,443', accessTokenRequired: false },
};
const NODES = [mix(1), mix(2), mix(3), GATEWAY, REQUESTER];

function descriptorOf({ label, role, fields }: Node, extra: Fields = {}): Fields {
  return {
    version: 2,
    network: NETWORK_ID,
    identity: identityOf(label),
    publishedMs: START_MS - 600_000,
    role,
    name: label.replace(' ', '-'),
    sphinxKeys: sphinxKeys(label, EPOCH - 1, EPOCH, EPOCH + 1),
    ...fields,
    ...extra,
  };
}

function descriptorSample(node: Node, extra: Fields = {}, signer = node.label): Json {
  const payload = JSON.stringify(descriptorOf(node, extra));
  return { network: NETWORK, envelope: encodeEnvelope({ payload, signatures: signed('descriptor', payload, signer) }) };
}

function without(node: Node, key: string): Json {
  const { [key]: _gone, ...rest } = descriptorOf(node);
  const payload = JSON.stringify(rest);
  const signatures = signed('descriptor', payload, node.label);
  return { network: NETWORK, envelope: encodeEnvelope({ payload, signatures }) };
}

const oneKey = (key: string): Fields => ({ sphinxKeys: [{ epoch: EPOCH, key }] });
const loops = (...results: Json[]): Fields => ({ loops: results });

export const DESCRIPTORS: Readonly<Record<string, Json>> = {
  'a mixnode': descriptorSample(mix(1), { family: 'acme', software: 'mixsocks 0.1.0' }),
  'a gateway on IPv6, with loop results': descriptorSample(
    GATEWAY,
    loops(['0000000000000000', 1, 0], ['00000000000000ff', 1_000_000, 1_000_000]),
  ),
  'a mixnode with its capacity': descriptorSample(mix(1), { capacity: 2172, shed: 0 }),
  'a gateway with the greatest capacity': descriptorSample(GATEWAY, { capacity: 897_793, shed: 100 }),
  'a gateway for invited clients': descriptorSample(GATEWAY, { clients: 'invited' }),
  'refused: a gateway for clients of no kind': descriptorSample(GATEWAY, { clients: 'open' }),
  'refused: a mix for invited clients': descriptorSample(mix(1), { clients: 'invited' }),
  'refused: a capacity between two steps': descriptorSample(mix(1), { capacity: 2173 }),
  'refused: a capacity of 0': descriptorSample(mix(1), { capacity: 0 }),
  'refused: a share shed that is no step': descriptorSample(mix(1), { shed: 3 }),
  'refused: the capacity of a requester': descriptorSample(REQUESTER, { capacity: 2172 }),
  'a requester': descriptorSample(REQUESTER),
  'a requester at two gateways': descriptorSample(REQUESTER, {
    gateways: [WORD, countersignature('gateway 2', 'requester 1')],
  }),
  'refused: the countersignature is for another requester': descriptorSample(REQUESTER, {
    gateways: [countersignature('gateway 1', 'requester 2')],
  }),
  'refused: the countersignature is of another gateway': descriptorSample(REQUESTER, {
    gateways: [{ ...WORD, gateway: identityOf('gateway 2') }],
  }),
  'refused: the countersignature is of another time': descriptorSample(REQUESTER, {
    gateways: [{ ...WORD, madeMs: START_MS }],
  }),
  'refused: a requester without a gateway': descriptorSample(REQUESTER, { gateways: [] }),
  'refused: a gateway twice': descriptorSample(REQUESTER, { gateways: [WORD, WORD] }),
  'refused: a requester at three gateways': descriptorSample(REQUESTER, {
    gateways: ['gateway 1', 'gateway 2', 'gateway 3'].map((one) => countersignature(one, 'requester 1')),
  }),
  'refused: signed by another': descriptorSample(mix(1), {}, 'mix 2'),
  'refused: of another network': descriptorSample(mix(1), { network: fixedHex('another network') }),
  'refused: another version': descriptorSample(mix(1), { version: 1 }),
  'refused: an unknown key': descriptorSample(mix(1), { color: 'red' }),
  'a mix that leaves its layer to the authorities': without(mix(1), 'layer'),
  'refused: layer 4': descriptorSample(mix(1), { layer: 4 }),
  'refused: a name as host': descriptorSample(mix(1), { host: 'mix.example' }),
  'refused: the unspecified address': descriptorSample(mix(1), { host: '0.0.0.0' }),
  'a mix with an IPv6 address besides': descriptorSample(mix(1), { ipv6: { host: '2001:db8::2', port: 4002 } }),
  'refused: an IPv4 address as ipv6': descriptorSample(mix(1), { ipv6: { host: '192.0.2.2', port: 4002 } }),
  'refused: two IPv6 addresses': descriptorSample(GATEWAY, { ipv6: { host: '2001:db8::2', port: 4002 } }),
  'refused: a list of addresses': descriptorSample(mix(1), { ipv6: [{ host: '2001:db8::2', port: 4002 }] }),
  'refused: port 0': descriptorSample(mix(1), { port: 0 }),
  'refused: a time with a fraction': descriptorSample(mix(1), { publishedMs: START_MS + 0.5 }),
  'refused: keys of epochs with a gap': descriptorSample(mix(1), { sphinxKeys: sphinxKeys('mix 1', EPOCH, EPOCH + 2) }),
  'refused: five keys': descriptorSample(mix(1), {
    sphinxKeys: sphinxKeys('mix 1', EPOCH, EPOCH + 1, EPOCH + 2, EPOCH + 3, EPOCH + 4),
  }),
  'refused: a key of small order': descriptorSample(mix(1), oneKey('00'.repeat(32))),
  'refused: the same with its top bit set': descriptorSample(mix(1), oneKey(`${'00'.repeat(31)}80`)),
  'refused: a text with a quote': descriptorSample(mix(1), { software: '"' }),
  'a mix with its arrivals': descriptorSample(mix(1), { arrivalsPerSecond: 121 }),
  'a mix without arrivals for an epoch': descriptorSample(mix(1), { arrivalsPerSecond: 0 }),
  'refused: arrivals that are no step': descriptorSample(mix(1), { arrivalsPerSecond: 122 }),
  'refused: arrivals of a gateway': descriptorSample(GATEWAY, { arrivalsPerSecond: 121 }),
  'refused: loop results of a requester': descriptorSample(REQUESTER, loops()),
  'refused: loop results out of order': descriptorSample(
    GATEWAY,
    loops(['00000000000000ff', 1, 0], ['0000000000000000', 1, 0]),
  ),
  'refused: more loops back than sent': descriptorSample(GATEWAY, loops(['0000000000000000', 1, 2])),
};

const RATES: Fields = { mainRate: 50, replyRate: 100, loopRate: 5, dropRate: 1, deliveryRate: 126 };
export const PARAMS: Fields = {
  payloadBytes: 2048,
  meanDelayMs: 15.5,
  maxDelayMs: 10_000,
  epochMs: EPOCH_MS,
  nodeLoopRate: 10,
  minCapacity: 0,
  mixingTarget: 0,
  clients: 'open',
  classes: { standard: RATES, fast: { ...RATES, mainRate: 200, replyRate: 500, deliveryRate: 632.5 } },
  session: { ...DEFAULT_SESSION_PARAMS },
};

function recordOf(node: Node, extra: Fields = {}): Fields {
  const { version: _version, network: _network, publishedMs: _published, ...record } = descriptorOf(node);
  const gateways = node === REQUESTER ? { gateways: [identityOf('gateway 1')] } : {};
  return { ...record, ...gateways, sphinxKeys: sphinxKeys(node.label, EPOCH, EPOCH + 1), ...extra };
}

const byIdentity = (a: Fields, b: Fields) => (String(a.identity) < String(b.identity) ? -1 : 1);
const RECORDS = NODES.map((node) => recordOf(node)).sort(byIdentity);

function consensusSample(extra: Fields = {}, signers = ['authority alice', 'authority bob']): Json {
  const payload = JSON.stringify({
    version: 2,
    network: NETWORK_ID,
    epoch: EPOCH,
    validAfterMs: START_MS,
    freshUntilMs: START_MS + EPOCH_MS,
    validUntilMs: START_MS + 2 * EPOCH_MS,
    params: PARAMS,
    nodes: RECORDS,
    ...extra,
  });
  return {
    network: NETWORK,
    envelope: encodeEnvelope({ payload, signatures: signed('consensus', payload, ...signers) }),
  };
}

const params = (extra: Fields): Fields => ({ params: { ...PARAMS, ...extra } });
const GATEWAYS = [1, 2, 3].map((n) => ({ ...GATEWAY, label: `gateway ${n}` }));
const marked = (count: number): Fields => ({
  nodes: [
    ...RECORDS.filter(({ role }) => role !== 'gateway'),
    ...GATEWAYS.map((node, i) => recordOf(node, i < count ? { lossy: true } : {})),
  ],
});

export const CONSENSUSES: Readonly<Record<string, Json>> = {
  'five nodes, two signatures': consensusSample(),
  'delays without maximum and mean, no cover': consensusSample(
    params({
      meanDelayMs: 0,
      maxDelayMs: 0,
      nodeLoopRate: 0,
      classes: { standard: { ...RATES, loopRate: 0, dropRate: 0 } },
    }),
  ),
  'no nodes': consensusSample({ nodes: [] }),
  'nodes in another order': consensusSample({ nodes: RECORDS.toReversed() }),
  'one gateway of three marked': consensusSample(marked(1)),
  'refused: two gateways of three marked': consensusSample(marked(2)),
  'a mix that sheds, and a gateway with a number of clients': consensusSample({
    nodes: RECORDS.map((one) =>
      one.role === 'gateway' ? { ...one, maxClients: 40 } : one.layer === 1 ? { ...one, shed: 5 } : one,
    ),
  }),
  'refused: a share shed of 0': consensusSample({
    nodes: RECORDS.map((one) => (one.role === 'mixnode' ? { ...one, shed: 0 } : one)),
  }),
  'refused: a number of clients of a mix': consensusSample({
    nodes: RECORDS.map((one) => (one.role === 'mixnode' ? { ...one, maxClients: 40 } : one)),
  }),
  'refused: a negative number of clients': consensusSample({
    nodes: RECORDS.map((one) => (one.role === 'gateway' ? { ...one, maxClients: -1 } : one)),
  }),
  'refused: a record with its capacity': consensusSample({
    nodes: RECORDS.map((one) => (one.role === 'mixnode' ? { ...one, capacity: 2172 } : one)),
  }),
  'a mixing target': consensusSample(params({ mixingTarget: 66 })),
  'a private network': consensusSample(params({ clients: 'invited' })),
  'refused: clients of no kind': consensusSample(params({ clients: 'closed' })),
  'refused: a mixing target with a fraction': consensusSample(params({ mixingTarget: 0.5 })),
  'refused: a mixing target above 100,000': consensusSample(params({ mixingTarget: 100_001 })),
  'refused: minCapacity with a fraction': consensusSample(params({ minCapacity: 0.5 })),
  'refused: minCapacity missing': consensusSample({
    params: Object.fromEntries(Object.entries(PARAMS).filter(([key]) => key !== 'minCapacity')),
  }),
  'refused: one signature of two': consensusSample({}, ['authority alice']),
  'refused: one authority twice': consensusSample({}, ['authority alice', 'authority alice']),
  'refused: times of another epoch': consensusSample({ validAfterMs: START_MS + 1 }),
  'refused: valid for three epochs': consensusSample({ validUntilMs: START_MS + 3 * EPOCH_MS }),
  'refused: another payload size than network.json': consensusSample(params({ payloadBytes: 8192 })),
  'refused: a mean delay above 600,000 ms': consensusSample(params({ meanDelayMs: 600_001 })),
  'refused: a negative rate': consensusSample(params({ nodeLoopRate: -1 })),
  'refused: no class standard': consensusSample(params({ classes: { fast: RATES } })),
  'refused: the version before': consensusSample({ version: 1 }),
  'refused: a delivery rate below 1.2 times replies and loops': consensusSample(
    params({ classes: { standard: { ...RATES, deliveryRate: 125.9 } } }),
  ),
  'refused: a parameter of sessions out of its range': consensusSample(
    params({ session: { ...DEFAULT_SESSION_PARAMS, ackDelayMs: 1001 } }),
  ),
  'refused: deadPeerMs below twice pingMs': consensusSample(
    params({ session: { ...DEFAULT_SESSION_PARAMS, deadPeerMs: 119_999, pingMs: 60_000 } }),
  ),
  'refused: a parameter of sessions missing': consensusSample(params({ session: { ackDelayMs: 20 } })),
  'refused: a class with a rate missing': consensusSample(params({ classes: { standard: { mainRate: 1 } } })),
  'refused: two identities with the same first 8 bytes': consensusSample({
    nodes: [...RECORDS, recordOf(GATEWAY, { identity: identityOf('gateway 1').slice(0, 16) + '00'.repeat(24) })],
  }),
  'refused: a node without a key for the epoch': consensusSample({
    nodes: RECORDS.map((one) => ({ ...one, sphinxKeys: sphinxKeys('late', EPOCH + 1) })),
  }),
  'refused: a requester whose gateway is not listed': consensusSample({
    nodes: RECORDS.filter(({ role }) => role !== 'gateway'),
  }),
  'refused: a requester with one gateway that is listed and one that is not': consensusSample({
    nodes: RECORDS.map((one) =>
      one.role === 'requester' ? { ...one, gateways: [identityOf('gateway 1'), identityOf('gateway 2')] } : one,
    ),
  }),
  'refused: a record with countersignatures': consensusSample({
    nodes: RECORDS.map((one) => (one.role === 'requester' ? { ...one, gateways: [WORD] } : one)),
  }),
  'refused: a record with the time of a descriptor': consensusSample({
    nodes: RECORDS.map((one) => ({ ...one, publishedMs: 1 })),
  }),
};
