/**
 * The first frame in each direction. It has the size of all frames of its link, so that it cannot be distinguished from them.
 *
 *     magic "MXSK" | highest version | kind: 0 node, 1 client, 2 countersign, 3 probe | reserved 1 | lowest version
 *     | frame bytes, 4, big-endian | network id 32
 *     | delivery: 0 as packets come, 1 by the clock of the class | bytes of the class' name | class, 64 | zeros
 *
 * Delivery and class are a client's; nodes, and gateways in their answer, send zeros. In an answer the first reserved byte says why the
 * acceptor refuses, and closes (`refusals.ts`). Receivers ignore the other reserved bytes and the padding, but for `access.ts` and
 * `observed-address.ts`: a later version may use them.
 * @module
 */
import { asBuffer, constantTimeEqual } from '../core/bytes.ts';
import { ADDRESS_BYTES } from '../core/params.ts';
import { commonVersion, type VersionRange } from '../core/version-range.ts';
import { type AnsweredRefusal, refusalNumber, refusalOf } from './refusals.ts';
import type { ClientTerms, HelloKind, LinkKind } from './types.ts';

export const HELLO_BYTES = 110;
export const NETWORK_ID_BYTES = 32;
/** Those that this program speaks. A version adds to the hello, in bytes that are ignored before it, and changes no byte that is read. */
export const LINK_VERSIONS: VersionRange = { lowest: 2, highest: 2 };
const MAGIC = 0x4d58534b; // "MXSK"
const KINDS: readonly HelloKind[] = ['node', 'client', 'countersign', 'probe'];
const VERSION_AT = 4;
const REFUSAL_AT = 6;
const LOWEST_VERSION_AT = 7;
const DELIVERY_AT = 44;
const CLASS_AT = 46;
const CLASS_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** What both ends of a link must agree on. */
export interface HelloTerms {
  readonly networkId: Uint8Array;
  readonly packetBytes: number;
  /** LINK_VERSIONS by default. */
  readonly versions?: VersionRange | undefined;
}

export type HelloFault = 'bad-hello' | 'wrong-version' | 'wrong-kind' | 'wrong-network' | 'wrong-frame-size';

export interface Hello {
  readonly kind: HelloKind;
  /** The highest that both ends speak. */
  readonly version: number;
  /** Of the client that dials; absent when there is no class, or none that could be one. */
  readonly client?: ClientTerms;
}

/** The hello of a link. */
export type LinkHello = Hello & { readonly kind: LinkKind };

/** Bytes of a frame on a link of this kind. */
export function frameBytesOf(kind: HelloKind, packetBytes: number): number {
  return isBetweenNodes(kind) ? packetBytes : packetBytes + ADDRESS_BYTES;
}

/** Whether no client takes part in a link of this kind: frames are packets, and the hello has no class. */
export function isBetweenNodes(kind: HelloKind): boolean {
  return kind === 'node' || kind === 'probe';
}

/** The beginning of a hello frame, without its padding. `client`: of a client that dials its gateway. */
export function encodeHello(kind: HelloKind, terms: HelloTerms, client?: ClientTerms): Buffer {
  const hello = Buffer.alloc(HELLO_BYTES);
  hello.writeUInt32BE(MAGIC, 0);
  const { lowest, highest } = terms.versions ?? LINK_VERSIONS;
  hello[VERSION_AT] = highest;
  hello[LOWEST_VERSION_AT] = lowest;
  hello[5] = KINDS.indexOf(kind);
  hello.writeUInt32BE(frameBytesOf(kind, terms.packetBytes), 8);
  hello.set(terms.networkId, 12);
  if (client === undefined) return hello;
  hello[DELIVERY_AT] = client.clocked ? 1 : 0;
  hello[DELIVERY_AT + 1] = hello.write(client.trafficClass, CLASS_AT, 'latin1');
  return hello;
}

/** Reads the first HELLO_BYTES of a hello frame: what it announces, or what is wrong with it. */
export function decodeHello(bytes: Uint8Array, terms: HelloTerms): Hello | { fault: HelloFault } {
  const hello = asBuffer(bytes);
  if (hello.byteLength < HELLO_BYTES || hello.readUInt32BE(0) !== MAGIC) return { fault: 'bad-hello' };
  const theirs = versionsIn(hello);
  if (theirs.lowest > theirs.highest) return { fault: 'bad-hello' };
  const version = commonVersion(terms.versions ?? LINK_VERSIONS, theirs);
  if (version === undefined) return { fault: 'wrong-version' };
  const kind = KINDS[hello[5] ?? -1];
  if (kind === undefined) return { fault: 'wrong-kind' };
  if (!constantTimeEqual(hello.subarray(12, 12 + NETWORK_ID_BYTES), terms.networkId)) return { fault: 'wrong-network' };
  if (hello.readUInt32BE(8) !== frameBytesOf(kind, terms.packetBytes)) return { fault: 'wrong-frame-size' };
  const client = isBetweenNodes(kind) ? undefined : clientTermsIn(hello);
  return client === undefined ? { kind, version } : { kind, version, client };
}

/** The beginning of the answer of an acceptor that refuses for `reason`. */
export function encodeRefusal(kind: HelloKind, terms: HelloTerms, reason: AnsweredRefusal): Buffer {
  const hello = encodeHello(kind, terms);
  hello[REFUSAL_AT] = refusalNumber(reason);
  return hello;
}

/** Why the acceptor refuses, by its answer; undefined when it does not. */
export function refusalIn(answer: Uint8Array): AnsweredRefusal | 'refused' | undefined {
  return refusalOf(answer[REFUSAL_AT] ?? 0);
}

/** The versions that the sender of a hello speaks. Who leaves the lowest out speaks one. */
export function versionsIn(hello: Uint8Array): VersionRange {
  const highest = hello[VERSION_AT] ?? 0;
  return { lowest: hello[LOWEST_VERSION_AT] || highest, highest };
}

function clientTermsIn(hello: Buffer): ClientTerms | undefined {
  const [delivery = 0, nameBytes = 0] = hello.subarray(DELIVERY_AT, CLASS_AT);
  const trafficClass = hello.toString('latin1', CLASS_AT, CLASS_AT + nameBytes);
  return delivery <= 1 && nameBytes <= HELLO_BYTES - CLASS_AT && CLASS_NAME.test(trafficClass)
    ? { trafficClass, clocked: delivery === 1 }
    : undefined;
}
