/**
 * The SOCKS4 and SOCKS4a handshake as a pure reader: version, command, port, address, user id and a zero byte; in 4a
 * the address is 0.0.0.x with x not zero, and a name with a zero byte follows. The user id is no password: like SOCKS5
 * credentials it only keeps streams apart.
 * @module
 */
import { asBuffer } from '../../../lib/core/bytes.ts';
import type { ErrorCode } from '../../../lib/core/errors.ts';
import { type Bound, SOCKS4_REJECTED, socks4Granted } from './replies.ts';
import type { Handshake, HandshakeStep } from './steps.ts';

const CONNECT = 0x01;
/** Tor's addition; its reverse needs an answer that SOCKS4 has no place for. */
const RESOLVE = 0xf0;
const FIXED_BYTES = 8;
/** The protocol sets no bound; SOCKS5 allows as much for a user name, and for a host name. */
const MAX_FIELD_BYTES = 255;

export class Socks4Handshake implements Handshake {
  /** At most the fixed bytes and two fields, and what came glued to them. */
  #message: Buffer = Buffer.alloc(0);
  #done = false;

  push(bytes: Uint8Array): HandshakeStep[] {
    if (this.#done || bytes.byteLength === 0) return [];
    this.#message = this.#message.byteLength === 0 ? asBuffer(bytes) : Buffer.concat([this.#message, bytes]);
    const step = readRequest(this.#message);
    this.#done = step !== undefined;
    return step === undefined ? [] : [step];
  }

  openedReply(bound: Bound): Uint8Array {
    return socks4Granted(bound);
  }

  failureReply(_code: ErrorCode): Uint8Array {
    return SOCKS4_REJECTED;
  }
}

/** The outcome, or undefined while the message is incomplete. */
function readRequest(message: Buffer): HandshakeStep | undefined {
  const command = message[1];
  if (command !== undefined && command !== CONNECT && command !== RESOLVE) return refuse('COMMAND');
  if (message.byteLength < FIXED_BYTES) return undefined;
  const user = fieldAt(message, FIXED_BYTES);
  if (typeof user === 'string') return user === 'more' ? undefined : refuse('MALFORMED');
  const address = message.subarray(4, FIXED_BYTES);
  if (!announcesName(address)) return request('socks4', address.join('.'), message, user, user);
  const name = fieldAt(message, user.end);
  if (typeof name === 'string') return name === 'more' ? undefined : refuse('ADDRESS_TYPE');
  return request('socks4a', name.bytes.toString('utf8'), message, user, name);
}

interface Field {
  readonly bytes: Buffer;
  /** Behind the zero byte. */
  readonly end: number;
}

function fieldAt(message: Buffer, start: number): Field | 'more' | 'too-long' {
  const zero = message.indexOf(0, start);
  const length = (zero === -1 ? message.byteLength : zero) - start;
  if (length > MAX_FIELD_BYTES) return 'too-long';
  return zero === -1 ? 'more' : { bytes: message.subarray(start, zero), end: zero + 1 };
}

function announcesName(address: Buffer): boolean {
  return address[0] === 0 && address[1] === 0 && address[2] === 0 && address[3] !== 0;
}

function request(
  protocol: 'socks4' | 'socks4a',
  host: string,
  message: Buffer,
  user: Field,
  last: Field,
): HandshakeStep {
  const isolation = user.bytes.byteLength === 0 ? {} : { isolation: user.bytes.toString('latin1') };
  const port = message.readUInt16BE(2);
  return {
    kind: 'request',
    request: { protocol, kind: message[1] === RESOLVE ? 'resolve' : 'tcp', host, port, ...isolation },
    early: message.subarray(last.end),
  };
}

function refuse(reason: ErrorCode): HandshakeStep {
  return { kind: 'refuse', bytes: SOCKS4_REJECTED, reason };
}
