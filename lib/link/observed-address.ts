/**
 * The address under which a gateway sees a client, in the gateway's hello: an exit behind address translation has no other
 * way to know its own public address, which it must not connect to for others.
 *
 *     offset 128: family 0, 4 or 6 | address 4 or 16 | zeros
 *
 * It stands in what was padding, so that ends which do not know it pass it over. A gateway may lie: whoever reads it must
 * not let it open anything.
 * @module
 */
import ipaddr from 'ipaddr.js';
import { parseAddress } from '../net/address-policy.ts';

const AT = 128;
const ADDRESS_BYTES: Readonly<Record<number, number>> = { 4: 4, 6: 16 };
const END = AT + 1 + 16;

/** The beginning of a hello frame with the address; without one that is known, `hello` as it is. */
export function withObservedAddress(hello: Buffer, address: string | undefined): Buffer {
  const parsed = parseAddress(address ?? '');
  if (parsed === undefined) return hello;
  const frame = Buffer.alloc(END);
  frame.set(hello);
  frame[AT] = parsed.family;
  frame.set(ipaddr.parse(parsed.text).toByteArray(), AT + 1);
  return frame;
}

/** The address in a hello frame, in canonical form; undefined when there is none. */
export function observedAddressIn(frame: Uint8Array): string | undefined {
  const bytes = ADDRESS_BYTES[frame[AT] ?? 0];
  if (bytes === undefined || frame.byteLength < END) return undefined;
  return parseAddress(ipaddr.fromByteArray([...frame.subarray(AT + 1, AT + 1 + bytes)]).toString())?.text;
}
