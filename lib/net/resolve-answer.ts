/**
 * What a stream of kind `resolve` carries back: the addresses of a name, or the names of an address, as records of DNS
 * type, length and value (docs/PROTOCOL.md section 8). Types that a reader does not know are skipped.
 * @module
 */
import ipaddr from 'ipaddr.js';
import { ByteReader } from '../core/bytes.ts';
import { parseAddress } from './address-policy.ts';
import { parseDestination } from './destination.ts';

export interface ResolveAnswer {
  /** In canonical form, in the resolver's order. */
  readonly addresses: readonly string[];
  readonly names: readonly string[];
}

/** DNS resource record types. */
const TYPE = { a: 1, ptr: 12, aaaa: 28 } as const;

/** Records of one answer; the rest is left out. */
const MAX_RECORDS = 16;
/** Longest message that a reader takes: all records at their longest. */
export const MAX_ANSWER_BYTES = MAX_RECORDS * (2 + 255);

/** The message for `answer`, whose addresses must be canonical and names ASCII. */
export function encodeAnswer({ addresses, names }: ResolveAnswer): Uint8Array {
  const records = [
    ...addresses.map((text) => {
      const bytes = ipaddr.parse(text).toByteArray();
      return [bytes.length === 4 ? TYPE.a : TYPE.aaaa, bytes.length, ...bytes];
    }),
    ...names.map((name) => [TYPE.ptr, name.length, ...Buffer.from(name, 'latin1')]),
  ];
  return Uint8Array.from(records.slice(0, MAX_RECORDS).flat());
}

/** The answer in a whole message, or undefined when it is not one. */
export function decodeAnswer(message: Uint8Array): ResolveAnswer | undefined {
  const reader = new ByteReader(message);
  const addresses: string[] = [];
  const names: string[] = [];
  while (reader.left > 0) {
    const type = reader.u8();
    const value = reader.take(reader.u8());
    if (reader.failed) return undefined;
    if (type === TYPE.ptr) {
      const name = nameIn(value);
      if (name === undefined) return undefined;
      names.push(name);
    } else if (type === TYPE.a || type === TYPE.aaaa) {
      if (value.byteLength !== (type === TYPE.a ? 4 : 16)) return undefined;
      const address = parseAddress(ipaddr.fromByteArray([...value]).toString());
      if (address === undefined) return undefined;
      addresses.push(address.text);
    }
  }
  return { addresses, names };
}

function nameIn(value: Uint8Array): string | undefined {
  const parsed = parseDestination(Buffer.from(value).toString('latin1'));
  return parsed?.kind === 'name' ? parsed.host : undefined;
}
