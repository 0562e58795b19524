/**
 * Vectors of links: certificate, hello, frames and their records (docs/PROTOCOL.md section 3).
 * @module
 */
import { createHash, createPublicKey, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { concatBytes, toHex } from '../../../lib/core/bytes.ts';
import { packetBytes } from '../../../lib/core/params.ts';
import { accessGrant, isGranted } from '../../../lib/directory/index.ts';
import { accessPart } from '../../../lib/link/access.ts';
import { privateKeyOfSeed, rawPublicKey, selfSignedCertificate } from '../../../lib/link/certificate.ts';
import { DOWNLINK_KIND, FrameSplitter, frameShape } from '../../../lib/link/framing.ts';
import {
  decodeHello,
  encodeHello,
  encodeRefusal,
  frameBytesOf,
  HELLO_BYTES,
  refusalIn,
} from '../../../lib/link/hello.ts';
import { ACCESS_REFUSALS, type AccessRefusal } from '../../../lib/link/refusals.ts';
import { expectSame, fixedHex, hex, type Json, pattern, vectorKind } from '../kind.ts';

const helloKind = z.enum(['node', 'client', 'probe']);
type LinkOrProbe = z.infer<typeof helloKind>;
const payloadSize = z.int();
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** What is the same for every frame of a link. */
function shapeOf(kind: LinkOrProbe, payloadBytes: number) {
  const { frameBytes, wireBytes, recordBytes } = frameShape(frameBytesOf(kind, packetBytes(payloadBytes)));
  return { frameBytes, records: wireBytes / recordBytes, recordBytes };
}

/** A frame as it is on the stream, zeros included, divided into records. */
function onTheWire(kind: LinkOrProbe, payloadBytes: number, frame: Uint8Array): Json {
  const { frameBytes, records, recordBytes } = shapeOf(kind, payloadBytes);
  const wire = new Uint8Array(records * recordBytes);
  wire.set(frame);
  const read: Uint8Array[] = [];
  const splitter = new FrameSplitter(wire.byteLength);
  for (let at = 0; at < wire.byteLength; at += 1000) {
    splitter.push(wire.slice(at, at + 1000), (whole) => read.push(new Uint8Array(whole)));
  }
  expectSame(read, [wire]);
  const sums = Array.from({ length: records }, (_, i) => sha256(wire.subarray(i * recordBytes, (i + 1) * recordBytes)));
  return { frameBytes, recordBytes, recordsSha256: sums };
}

const NETWORK_ID = fixedHex('network id');
const versionRange = z.object({ lowest: z.int(), highest: z.int() });
const clientTerms = z.object({ trafficClass: z.string(), clocked: z.boolean() });
const STANDARD = { trafficClass: 'standard', clocked: true };
const helloHead = (change: Readonly<Record<number, string>>, kind: LinkOrProbe): string => {
  const terms = { networkId: Buffer.from(NETWORK_ID, 'hex'), packetBytes: packetBytes(2048) };
  const head = encodeHello(kind, terms, kind === 'client' ? STANDARD : undefined);
  for (const [at, bytes] of Object.entries(change)) head.set(Buffer.from(bytes, 'hex'), Number(at));
  return toHex(head);
};
const read = (change: Readonly<Record<number, string>> = {}, kind: LinkOrProbe = 'node'): Json => ({
  payloadBytes: 2048,
  networkId: NETWORK_ID,
  head: helloHead(change, kind),
});

export const linkKinds = [
  vectorKind(
    'certificate',
    z.object({ seed: hex(32) }),
    async (_crypto, { seed }) => {
      const certificate = new X509Certificate(selfSignedCertificate(seed));
      const { subject, serialNumber } = certificate;
      const [validFrom, validTo] = [certificate.validFrom, certificate.validTo].map((at) => new Date(at).toISOString());
      const identity = rawPublicKey(createPublicKey(privateKeyOfSeed(seed)));
      expectSame(rawPublicKey(certificate.publicKey), identity);
      const dates = { validFrom: validFrom!, validTo: validTo! };
      return { identity: toHex(identity!), subject, serialNumber, ...dates, der: toHex(certificate.raw) };
    },
    { 'of one identity': { seed: fixedHex('link identity') } },
  ),

  vectorKind(
    'hello',
    z.object({
      kind: helloKind,
      payloadBytes: payloadSize,
      networkId: hex(32),
      client: clientTerms.optional(),
      refusal: z.enum(['full', ...(Object.keys(ACCESS_REFUSALS) as AccessRefusal[])]).optional(),
      versions: versionRange.optional(),
    }),
    (_crypto, { kind, payloadBytes, networkId, client, refusal, versions }) => {
      const terms = { networkId, packetBytes: packetBytes(payloadBytes), versions };
      const head = refusal === undefined ? encodeHello(kind, terms, client) : encodeRefusal(kind, terms, refusal);
      expectSame(refusalIn(head), refusal);
      const version = versions === undefined ? 2 : versions.highest;
      expectSame(decodeHello(head, terms), client === undefined ? { kind, version } : { kind, version, client });
      return { head: toHex(head), ...(onTheWire(kind, payloadBytes, head) as object) };
    },
    {
      'between nodes': { kind: 'node', payloadBytes: 2048, networkId: NETWORK_ID },
      'of a client': { kind: 'client', payloadBytes: 2048, networkId: NETWORK_ID, client: STANDARD },
      'of a client without delivery clock, of the longest class, three records': {
        kind: 'client',
        payloadBytes: 32_768,
        networkId: NETWORK_ID,
        client: { trafficClass: 'c'.repeat(64), clocked: false },
      },
      'of a gateway to its client': { kind: 'client', payloadBytes: 2048, networkId: NETWORK_ID },
      'of an authority that tries a node': { kind: 'probe', payloadBytes: 2048, networkId: NETWORK_ID },
      'of a node that speaks the next version, too': {
        ...{ kind: 'node', payloadBytes: 2048, networkId: NETWORK_ID },
        versions: { lowest: 2, highest: 3 },
      },
      ...Object.fromEntries(
        (['full', ...Object.keys(ACCESS_REFUSALS)] as const).map((refusal) => [
          `of a gateway that refuses: ${refusal}`,
          { kind: 'client', payloadBytes: 2048, networkId: NETWORK_ID, refusal },
        ]),
      ),
    },
  ),

  vectorKind(
    'access',
    z.object({ token: z.string(), secret: hex(32), exported: hex(32) }),
    (crypto, { token, secret, exported }) => {
      const { accessSeed: _seed, ...shown } = accessGrant(token, secret, crypto);
      expectSame(isGranted(shown, crypto), true);
      const part = accessPart(accessGrant(token, secret, crypto), exported);
      return {
        ...Object.fromEntries(Object.entries(shown).map(([name, bytes]) => [name, toHex(bytes)])),
        part: toHex(part),
      };
    },
    {
      'of one client': {
        token: fixedHex('invitation'),
        secret: fixedHex('secret of a client'),
        exported: fixedHex('what TLS exports'),
      },
    },
  ),

  vectorKind(
    'read-hello',
    z.object({
      payloadBytes: payloadSize,
      networkId: hex(32),
      head: hex(HELLO_BYTES),
      versions: versionRange.optional(),
    }),
    (_crypto, { payloadBytes, networkId, head, versions }) =>
      ({ ...decodeHello(head, { networkId, packetBytes: packetBytes(payloadBytes), versions }) }) as Json,
    {
      'of a node': read(),
      'reserved bytes are ignored': read({ 6: 'ff' }),
      'another magic': read({ 0: '4d58534c' }),
      'of a client': read({}, 'client'),
      'of a client without class': read({ 45: '00' }, 'client'),
      'of a client with a delivery that there is not': read({ 44: '02' }, 'client'),
      'of a client with a class of 65 bytes': read({ 45: '41' }, 'client'),
      'of a client with a space in its class': read({ 48: '20' }, 'client'),
      'the version before': read({ 4: '01', 7: '00' }),
      'a later version': read({ 4: '03', 7: '03' }),
      'this version and the next': read({ 4: '03' }),
      'this version and the next, by an end that speaks both': {
        ...(read({ 4: '03' }) as object),
        versions: { lowest: 2, highest: 3 },
      } as Json,
      'all versions, by an end that speaks two': {
        ...(read({ 4: 'ff', 7: '01' }) as object),
        versions: { lowest: 2, highest: 3 },
      } as Json,
      'one version alone, without the lowest': read({ 7: '00' }),
      'versions that begin behind their end': read({ 7: '03' }),
      'of an authority that tries a node': read({}, 'probe'),
      'no kind': read({ 5: '04' }),
      'a client with the frame size of a node': read({ 5: '01' }),
      'another network': read({ 12: '00' }),
      'another frame size': read({ 8: '0000096e' }),
    },
  ),

  vectorKind(
    'frame',
    z.object({
      from: z.enum(['node', 'client', 'gateway']),
      payloadBytes: payloadSize,
      nextHop: hex(32).optional(),
      padding: z.boolean().optional(),
      consensus: z.boolean().optional(),
    }),
    (_crypto, { from, payloadBytes, nextHop, padding = false, consensus = false }) => {
      const packet = padding ? new Uint8Array(packetBytes(payloadBytes)) : pattern(packetBytes(payloadBytes));
      if (from === 'node') return onTheWire('node', payloadBytes, packet);
      const behind = new Uint8Array(from === 'client' ? 0 : 32);
      if (padding) behind[0] = DOWNLINK_KIND.padding;
      if (consensus) behind[0] = DOWNLINK_KIND.consensus;
      return onTheWire('client', payloadBytes, concatBytes(nextHop ?? new Uint8Array(0), packet, behind));
    },
    {
      'from node to node': { from: 'node', payloadBytes: 2048 },
      'from client to gateway': { from: 'client', payloadBytes: 2048, nextHop: fixedHex('first mix') },
      'from gateway to client': { from: 'gateway', payloadBytes: 2048 },
      'from gateway to client, padding': { from: 'gateway', payloadBytes: 2048, padding: true },
      'from gateway to client, a piece of a consensus': { from: 'gateway', payloadBytes: 2048, consensus: true },
      'from node to node, 8192': { from: 'node', payloadBytes: 8192 },
      'from node to node, in two records, one zero byte behind the frame': { from: 'node', payloadBytes: 16_384 },
      'from client to gateway, in three records': {
        from: 'client',
        payloadBytes: 32_768,
        nextHop: fixedHex('first mix'),
      },
    },
  ),
];
