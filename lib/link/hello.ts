/**
 * The first frame in each direction. It has the size of all frames of its link, so that it cannot be told from them.
 *
 *     magic "MXSK" | version 1 | kind: 0 node, 1 client | reserved 2 | frame bytes, 4, big-endian | network id 32 | zeros
 *
 * Receivers ignore the reserved bytes and the padding: a later version may use them.
 * @module
 */
import { asBuffer, constantTimeEqual } from '../bytes.ts';
import { ADDRESS_BYTES } from '../params.ts';
import type { LinkKind } from './types.ts';

export const HELLO_BYTES = 44;
export const NETWORK_ID_BYTES = 32;
const MAGIC = 0x4d58534b; // "MXSK"
const LINK_VERSION = 1;
const KINDS: readonly LinkKind[] = ['node', 'client'];

/** What both ends of a link must agree on. */
export interface HelloTerms {
  readonly networkId: Uint8Array;
  readonly packetBytes: number;
}

export type HelloFault = 'bad-hello' | 'wrong-version' | 'wrong-kind' | 'wrong-network' | 'wrong-frame-size';

/** Bytes of a frame on a link of this kind. */
export function frameBytesOf(kind: LinkKind, packetBytes: number): number {
  return kind === 'client' ? packetBytes + ADDRESS_BYTES : packetBytes;
}

/** The beginning of a hello frame, without its padding. */
export function encodeHello(kind: LinkKind, terms: HelloTerms): Buffer {
  const hello = Buffer.alloc(HELLO_BYTES);
  hello.writeUInt32BE(MAGIC, 0);
  hello[4] = LINK_VERSION;
  hello[5] = KINDS.indexOf(kind);
  hello.writeUInt32BE(frameBytesOf(kind, terms.packetBytes), 8);
  hello.set(terms.networkId, 12);
  return hello;
}

/** Reads the first HELLO_BYTES of a hello frame: the kind it announces, or what is wrong with it. */
export function decodeHello(bytes: Uint8Array, terms: HelloTerms): { kind: LinkKind } | { fault: HelloFault } {
  const hello = asBuffer(bytes);
  if (hello.byteLength < HELLO_BYTES || hello.readUInt32BE(0) !== MAGIC) return { fault: 'bad-hello' };
  if (hello[4] !== LINK_VERSION) return { fault: 'wrong-version' };
  const kind = KINDS[hello[5] ?? -1];
  if (kind === undefined) return { fault: 'wrong-kind' };
  if (!constantTimeEqual(hello.subarray(12, 12 + NETWORK_ID_BYTES), terms.networkId)) return { fault: 'wrong-network' };
  if (hello.readUInt32BE(8) !== frameBytesOf(kind, terms.packetBytes)) return { fault: 'wrong-frame-size' };
  return { kind };
}
