/**
 * The parts of a plaintext in front of its frames (docs/PROTOCOL.md section 6).
 *
 *     to the requester:  session id (16) | packet number | frames | zeros
 *     to the proxy:      packet number | received | used | expired | evicted | demand | frames | zeros
 *
 * Packet number 0 marks a packet that only fills a slot. It may have been made long before it left, so nothing in it
 * counts but what may be said twice: the account, and an ACK.
 * @module
 */
import { asBuffer, ByteReader, writeVarint } from '../../core/bytes.ts';
import { SESSION_ID_BYTES } from '../limits.ts';
import type { SurbAccount } from '../surbs/surb-supply.ts';
import { decodeFrames, FRAME, type Frame } from './frames.ts';
import { PacketBuilder } from './packet-builder.ts';

/** The number of packets that only fill a slot. */
export const UNNUMBERED = 0;

export interface Uplink {
  readonly number: number;
  readonly frames: readonly Frame[];
}

export interface DownlinkPacket extends Uplink {
  readonly account: SurbAccount;
}

/** The map key of the session that an uplink plaintext belongs to; undefined when it is too short for one. */
export function sessionKeyOf(plaintext: Uint8Array): string | undefined {
  if (plaintext.byteLength < SESSION_ID_BYTES + 1) return undefined;
  return asBuffer(plaintext).toString('latin1', 0, SESSION_ID_BYTES);
}

export function decodeUplink(plaintext: Uint8Array): Uplink | undefined {
  const reader = new ByteReader(plaintext);
  reader.take(SESSION_ID_BYTES);
  const number = reader.varint();
  if (reader.failed) return undefined;
  const frames = decodeFrames(plaintext, reader.offset);
  return frames === undefined ? undefined : { number, frames };
}

/**
 * The version in a HELLO at the head of a plaintext, whatever stands behind it; undefined when there is none. HELLO comes
 * first in every version, so that a packet whose other frames mean nothing here can still be refused by its version.
 */
export function versionOf(plaintext: Uint8Array): number | undefined {
  const reader = new ByteReader(plaintext);
  reader.take(SESSION_ID_BYTES);
  reader.varint();
  const type = reader.u8();
  const version = reader.varint();
  return reader.failed || type !== FRAME.HELLO ? undefined : version;
}

export function decodeDownlink(plaintext: Uint8Array): DownlinkPacket | undefined {
  const reader = new ByteReader(plaintext);
  const number = reader.varint();
  const account: SurbAccount = {
    received: reader.varint(),
    used: reader.varint(),
    expired: reader.varint(),
    evicted: reader.varint(),
    demandBytes: reader.varint(),
  };
  if (reader.failed) return undefined;
  const frames = decodeFrames(plaintext, reader.offset);
  return frames === undefined ? undefined : { number, account, frames };
}

export function beginUplink(payloadBytes: number, sessionId: Uint8Array, number: number): PacketBuilder {
  const bytes = new Uint8Array(payloadBytes);
  bytes.set(sessionId);
  return new PacketBuilder(bytes, writeVarint(bytes, SESSION_ID_BYTES, number));
}

export function beginDownlink(payloadBytes: number, number: number, account: SurbAccount): PacketBuilder {
  const bytes = new Uint8Array(payloadBytes);
  let at = writeVarint(bytes, 0, number);
  at = writeVarint(bytes, at, account.received);
  at = writeVarint(bytes, at, account.used);
  at = writeVarint(bytes, at, account.expired);
  at = writeVarint(bytes, at, account.evicted);
  at = writeVarint(bytes, at, account.demandBytes);
  return new PacketBuilder(bytes, at);
}
