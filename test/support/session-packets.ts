/**
 * Packets of a proxy, one by one, and a requester's session table that takes them.
 * @module
 */

import { writeVarint } from '../../lib/core/bytes.ts';
import { DelayLaws } from '../../lib/core/delay-law.ts';
import {
  type AcceptedHandlers,
  type CloseReason,
  ProxySession,
  type Reply,
  SessionTable,
} from '../../lib/session/index.ts';
import { PROTOCOL_VERSION } from '../../lib/transport/limits.ts';
import { SendBuffer } from '../../lib/transport/streams/send-buffer.ts';
import type { ProxySessionOptions, SessionTableOptions } from '../../lib/transport/types.ts';
import { FRAME } from '../../lib/transport/wire/frames.ts';
import { type FrameOwner, hostBytes, type PacketBuilder } from '../../lib/transport/wire/packet-builder.ts';
import { beginDownlink, beginUplink, decodeDownlink } from '../../lib/transport/wire/payload.ts';
import { closeReason } from '../../lib/transport/wire/reasons.ts';
import { seededRng } from './seeded-rng.ts';
import { soundPath } from './sim/own-loops.ts';
import { monotonic } from './units.ts';

export const PAYLOAD_BYTES = 2048;
export const owner: FrameOwner = { frameAcked() {}, frameLost() {} };
export const delay = new DelayLaws({ meanDelayMs: 15, mixHops: 3 });
export const silent: AcceptedHandlers = { onData() {}, onFin() {}, onReset() {}, onDrain() {} };

/** A proxy's end of a session in steady mode, whose reply blocks are drawn from `rng`. */
export function proxySession(options: Partial<ProxySessionOptions> = {}, rng = seededRng(2)): ProxySession {
  const rates = { mainRatePerSecond: 50, replyRatePerSecond: 100, downlink: 'steady', surbLifeMs: 60_000 } as const;
  const mintSurb = () => rng.bytes(372);
  const defaults = { rng, payloadBytes: PAYLOAD_BYTES, delay, ...rates, ownPath: () => soundPath, mintSurb };
  return new ProxySession({ ...defaults, ...options }, monotonic(0));
}

export function table(
  options: Partial<Pick<SessionTableOptions, 'accept' | 'maxSessions' | 'memory' | 'limits'>> = {},
) {
  return new SessionTable({
    rng: seededRng(1),
    payloadBytes: PAYLOAD_BYTES,
    terms: () => ({ delay }),
    accept: (stream) => {
      stream.opened({ host: '192.0.2.1', port: 1 }, monotonic(0));
      return silent;
    },
    ...options,
  });
}

export function idOf(n: number): Uint8Array {
  return new Uint8Array(16).fill(n);
}

/** A packet of session `id`, with HELLO and some blocks unless told otherwise. */
export function packet(
  id: Uint8Array,
  number: number,
  write: (builder: PacketBuilder) => void = () => {},
  { hello = true, blocks = 1 } = {},
): Uint8Array {
  const builder = beginUplink(PAYLOAD_BYTES, id, number);
  if (hello) builder.hello(owner, PROTOCOL_VERSION, new Uint8Array(0), 1 << 20, 1 << 18);
  const surbs = Array.from({ length: blocks }, () => new Uint8Array(372));
  builder.replyBlocks(owner, 0, 600_000, surbs);
  write(builder);
  return builder.bytes;
}

/** The reason of the CLOSE that the table wants to send, if any. */
export function answer(sessions: SessionTable): CloseReason | undefined {
  const reply: Reply | undefined = sessions.nextAnswer(0);
  const frame = reply === undefined ? undefined : decodeDownlink(reply.plaintext)?.frames[0];
  return frame?.type === FRAME.CLOSE ? closeReason(frame.reason) : undefined;
}

/** Answers the requester's question whether session `id` receives its replies, as long as it has a block to ask with. */
export function prove(sessions: SessionTable, id: Uint8Array, nowMs = 60): void {
  const key = Buffer.from(id).toString('latin1');
  const session = [...sessions.sessions()].find((one) => one.key === key);
  const reply = session?.nextReply(monotonic(nowMs));
  const frames = reply === undefined ? [] : (decodeDownlink(reply.plaintext)?.frames ?? []);
  const challenge = frames.flatMap((frame) => (frame.type === FRAME.CHALLENGE ? [frame] : []))[0];
  if (challenge === undefined) throw new Error('the requester asks for no proof');
  const response = (b: PacketBuilder) => b.response(owner, challenge.bytes);
  sessions.receive(packet(id, 500, response, { hello: false, blocks: 0 }), monotonic(nowMs));
}

/** Lets a proxy's session use all its streams: the requester asks for a proof. */
export function challenged(session: ProxySession): ProxySession {
  const builder = beginDownlink(PAYLOAD_BYTES, 1, { received: 0, used: 0, expired: 0, evicted: 0, demandBytes: 0 });
  builder.challenge(owner, new Uint8Array(8).fill(1));
  session.receive(builder.bytes, monotonic(0));
  return session;
}

/** What becomes of a session whose proxy sends this. */
export function verdict(...writes: ((builder: PacketBuilder) => void)[]): CloseReason | 'fine' {
  const sessions = table();
  sessions.receive(
    packet(idOf(1), 1, () => {}, { blocks: 4 }),
    monotonic(0),
  );
  prove(sessions, idOf(1));
  let reason: CloseReason | 'fine' = 'fine';
  [...sessions.sessions()][0]?.onClosed((why) => {
    reason = why;
  });
  writes.forEach((write, i) => {
    sessions.receive(packet(idOf(1), i + 2, write, { blocks: 0 }), monotonic(0));
  });
  return reason;
}

/** A DATA frame of its own making. */
export function data(builder: PacketBuilder, stream: number, offset: number, length: number, fin = false): void {
  const buffer = new SendBuffer();
  // Moves the buffer to the offset, unless that would take too much memory: then the varint is patched.
  buffer.write(new Uint8Array(length));
  if (fin) buffer.finish();
  const start = builder.offset;
  builder.data(owner, stream, buffer, Number.MAX_SAFE_INTEGER);
  if (offset === 0) return;
  const at = builder.bytes;
  const body = new Uint8Array(length);
  let end = start;
  at[end++] = fin ? FRAME.DATA_FIN : FRAME.DATA;
  end = writeVarint(at, end, stream);
  end = writeVarint(at, end, offset);
  end = writeVarint(at, end, length);
  at.set(body, end);
  at.fill(0, end + length);
}

export const open = (stream: number) => (b: PacketBuilder) => b.open(owner, stream, 0, hostBytes('example.org'), 80);
