/**
 * The header of UDP datagrams between a client and the proxy (RFC 1928 section 7): two reserved bytes, fragment number,
 * address type, address, port, data.
 * @module
 */
import ipaddr from 'ipaddr.js';
import { ByteReader } from '../../lib/core/bytes.ts';
import { parseAddress } from '../../lib/net/address-policy.ts';
import { ADDRESS_TYPE } from '../front/handshake/socks5-wire.ts';

export interface UdpDatagram {
  /** As the client wrote it; not checked yet. */
  readonly host: string;
  readonly port: number;
  readonly bytes: Uint8Array;
}

/** Reads a client's datagram; data is a view. Fragments are optional to support and dropped by about everybody. */
export function decodeUdp(message: Uint8Array): UdpDatagram | 'fragment' | 'malformed' {
  const reader = new ByteReader(message);
  const reserved = reader.u16();
  const fragment = reader.u8();
  const host = readHost(reader);
  const port = reader.u16();
  if (reader.failed || reserved !== 0 || host === undefined) return 'malformed';
  if (fragment !== 0) return 'fragment';
  return { host, port, bytes: message.subarray(reader.offset) };
}

function readHost(reader: ByteReader): string | undefined {
  switch (reader.u8()) {
    case ADDRESS_TYPE.ipv4:
      return reader.take(4).join('.');
    case ADDRESS_TYPE.ipv6: {
      const bytes = reader.take(16);
      return reader.failed ? undefined : ipaddr.fromByteArray([...bytes]).toString();
    }
    case ADDRESS_TYPE.name:
      return Buffer.from(reader.take(reader.u8())).toString('utf8');
    default:
      return undefined;
  }
}

/** The datagram for a client, or undefined when `host` is no address. */
export function encodeUdp(host: string, port: number, bytes: Uint8Array): Uint8Array | undefined {
  const address = parseAddress(host);
  if (address === undefined) return undefined;
  const type = address.family === 4 ? ADDRESS_TYPE.ipv4 : ADDRESS_TYPE.ipv6;
  const head = [0, 0, 0, type, ...ipaddr.parse(address.text).toByteArray(), port >> 8, port & 0xff];
  const message = new Uint8Array(head.length + bytes.byteLength);
  message.set(head);
  message.set(bytes, head.length);
  return message;
}
