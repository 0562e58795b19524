/**
 * The documents of the directory: what a node says of itself (descriptor) and what the authorities say of all
 * (consensus). Strict schemas: an unknown key or a value out of range is refused, so that two implementations can not
 * read one document differently.
 * @module
 */

import { z } from 'zod';
import { identityHex } from '../config/fields.ts';
import { prefixOf } from '../core/bytes.ts';
import type { NetworkParams } from '../core/params.ts';
import { epochNumber, type UnixMs } from '../core/units.ts';
import type { VersionRange } from '../core/version-range.ts';
import { isSmallOrderPoint } from '../crypto/index.ts';
import { parseAddress } from '../net/address-policy.ts';
import { listedMaxClients, listedShed, publishedArrivals, publishedCapacity } from './capacity.ts';
import {
  DOCUMENT_VERSION,
  DOCUMENT_VERSIONS,
  offeredSessions,
  parseDocument,
  withExtensions,
} from './document-versions.ts';
import { signatureHex } from './envelope.ts';
import { label, networkParams } from './network-params.ts';
import { DocumentRefused, parseJson } from './refusal.ts';
import { isLossy, mostLossy, ringOf } from './ring.ts';

/** Bytes of a descriptor's payload: all its fields at their longest fit. */
export const MAX_DESCRIPTOR_BYTES = 24 * 1024;
/** Bytes of a consensus' payload: MAX_NODES of the longest records fit. */
export const MAX_CONSENSUS_BYTES = 8 * 1024 * 1024;
/** Nodes in a consensus, and descriptors an authority keeps. */
export const MAX_NODES = 4096;
/** Sphinx keys in one record: this epoch, the next, and the one after it when announced shortly before a turn. */
export const MAX_SPHINX_KEYS = 4;
/** Nodes that one descriptor has loop results of. */
export const MAX_LOOP_RESULTS = 512;
/** Loops over one node in a descriptor. */
export const MAX_LOOPS_REPORTED = 1_000_000;
/** Bytes of the list of all descriptors that an authority holds: `GET /descriptors` (docs/PROTOCOL.md section 4.5). */
export const MAX_DESCRIPTOR_LIST_BYTES = 32 * 1024 * 1024;
/** Gateways of a requester. */
export const MAX_REQUESTER_GATEWAYS = 2;

export const hex32 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits');
/** Printable ASCII without quotes and backslashes: nothing in a document needs escaping, or can forge a log line. */
const plainText = (max: number) =>
  z
    .string()
    .max(max, `expected at most ${max} characters`)
    .regex(/^[ !#-[\]-~]*$/, 'expected printable ASCII without quotes and backslashes');
const wallMs = z
  .int('expected whole milliseconds')
  .min(0)
  .max(Number.MAX_SAFE_INTEGER)
  .transform((value) => value as UnixMs);
export const epochField = z
  .int('expected a whole number')
  .min(0)
  .max(2 ** 40)
  .transform(epochNumber);

/**
 * Where a node listens. An address, not a name: a client that resolved names to reach the network would show that to
 * its resolver.
 */
const nodeHost = z
  .union([z.ipv4(), z.ipv6()], 'expected an IPv4 or IPv6 address')
  .refine((host) => host !== '0.0.0.0' && !/^[0:]+$/.test(host), 'the unspecified address can not be dialled');
const nodePort = z
  .int('expected a port')
  .min(1, 'expected a port from 1 to 65535')
  .max(65535, 'expected a port from 1 to 65535');

/** One of IPv4 inside one of IPv6 would be a second address of the same family. */
function isPureIpv6(host: string): boolean {
  return parseAddress(host)?.family === 6;
}

/** Of two addresses that a node has the first is the one over IPv4: so there is one way to write them. */
function isIpv4First(node: { readonly role: string; readonly host?: string; readonly ipv6?: object }): boolean {
  return node.ipv6 === undefined || parseAddress(node.host ?? '')?.family === 4;
}
const IPV4_FIRST = { path: ['ipv6'], error: 'expected an IPv4 address as host beside it' };

/** One key of small order in a consensus would stop everybody who draws a route over its node. */
const publicKey = hex32.refine(
  (key) => !isSmallOrderPoint(Buffer.from(key, 'hex')),
  'expected an X25519 key that is not of small order',
);
const sphinxKey = z.strictObject({ epoch: epochField, key: publicKey });
const sphinxKeys = z
  .array(sphinxKey)
  .min(1, 'expected at least one key')
  .max(MAX_SPHINX_KEYS, `expected at most ${MAX_SPHINX_KEYS} keys`)
  .refine(
    (keys) => keys.every((key, i) => i === 0 || key.epoch === (keys[i - 1]?.epoch ?? 0) + 1),
    'expected keys of consecutive epochs, oldest first',
  );

/** Of the own loops that crossed the node with this prefix: how many were sent, and how many came back. */
const loopResult = z
  .tuple([
    z.string().regex(/^[0-9a-f]{16}$/, 'expected 16 lower-case hex digits'),
    z.int().min(1).max(MAX_LOOPS_REPORTED),
    z.int().min(0).max(MAX_LOOPS_REPORTED),
  ])
  .refine(([, sent, returned]) => returned <= sent, 'expected no more loops returned than sent');
const loopResults = z
  .array(loopResult)
  .max(MAX_LOOP_RESULTS, `expected at most ${MAX_LOOP_RESULTS} loop results`)
  .refine(
    (results) => results.every(([node], i) => i === 0 || node > (results[i - 1]?.[0] ?? '')),
    'expected loop results by node, in ascending order',
  );

const common = {
  name: label,
  sphinxKeys,
  software: plainText(64).exactOptional(),
  family: label.exactOptional(),
  ...withExtensions,
};
const listening = {
  host: nodeHost,
  port: nodePort,
  ipv6: z
    .strictObject({ host: nodeHost.refine(isPureIpv6, 'expected an IPv6 address'), port: nodePort })
    .exactOptional(),
};
const layer = z.literal([1, 2, 3], 'expected layer 1, 2 or 3');
const mixnode = { role: z.literal('mixnode'), ...listening, ...common };
/** Of a mix: without it the authorities choose. */
const chosenLayer = { layer: layer.exactOptional() };
/** One that lets in invited clients only is no guard for others. */
const gateway = { role: z.literal('gateway'), ...listening, ...common, clients: z.literal('invited').exactOptional() };
const requester = {
  role: z.literal('requester'),
  exitPolicy: plainText(1024).exactOptional(),
  accessTokenRequired: z.boolean().exactOptional(),
  ...offeredSessions,
  ...common,
};

/** A gateway of a requester, and its word that it serves it. */
const countersignature = z.strictObject({
  gateway: identityHex,
  madeMs: wallMs,
  signature: signatureHex,
});
const oneOrTwo = <Item>(item: z.ZodType<Item>, idOf: (item: Item) => string) =>
  z
    .array(item)
    .min(1, 'expected at least one gateway')
    .max(MAX_REQUESTER_GATEWAYS, `expected at most ${MAX_REQUESTER_GATEWAYS} gateways`)
    .refine((items) => new Set(items.map(idOf)).size === items.length, 'expected no gateway twice');
const announcedGateways = { gateways: oneOrTwo(countersignature, ({ gateway }) => gateway) };
const listedGateways = { gateways: oneOrTwo(identityHex, (gateway) => gateway) };

const identified = { identity: identityHex };
/** Packets are lost there, by what most others found: clients keep their routes off it. */
const marked = { lossy: z.literal(true).exactOptional(), ...listedShed };
/** What became of its own loops lately, and what it carries. */
const withLoops = { loops: loopResults.exactOptional(), ...publishedCapacity };
const nodeRecord = z
  .discriminatedUnion(
    'role',
    [
      z.strictObject({ ...identified, ...mixnode, layer, ...marked }),
      z.strictObject({ ...identified, ...gateway, ...marked, ...listedMaxClients }),
      z.strictObject({ ...identified, ...requester, ...listedGateways }),
    ],
    'expected a role: mixnode, gateway or requester',
  )
  .refine(isIpv4First, IPV4_FIRST);

const stamped = {
  version: z.literal(DOCUMENT_VERSION, `expected document version ${DOCUMENT_VERSION}`),
  network: hex32,
  publishedMs: wallMs,
  ...identified,
};
const descriptor = z
  .discriminatedUnion(
    'role',
    [
      z.strictObject({ ...stamped, ...mixnode, ...chosenLayer, ...withLoops, ...publishedArrivals }),
      z.strictObject({ ...stamped, ...gateway, ...withLoops }),
      z.strictObject({ ...stamped, ...requester, ...announcedGateways }),
    ],
    'expected a role: mixnode, gateway or requester',
  )
  .refine(isIpv4First, IPV4_FIRST);

const consensus = z.strictObject({
  version: z.int(`expected document version ${DOCUMENT_VERSION}`), // which, `checkVersion` says
  network: hex32,
  epoch: epochField,
  validAfterMs: wallMs,
  freshUntilMs: wallMs,
  validUntilMs: wallMs,
  params: networkParams,
  nodes: z.array(nodeRecord).max(MAX_NODES, `expected at most ${MAX_NODES} nodes`),
});

/** What a node says of itself, before the client stamps it with network, identity and time. */
export type DescriptorDraft = DistributiveOmit<Descriptor, 'version' | 'network' | 'publishedMs' | 'identity'>;
/** The payload of a descriptor. */
export type Descriptor = z.infer<typeof descriptor>;
/** A requester's gateway with its signature. */
export type Countersignature = z.infer<typeof countersignature>;
/** One node in a consensus. */
export type NodeRecord = z.infer<typeof nodeRecord>;
/** A node's loops over another: the first 16 hex digits of that one's identity, sent, returned. */
export type LoopResult = z.infer<typeof loopResult>;
/** The payload of a consensus. */
export type Consensus = Omit<z.infer<typeof consensus>, 'params'> & { params: NetworkParams };
export type NodeRole = NodeRecord['role'];

type DistributiveOmit<T, Key extends PropertyKey> = T extends unknown ? Omit<T, Key> : never;

/** The descriptor in `payload`; throws DocumentRefused. */
export function parseDescriptor(payload: string): Descriptor {
  return parseDocument('descriptor', descriptor, payload, MAX_DESCRIPTOR_BYTES);
}

/** The consensus in `payload`, its own contradictions refused; throws DocumentRefused. `reads`: only a test has others than there are. */
export function parseConsensus(payload: string, reads: VersionRange = DOCUMENT_VERSIONS): Consensus {
  const document = parseDocument('consensus', consensus, payload, MAX_CONSENSUS_BYTES, reads);
  const contradiction = contradictionIn(document);
  if (contradiction !== undefined) throw new DocumentRefused('malformed', `consensus: ${contradiction}`);
  return document;
}

/** No authority holds more: what a longer one would cost to read is not worth it. */
const descriptorList = z.strictObject({ descriptors: z.array(z.unknown()).max(MAX_NODES) });

/** The envelopes in a list of descriptors, none of them checked; throws DocumentRefused. */
export function parseDescriptorList(text: string): string[] {
  return parseJson('descriptors', descriptorList, text).descriptors.map((envelope) => JSON.stringify(envelope));
}

/** What in a consensus can not be, although every field is well formed by itself. */
function contradictionIn({ epoch, params, nodes, ...times }: Consensus): string | undefined {
  const startMs = epoch * params.epochMs;
  if (times.validAfterMs !== startMs) return 'validAfterMs: is not the start of the epoch';
  if (times.freshUntilMs !== startMs + params.epochMs) return 'freshUntilMs: is not the end of the epoch';
  if (times.validUntilMs !== startMs + 2 * params.epochMs) return 'validUntilMs: is not the end of the next epoch';
  const prefixes = new Set(nodes.map((node) => prefixOf(node.identity)));
  if (prefixes.size < nodes.length) return 'nodes: two identities share their first 8 bytes';
  const gateways = new Set(nodes.filter((node) => node.role === 'gateway').map((node) => node.identity));
  if (ringOf(nodes).some((peers) => peers.filter(isLossy).length > mostLossy(peers.length))) {
    return 'nodes: half a layer or more is marked as lossy';
  }
  for (const node of nodes) {
    if (!node.sphinxKeys.some((key) => key.epoch === epoch)) return `nodes: ${node.name} has no key for the epoch`;
    if (node.role === 'requester' && !node.gateways.every((gateway) => gateways.has(gateway)))
      return `nodes: ${node.name} names a gateway not listed`;
  }
  return undefined;
}
