/**
 * A name server for tests, on loopback unless another address is given: A, AAAA and PTR records of a small zone (RFC 1035), over UDP, and
 * over TCP what is too long for that.
 * @module
 */
import type { RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { createServer, isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { systemCode } from '../../lib/core/errors.ts';
import { noteDestination } from './destinations.ts';
import type { Scope } from './localnet.ts';
import { UdpPeer } from './udp.ts';

/** Name → its addresses. */
export type Zone = Readonly<Record<string, readonly string[]>>;

const TYPE = { A: 1, PTR: 12, AAAA: 28 } as const;
const HEADER_BYTES = 12;
const NXDOMAIN = 3;
const TTL_S = 60;
const MAX_UDP_BYTES = 512;
/** TC, in the second pair of bytes: the rest comes over TCP. */
const TRUNCATED = 0x0200;

export interface TestDns {
  /** Address and port. */
  readonly place: string;
  readonly port: number;
  /** Names that were asked for, in order. */
  readonly asked: readonly string[];
}

/** Answers for `zone` until `t` ends; any other name does not exist. */
export async function startDns(t: Scope, zone: Zone, host = '127.0.0.1'): Promise<TestDns> {
  const asked: string[] = [];
  const onQuery = (peer: UdpPeer, query: Buffer, from: RemoteInfo) => {
    asked.push(questionOf(query).name);
    peer.send(overUdp(query, answerTo(query, zone)), from.port, from.address);
  };
  let { port } = await UdpPeer.open(t, host, onQuery);
  // One number for both: what the system gives for UDP may be the source port of a TCP connection.
  while (!(await answersOverTcp(t, zone, host, port))) ({ port } = await UdpPeer.open(t, host, onQuery));
  noteDestination(port, ...Object.keys(zone));
  return { place: `${host}:${port}`, port, asked };
}

/** Whether the port could be had. */
async function answersOverTcp(t: Scope, zone: Zone, host: string, port: number): Promise<boolean> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      const answer = answerTo(bytes.subarray(2), zone); // a query is short, and comes in one piece
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      socket.end(Buffer.concat([length, answer]));
    });
  });
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    if (systemCode(error) === 'EADDRINUSE') return false;
    throw error;
  }
  t.teardown(() => server.close());
  return true;
}

function overUdp(query: Buffer, answer: Buffer): Buffer {
  if (answer.length <= MAX_UDP_BYTES) return answer;
  const head = Buffer.from(answer.subarray(0, questionOf(query).end));
  head.writeUInt16BE(head.readUInt16BE(2) | TRUNCATED, 2);
  head.writeUInt16BE(0, 6);
  return head;
}

function questionOf(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function answerTo(query: Buffer, zone: Zone): Buffer {
  const { name, type, end } = questionOf(query);
  const records = recordsOf(name, type, zone);
  const known = zone[name] !== undefined || records.length > 0;
  const head = Buffer.from(query.subarray(0, HEADER_BYTES));
  head.writeUInt16BE(0x8180 | (known ? 0 : NXDOMAIN), 2);
  for (const [offset, count] of [1, records.length, 0, 0].entries()) head.writeUInt16BE(count, 4 + 2 * offset);
  return Buffer.concat([head, query.subarray(HEADER_BYTES, end), ...records.map((data) => record(type, data))]);
}

function recordsOf(name: string, type: number, zone: Zone): Buffer[] {
  if (type === TYPE.PTR) {
    const owners = Object.keys(zone).filter((owner) => zone[owner]?.some((address) => reverseName(address) === name));
    return owners.map(encodeName);
  }
  const family = type === TYPE.A ? 4 : type === TYPE.AAAA ? 6 : 0;
  const addresses = (zone[name] ?? []).filter((address) => isIP(address) === family);
  return addresses.map((address) => Buffer.from(ipaddr.parse(address).toByteArray()));
}

/** The name that PTR records of an address are asked for by. */
function reverseName(address: string): string {
  if (isIP(address) === 4) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  const digits = Buffer.from(ipaddr.parse(address).toByteArray()).toString('hex');
  return `${[...digits].reverse().join('.')}.ip6.arpa`;
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').map((label) => [label.length, ...Buffer.from(label)]);
  return Buffer.from([...labels.flat(), 0]);
}

/** A resource record for the name in the question. */
function record(type: number, data: Buffer): Buffer {
  const head = Buffer.from([0xc0, HEADER_BYTES, 0, type, 0, 1, 0, 0, 0, TTL_S, 0, data.byteLength]);
  return Buffer.concat([head, data]);
}
