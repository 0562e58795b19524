/**
 * The engine common to both ends of a session: packet numbers, acknowledgement, loss, and the frames of each packet. An
 * end (proxy-session.ts, requester-session.ts) decides when a packet leaves, and adds what only it sends.
 * @module
 */
import type { Rng } from '../rng.ts';
import { AckTracker } from './acks.ts';
import { FRAME, type Frame, isEliciting } from './frames.ts';
import { ACK_SHARE } from './limits.ts';
import { LossClock } from './loss-clock.ts';
import type { FrameOwner, PacketBuilder, SentFrame } from './packet-builder.ts';
import { Recovery, type RecoveryListener } from './recovery.ts';
import { SessionStreams, type StreamsOwner } from './session-streams.ts';
import type { DelayLaw, SessionLimits, SessionStats } from './types.ts';

/** What the ends add to the engine. */
export interface TransportEnd
  extends Omit<RecoveryListener, 'onProbe'>,
    Pick<StreamsOwner, 'onUnknownStream' | 'onStreamEnded' | 'onWake'> {
  /** A frame that the engine does not handle. False: it breaks the rules. */
  onFrame(frame: Frame, packetNumber: number, nowMs: number): boolean;
  /** The peer broke the rules. */
  onViolation(what: string, nowMs: number): void;
}

export interface TransportOptions {
  readonly rng: Rng;
  readonly delay: DelayLaw;
  readonly payloadBytes: number;
  readonly slotGapMs: number;
  readonly ackDelayMs: number;
  readonly peerAckDelayMs: number;
  readonly limits: SessionLimits;
}

/** One packet number in this many is followed by a gap … */
const SKIP_EVERY = 32;
/** … of up to this many unused numbers. */
const MAX_SKIP = 3;
/** How much of the time between two calls counts as time awake: more than that, and the machine slept. */
export const MAX_AWAKE_STEP_MS = 10_000;

export class Transport implements StreamsOwner, FrameOwner {
  readonly streams: SessionStreams;
  readonly acks: AckTracker;
  readonly clock: LossClock;
  readonly limits: SessionLimits;
  readonly #rng: Rng;
  readonly #end: TransportEnd;
  readonly #recovery: Recovery;
  #nextNumber = 1;
  #pingWanted = false;
  #nowMs: number;
  /** Awake time since the peer was last heard … */
  #silentMs = 0;
  /** … and how much of it had passed when something was sent that asks for an answer. */
  #askedAfterMs = Number.POSITIVE_INFINITY;
  readonly #counts = {
    packetsSent: 0,
    packetsReceived: 0,
    elicitingSent: 0,
    duplicatesReceived: 0,
  };

  constructor(options: TransportOptions, end: TransportEnd, nowMs: number) {
    this.#rng = options.rng;
    this.#end = end;
    this.limits = options.limits;
    this.acks = new AckTracker(options.ackDelayMs);
    this.clock = new LossClock({
      delay: options.delay,
      slotGapMs: options.slotGapMs,
      ackDelayMs: options.peerAckDelayMs,
    });
    const onProbe = () => {
      this.#pingWanted = true;
    };
    this.#recovery = new Recovery(
      this.clock,
      {
        onPacketAcked: (packet) => end.onPacketAcked(packet),
        onPacketLost: (packet) => end.onPacketLost(packet),
        onSurbsSettled: (count) => end.onSurbsSettled(count),
        onProbe,
      },
      this.#nextNumber,
    );
    this.streams = new SessionStreams(this, options.limits, options.payloadBytes, nowMs);
    this.#nowMs = nowMs;
  }

  // ---- time

  /** Every entry of an end calls it first. */
  advance(nowMs: number): void {
    const stepMs = nowMs - this.#nowMs;
    if (stepMs <= 0) return;
    if (stepMs > MAX_AWAKE_STEP_MS) this.#recovery.onSlept(nowMs);
    this.#silentMs += Math.min(stepMs, MAX_AWAKE_STEP_MS);
    this.#nowMs = nowMs;
  }

  get nowMs(): number {
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

  get lossRatio(): number {
    return this.#recovery.lossRatio;
  }

  /** When the engine next has something to do on its own. */
  get nextDeadlineMs(): number {
    const ackMs = this.acks.dueMs;
    return Math.min(this.#recovery.deadlineMs, ackMs > this.#nowMs ? ackMs : Number.POSITIVE_INFINITY);
  }

  detectLosses(nowMs: number): void {
    this.#recovery.detect(nowMs);
  }

  /** Fills a slot that leaves anyway with what is overdue. True when there is something to send now. */
  repeatEarly(nowMs: number): boolean {
    while (this.#recovery.repeatEarly(nowMs)) if (this.canSendData || this.owesControl(nowMs)) return true;
    return false;
  }

  // ---- receiving

  /** Whether a packet with this number came before. Counts it. */
  isDuplicate(number: number): boolean {
    this.#onHeard();
    if (!this.acks.isDuplicate(number)) return false;
    this.#counts.duplicatesReceived++;
    return true;
  }

  /** Handles all frames of a new packet. `alive` tells whether a frame ended the session. */
  onFrames(number: number, frames: readonly Frame[], alive: () => boolean, nowMs: number): void {
    let eliciting = false;
    let urgent = false;
    for (const frame of frames) {
      eliciting ||= isEliciting(frame.type);
      urgent ||= frame.type === FRAME.DATA && frame.fin;
    }
    this.acks.onReceived(number, eliciting, urgent, this.clock.thresholdMs, nowMs);
    for (const frame of frames) {
      if (!this.#onFrame(frame, number, nowMs)) this.#end.onViolation(`frame ${frame.type}`, nowMs);
      if (!alive()) return;
    }
  }

  /** Handles a packet that only filled a slot, and may be old: an ACK in it is as good as any, nothing else counts. */
  onUnnumbered(frames: readonly Frame[], nowMs: number): void {
    this.#onHeard();
    for (const frame of frames) {
      const sound = frame.type === FRAME.ACK && this.#recovery.onAck(frame.ranges, this.#nextNumber, nowMs);
      if (!sound) {
        this.#end.onViolation(`frame ${frame.type} without number`, nowMs);
        return;
      }
    }
  }

  #onHeard(): void {
    this.#counts.packetsReceived++;
    this.#silentMs = 0;
    this.#askedAfterMs = Number.POSITIVE_INFINITY;
  }

  #onFrame(frame: Frame, number: number, nowMs: number): boolean {
    switch (frame.type) {
      case FRAME.PING:
        return true;
      case FRAME.ACK:
        return this.#recovery.onAck(frame.ranges, this.#nextNumber, nowMs);
      default:
        return this.streams.onFrame(frame, nowMs) ?? this.#end.onFrame(frame, number, nowMs);
    }
  }

  // ---- sending

  /** The number for the next packet; some are skipped, so that a hole proves nothing and a liar is found out. */
  takeNumber(): number {
    const number = this.#nextNumber;
    this.#nextNumber++;
    if (this.#rng.int(SKIP_EVERY) === 0) this.#nextNumber += 1 + this.#rng.int(MAX_SKIP);
    return number;
  }

  /** Whether control frames wait that must not wait for data. */
  owesControl(nowMs: number): boolean {
    return this.#pingWanted || this.streams.owesControl || this.acks.dueMs <= nowMs;
  }

  /** Whether stream bytes or datagrams can be sent. */
  get canSendData(): boolean {
    return this.#recovery.flying < this.limits.maxInFlightPackets && this.streams.canSend;
  }

  /** Whether an ACK is worth a slot that is free: one went out lately and may have been lost. */
  repeatsAck(nowMs: number): boolean {
    return this.#recovery.pathIsLossy && this.acks.repeatDueMs <= nowMs;
  }

  writeAck(builder: PacketBuilder, nowMs: number): void {
    this.acks.writeTo(builder, builder.bytes.byteLength * ACK_SHARE, nowMs);
  }

  /** Puts an ACK into a packet that may leave late or never. */
  repeatAck(builder: PacketBuilder): void {
    this.acks.repeatTo(builder, builder.bytes.byteLength * ACK_SHARE);
  }

  writeControl(builder: PacketBuilder): void {
    this.streams.writeControl(builder);
  }

  writeData(builder: PacketBuilder): void {
    if (this.canSendData) this.streams.writeData(builder);
  }

  wantPing(): void {
    this.#pingWanted = true;
  }

  /** Ends the making of a packet: it counts as sent now. */
  finish(builder: PacketBuilder, number: number, nowMs: number, paceRound = 0): void {
    if (this.#pingWanted && (builder.eliciting || builder.ping(this))) this.#pingWanted = false;
    this.#counts.packetsSent++;
    const { frames, surbs, eliciting } = builder;
    if (eliciting) {
      this.#counts.elicitingSent++;
      this.#askedAfterMs = Math.min(this.#askedAfterMs, this.#silentMs);
    }
    // A packet that asks for no acknowledgement is settled from the start; its number may be acknowledged all the same.
    const fate = eliciting ? 'flying' : 'acked';
    this.#recovery.onSent({
      number,
      sentMs: nowMs,
      frames,
      surbs,
      delayMs: undefined,
      sentAgain: 'none',
      fate,
      paceRound,
    });
    this.streams.flushDrains();
  }

  /** Tells the mix delays drawn for packet `number`. */
  setDelay(number: number, delayMs: number): void {
    this.#recovery.setDelay(number, delayMs);
  }

  frameAcked(): void {}

  frameLost(frame: SentFrame): void {
    if (frame.type === FRAME.PING) this.#pingWanted = true;
  }

  // ---- what the streams are told

  onUnknownStream(id: number, nowMs: number) {
    return this.#end.onUnknownStream(id, nowMs);
  }

  onStreamEnded(nowMs: number): void {
    this.#end.onStreamEnded(nowMs);
  }

  onWake(nowMs: number): void {
    this.#end.onWake(nowMs);
  }

  stats(): SessionStats {
    return {
      ...this.#counts,
      ...this.#recovery.counts,
      ...this.streams.counts,
      bytesQueued: this.streams.queuedBytes,
      bytesHeldOutOfOrder: this.streams.heldBytes,
      streamsOpen: this.streams.size,
      inFlightPackets: this.#recovery.flying,
      smoothedRttMs: this.clock.srttMs,
      lossThresholdMs: this.clock.thresholdMs,
      lossRatio: this.lossRatio,
    };
  }
}
