/**
 * Judges transfers while they run: every ten seconds, whether a session that is in use moved what the traffic class gives, and
 * if not, what held it. Pure: it gets readings of the sessions' own counters, one a second.
 * @module
 */
import { LOSSY_SHARE } from './judge.ts';
import type { Reason } from './reasons.ts';

/** Counters of a session at one moment. */
export interface TransferReading {
  readonly streamsOpen: number;
  /** Bytes of streams so far, without cover. */
  readonly bytesSent: number;
  readonly bytesDelivered: number;
  readonly packetsReceived: number;
  /** Bytes that wait to be sent now, and that have come and were not taken by their programs. */
  readonly bytesQueued: number;
  readonly bytesUnread: number;
  readonly lossRatio: number;
  /** Replies asked for a second; 0 where they keep no clock. */
  readonly replyRate: number;
}

/** What all sessions have in common at that moment. */
export interface TransferTerms {
  readonly machineIsLate: boolean;
  readonly payloadBytes: number;
  /** Packets a second that a session may send. */
  readonly mainRate: number;
}

interface Span {
  readonly first: TransferReading;
  last: TransferReading;
  readings: number;
  /** In how many of them bytes had come since the one before. */
  moving: number;
  leastQueued: number;
  leastUnread: number;
}

/** A span has this many readings, and a judgement at its end. */
export const SPAN_SECONDS = 10;
/** Of what the class gives: from here on it counts as all of it … */
const FULL_SHARE = 0.75;
/** … and below this it is slow. */
const SLOW_SHARE = 0.5;
/** An upload below this is held by the site: part of each packet is reply blocks, which leaves less than the payload. */
const HELD_SHARE = 0.15;
/** Replies below this share of their clock are too few. */
const REPLY_SHARE = 0.7;
/** With fewer bytes in a span somebody types, and the site is not slow. */
const TRANSFER_BYTES = 32_768;
/** So many bytes that stay unread are parked. */
const PARKED_BYTES = 65_536;

export class TransferWatch<Session extends object> {
  #spans = new Map<Session, Span>();

  /** Takes one reading of each session that there is; returns the judgement of every span that ends with it. */
  look(readings: ReadonlyMap<Session, TransferReading>, terms: TransferTerms): Reason[] {
    const spans = new Map<Session, Span>();
    const reasons: Reason[] = [];
    for (const [session, reading] of readings) {
      if (reading.streamsOpen === 0) continue; // what is not in use begins anew
      const span = extended(this.#spans.get(session), reading);
      if (span.readings < SPAN_SECONDS) {
        spans.set(session, span);
        continue;
      }
      const reason = judgeSpan(span, terms);
      if (reason !== undefined) reasons.push(reason);
      spans.set(session, extended(undefined, reading));
    }
    this.#spans = spans;
    return reasons;
  }
}

function extended(span: Span | undefined, reading: TransferReading): Span {
  const { bytesQueued: leastQueued, bytesUnread: leastUnread } = reading;
  if (span === undefined) return { first: reading, last: reading, readings: 0, moving: 0, leastQueued, leastUnread };
  return {
    first: span.first,
    last: reading,
    readings: span.readings + 1,
    moving: span.moving + (reading.bytesDelivered > span.last.bytesDelivered ? 1 : 0),
    leastQueued: Math.min(span.leastQueued, leastQueued),
    leastUnread: Math.min(span.leastUnread, leastUnread),
  };
}

/** Undefined for what is no transfer, or neither slow nor at the class's rate. */
function judgeSpan(span: Span, terms: TransferTerms): Reason | undefined {
  return judgeDownload(span, terms) ?? judgeUpload(span, terms);
}

function judgeDownload(span: Span, { machineIsLate, payloadBytes }: TransferTerms): Reason | undefined {
  const { first, last, leastUnread } = span;
  const bytes = last.bytesDelivered - first.bytesDelivered;
  const isTransfer = span.moving >= SPAN_SECONDS - 1;
  const parked = leastUnread >= PARKED_BYTES;
  if (!isTransfer && !parked) return undefined;
  const replies = last.packetsReceived - first.packetsReceived;
  const wanted = last.replyRate * SPAN_SECONDS;
  const share = wanted === 0 ? Number.NaN : bytes / (wanted * payloadBytes);
  if (share >= FULL_SHARE) return 'class-rate';
  const held = judgeHindrance(last, machineIsLate);
  if (wanted > 0 && replies < REPLY_SHARE * wanted) return held ?? 'exit-slow';
  if (parked && !(share >= SLOW_SHARE)) return 'program-reads-slowly';
  if (share >= SLOW_SHARE) return undefined;
  return held ?? (wanted > 0 && bytes >= TRANSFER_BYTES ? 'site-sends-slowly' : undefined);
}

/** Bytes waited all the time: not the program held it up. */
function judgeUpload({ first, last, leastQueued }: Span, terms: TransferTerms): Reason | undefined {
  if (leastQueued === 0) return undefined;
  const share = (last.bytesSent - first.bytesSent) / (terms.mainRate * SPAN_SECONDS * terms.payloadBytes);
  const held = judgeHindrance(last, terms.machineIsLate);
  if (held !== undefined) return held;
  return share < HELD_SHARE ? 'site-reads-slowly' : 'class-rate';
}

function judgeHindrance({ lossRatio }: TransferReading, machineIsLate: boolean): Reason | undefined {
  if (machineIsLate) return 'machine-slow';
  return lossRatio >= LOSSY_SHARE ? 'path-lossy' : undefined;
}
