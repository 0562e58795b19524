/**
 * What both ends of a session have in common: packet numbers, acknowledgement, loss detection, and the streams. An end
 * (proxy-session.ts, requester-session.ts) decides when a packet leaves, and adds the frames that only it sends.
 * @module
 */

import type { DelayLaws } from '../core/delay-law.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { Rng } from '../core/rng.ts';
import type { SessionParams } from '../core/session-params.ts';
import type { MonotonicMs } from '../core/units.ts';
import { ACK_SHARE } from './limits.ts';
import { AckTracker } from './recovery/acks.ts';
import { LossClock } from './recovery/loss-clock.ts';
import { LossDetection } from './recovery/loss-detection.ts';
import type { Pacer } from './recovery/pacer.ts';
import { SessionStreams, type SessionStreamsOptions } from './streams/session-streams.ts';
import type { SessionLimits, SessionStats } from './types.ts';
import { type AckFrame, FRAME, type Frame, isEliciting } from './wire/frames.ts';
import type { FrameOwner, PacketBuilder } from './wire/packet-builder.ts';
import { UNNUMBERED } from './wire/payload.ts';

export interface SessionEndOptions
  extends Pick<SessionStreamsOptions, 'wake'>,
    Partial<Pick<SessionStreamsOptions, 'accept' | 'memory'>> {
  readonly rng: Rng;
  readonly delay: DelayLaws;
  readonly payloadBytes: number;
  readonly slotGapMs: number;
  readonly ackDelayMs: number;
  readonly peerAckDelayMs: number;
  /** `ackEveryPackets` and `skipEvery` of the network. */
  readonly params: SessionParams;
  readonly limits: SessionLimits;
  /** Paces burst mode. */
  readonly pacer?: Pacer;
}

/** One packet number in `skipEvery` is followed by a gap of up to this many unused numbers. */
const MAX_SKIP = 3;
const FIRST_NUMBER = 1;
/** Memory of a session without streams, and of a stream without bytes. */
const SESSION_BYTES = 4096;
const STREAM_BYTES = 4096;
/** How much of the time between two calls counts as time awake: more than that, and the machine slept. */
export const MAX_AWAKE_STEP_MS = 10_000;

export class SessionEnd implements FrameOwner {
  readonly limits: SessionLimits;
  readonly clock: LossClock;
  readonly acks: AckTracker;
  readonly loss: LossDetection;
  readonly streams: SessionStreams;
  readonly #rng: Rng;
  readonly #skipEvery: number;
  readonly #laws: DelayLaws;
  #nextNumber = FIRST_NUMBER;
  #pingWanted = false;
  #closed = false;
  #nowMs: MonotonicMs;
  /** Awake time since a packet of the peer was last received … */
  #silentMs = 0;
  /** … and how much of it had passed when something was sent that asks for an answer. */
  #askedAfterMs = Number.POSITIVE_INFINITY;
  readonly #counts = { packetsSent: 0, packetsReceived: 0, elicitingSent: 0, duplicatesReceived: 0 };

  constructor(options: SessionEndOptions, nowMs: MonotonicMs) {
    const { delay, slotGapMs, limits, payloadBytes, accept, wake, memory } = options;
    this.#rng = options.rng;
    this.limits = limits;
    this.#skipEvery = options.params.skipEvery;
    this.#laws = delay;
    this.acks = new AckTracker(options.ackDelayMs, options.params.ackEveryPackets);
    this.clock = new LossClock({ delay: delay.underWay(nowMs), slotGapMs, ackDelayMs: options.peerAckDelayMs });
    this.loss = new LossDetection(this.clock, FIRST_NUMBER, options.pacer);
    const { clock } = this;
    this.streams = new SessionStreams({ limits, payloadBytes, clock, accept, wake, memory }); // kept: no more than it needs
    this.#nowMs = nowMs;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Nothing is taken or sent any more; the streams end with `code`. */
  close(code: ErrorCode): void {
    this.#closed = true;
    this.streams.close(code);
  }

  /** Memory that it takes, beside the bytes of its streams. */
  get memoryBytes(): number {
    return SESSION_BYTES + this.streams.size * STREAM_BYTES + this.loss.memoryBytes;
  }

  // ---- time

  /** Every entry of an end calls it first. */
  advance(nowMs: MonotonicMs): void {
    const stepMs = nowMs - this.#nowMs;
    if (stepMs <= 0) return;
    if (stepMs > MAX_AWAKE_STEP_MS) this.loss.onSlept(nowMs);
    this.#silentMs += Math.min(stepMs, MAX_AWAKE_STEP_MS);
    this.#nowMs = nowMs;
    this.clock.setLaw(this.#laws.underWay(nowMs));
  }

  get nowMs(): MonotonicMs {
    return this.#nowMs;
  }

  /** For how long nothing came from the peer, not counting time in which the machine slept. */
  get silentMs(): number {
    return this.#silentMs;
  }

  /** The same, since something was sent that asks for an answer; 0 when nothing was. */
  get unansweredMs(): number {
    return Math.max(0, this.#silentMs - this.#askedAfterMs);
  }

  /** A time in which an answer to something sent now should have come. */
  get roundMs(): number {
    return this.clock.thresholdMs;
  }

  /** When loss detection or an acknowledgement is next due. */
  get nextDeadlineMs(): number {
    const ackMs = this.acks.dueMs;
    return Math.min(this.loss.deadlineMs, ackMs > this.#nowMs ? ackMs : Number.POSITIVE_INFINITY);
  }

  // ---- receiving

  /** Handles a packet; frames that are not common to both ends go to `onFrame`. False when one breaks the rules. */
  receive(number: number, frames: readonly Frame[], onFrame: (frame: Frame) => boolean, nowMs: MonotonicMs): boolean {
    this.#counts.packetsReceived++;
    this.#silentMs = 0;
    this.#askedAfterMs = Number.POSITIVE_INFINITY;
    if (number === UNNUMBERED) return frames.every((frame) => frame.type === FRAME.ACK && this.#onAck(frame, nowMs));
    if (this.acks.isDuplicate(number)) {
      this.#counts.duplicatesReceived++;
      return true;
    }
    const eliciting = frames.some(({ type }) => isEliciting(type));
    const urgent = frames.some((frame) => frame.type === FRAME.DATA && frame.fin);
    this.acks.onReceived(number, eliciting, urgent, this.roundMs, nowMs);
    for (const frame of frames) {
      if (!(this.#onCommonFrame(frame, nowMs) ?? onFrame(frame))) return false;
      if (this.#closed) return true;
    }
    return true;
  }

  #onCommonFrame(frame: Frame, nowMs: MonotonicMs): boolean | undefined {
    if (frame.type === FRAME.PING) return true;
    if (frame.type === FRAME.ACK) return this.#onAck(frame, nowMs);
    return this.streams.onFrame(frame, nowMs);
  }

  /** A packet without number only filled a slot, and may be old: an ACK in it is as good as any. */
  #onAck(frame: AckFrame, nowMs: MonotonicMs): boolean {
    return this.loss.onAck(frame.ranges, this.#nextNumber, nowMs);
  }

  // ---- sending

  /** The number for the next packet. Some are skipped: a peer that acknowledges one of them has not received it. */
  takeNumber(): number {
    const number = this.#nextNumber;
    this.#nextNumber++;
    if (this.#rng.int(this.#skipEvery) === 0) this.#nextNumber += 1 + this.#rng.int(MAX_SKIP);
    return number;
  }

  /** Whether control frames wait that must not wait for data. */
  owesControl(nowMs: MonotonicMs): boolean {
    return this.#pingOwed || this.streams.owesControl || this.acks.dueMs <= nowMs;
  }

  /** Whether stream bytes or datagrams can be sent. */
  get canSendData(): boolean {
    return this.loss.flying < this.limits.maxInFlightPackets && this.streams.canSend;
  }

  /** Whether a slot that leaves anyway may repeat an ACK or frames that are overdue. */
  mayRepeat(nowMs: MonotonicMs): boolean {
    return this.#repeatsAck(nowMs) || this.loss.canRetransmitEarly(nowMs);
  }

  /** An ACK went out lately and may have been lost. */
  #repeatsAck(nowMs: MonotonicMs): boolean {
    return this.loss.pathIsLossy && this.acks.repeatDueMs <= nowMs;
  }

  /** A slot leaves anyway: without an ACK to repeat, hands overdue frames back until there is something to send. */
  retransmitEarly(nowMs: MonotonicMs): void {
    while (!this.#repeatsAck(nowMs) && !this.canSendData && !this.owesControl(nowMs)) {
      if (!this.loss.retransmitEarly(nowMs)) return;
    }
  }

  writeAck(builder: PacketBuilder, nowMs: MonotonicMs): void {
    this.acks.writeTo(builder, builder.bytes.byteLength * ACK_SHARE, nowMs);
  }

  wantPing(): void {
    this.#pingWanted = true;
  }

  /** Ends the making of a packet: it counts as sent now. */
  finish(builder: PacketBuilder, number: number, nowMs: MonotonicMs, paceRound?: number): void {
    if (this.#pingOwed && (builder.eliciting || builder.ping(this))) {
      this.#pingWanted = false;
      this.loss.probeDue = false;
    }
    this.#counts.packetsSent++;
    const { frames, eliciting } = builder;
    if (eliciting) {
      this.#counts.elicitingSent++;
      this.#askedAfterMs = Math.min(this.#askedAfterMs, this.#silentMs);
    }
    // A packet that asks for no acknowledgement is settled from the start; its number may be acknowledged all the same.
    const fate = eliciting ? 'flying' : 'acked';
    const open = { delayMs: undefined, sentAgain: 'none', surbsSettled: false } as const;
    this.loss.onSent({ number, sentMs: nowMs, frames, fate, paceRound, ...open });
    this.streams.flushDrains();
  }

  get #pingOwed(): boolean {
    return this.#pingWanted || this.loss.probeDue;
  }

  /** PING is the only frame of its own. */
  frameAcked(): void {}

  frameLost(): void {
    this.#pingWanted = true;
  }

  stats(): SessionStats {
    return {
      ...this.#counts,
      ...this.loss.counts,
      ...this.streams.counts,
      bytesQueued: this.streams.flow.queuedBytes,
      bytesHeldOutOfOrder: this.streams.heldBytes,
      bytesUnread: this.streams.flow.unreadBytes,
      streamsOpen: this.streams.size,
      inFlightPackets: this.loss.flying,
      smoothedRttMs: this.clock.srttMs,
      lossThresholdMs: this.clock.thresholdMs,
      lossRatio: this.loss.lossRatio,
    };
  }
}
