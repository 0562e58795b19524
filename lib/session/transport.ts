/**
 * The engine common to both ends of a session: packet numbers, acknowledgement, loss, flow control, streams. An end
 * (proxy-session.ts, requester-session.ts) decides when a packet leaves, and adds what only it sends.
 * @module
 */
import type { Rng } from '../rng.ts';
import { AckTracker } from './acks.ts';
import { ReceiveWindow } from './flow.ts';
import { FRAME, type Frame, isEliciting } from './frames.ts';
import { ACK_SHARE, INITIAL_SESSION_WINDOW_BYTES, INITIAL_STREAM_WINDOW_BYTES } from './limits.ts';
import { LossClock } from './loss-clock.ts';
import type { FrameOwner, PacketBuilder, SentFrame } from './packet-builder.ts';
import { errorCode } from './reasons.ts';
import { type SentPacket, SentPackets } from './sent-packets.ts';
import { Stream, type StreamHost } from './stream.ts';
import { StreamTable } from './stream-table.ts';
import type { DelayLaw, SessionLimits, SessionStats, StreamHandlers, StreamTarget } from './types.ts';

/** What the ends add to the engine. */
export interface TransportEnd {
  /** A frame that the engine does not handle. False: it breaks the rules. */
  onFrame(frame: Frame, packetNumber: number, nowMs: number): boolean;
  /** The peer named a stream that the table does not have. A new stream, 'gone' when it is over, or a breach. */
  onUnknownStream(id: number, nowMs: number): Stream | 'gone' | 'violation';
  /** The last stream ended, or one did. */
  onStreamEnded(nowMs: number): void;
  onPacketAcked(packet: SentPacket): void;
  onPacketLost(packet: SentPacket): void;
  /** Blocks of a packet are no longer under way: it was acknowledged, or is overdue. */
  onSurbsSettled(count: number): void;
  /** Something may have become content. */
  onWake(nowMs: number): void;
  /** The peer broke the rules. */
  onViolation(what: string, nowMs: number): void;
}

export interface TransportOptions {
  readonly rng: Rng;
  readonly delay: DelayLaw;
  readonly slotGapMs: number;
  readonly ackDelayMs: number;
  readonly peerAckDelayMs: number;
  readonly limits: SessionLimits;
}

/** One packet number in this many is followed by a gap … */
const SKIP_EVERY = 32;
/** … of up to this many unused numbers. */
const MAX_SKIP = 3;
/** A probe's wait doubles up to this: a path that comes back is noticed soon, whatever it loses. */
const MAX_PROBE_WAIT_MS = 2000;
const LOSS_RATIO_GAIN = 1 / 128;
/** Below this loss, repeating early is not worth the work. */
const WORTH_REPEATING_LOSS = 0.01;
/** How much of the time between two calls counts as time awake: more than that, and the machine slept. */
export const MAX_AWAKE_STEP_MS = 10_000;

export class Transport implements StreamHost, FrameOwner {
  readonly streams = new StreamTable();
  readonly acks: AckTracker;
  readonly clock: LossClock;
  readonly limits: SessionLimits;
  readonly #rng: Rng;
  readonly #end: TransportEnd;
  readonly #sent: SentPackets;
  readonly #window: ReceiveWindow;
  #nextNumber = 1;
  #largestAckedSentMs = Number.NEGATIVE_INFINITY;
  /** Packets below it have had their blocks settled. */
  #surbsSettledBelow = 1;
  #progressMs = 0;
  #probeCount = 0;
  /** Packets below these have been considered for early repetition. */
  #repeatedBelow = 1;
  #controlRepeatedBelow = 1;
  #pingWanted = false;
  #maxDataOwed = false;
  #peerSessionLimit = INITIAL_SESSION_WINDOW_BYTES;
  #peerStreamWindow = INITIAL_STREAM_WINDOW_BYTES;
  #peerWindowsKnown = false;
  #sentNewBytes = 0;
  #receivedBytes = 0;
  #queuedBytes = 0;
  #retainedBytes = 0;
  #deferredDrains: Stream[] = [];
  #lossRatio = 0;
  #nowMs: number;
  /** Awake time since the peer was last heard. */
  #silentMs = 0;
  readonly #counts = {
    packetsSent: 0,
    packetsReceived: 0,
    elicitingSent: 0,
    packetsLost: 0,
    packetsLostSpuriously: 0,
    probes: 0,
    repeats: 0,
    duplicatesReceived: 0,
    bytesSent: 0,
    bytesRetransmitted: 0,
    bytesDelivered: 0,
    streamsOpened: 0,
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
    this.#sent = new SentPackets(this.#nextNumber);
    this.#window = new ReceiveWindow(options.limits.sessionWindowBytes, options.limits.maxSessionWindowBytes, nowMs);
    this.#nowMs = nowMs;
  }

  // ---- time

  /** Every entry of an end calls it first. */
  advance(nowMs: number): void {
    const stepMs = nowMs - this.#nowMs;
    if (stepMs <= 0) return;
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

  /** A time in which an answer to something sent now should have come. */
  get roundMs(): number {
    return this.clock.thresholdMs;
  }

  get lossRatio(): number {
    return this.#lossRatio;
  }

  /** When `detectLosses` has something to do. */
  get lossDeadlineMs(): number {
    const oldest = this.#sent.oldestFlying();
    if (oldest === undefined) return Number.POSITIVE_INFINITY;
    if (oldest.sentMs < this.#largestAckedSentMs) return oldest.sentMs + this.#patienceMs(oldest);
    return this.#probeDeadlineMs(oldest);
  }

  /** When the engine next has something to do on its own. */
  get nextDeadlineMs(): number {
    const ackMs = this.acks.dueMs;
    return Math.min(this.lossDeadlineMs, ackMs > this.#nowMs ? ackMs : Number.POSITIVE_INFINITY);
  }

  get hasFlying(): boolean {
    return this.#sent.flying > 0;
  }

  #patienceMs(packet: SentPacket): number {
    return packet.delayMs === undefined
      ? this.clock.thresholdMs
      : Math.min(this.clock.thresholdMs, this.clock.thresholdKnowingMs(packet.delayMs));
  }

  #probeDeadlineMs(oldest: SentPacket): number {
    const { thresholdMs } = this.clock;
    const waitMs = Math.min(
      thresholdMs * 2 ** Math.min(this.#probeCount, 16),
      Math.max(thresholdMs, MAX_PROBE_WAIT_MS),
    );
    return Math.max(oldest.sentMs, this.#progressMs) + waitMs;
  }

  /**
   * Gives packets up. With a later packet acknowledged, time is up after the threshold. Without, the path may be dead:
   * then one packet's frames go again per probe time, which doubles.
   */
  detectLosses(nowMs: number): void {
    this.#settleOverdueSurbs(nowMs);
    this.#repeatControl(nowMs);
    let packet = this.#sent.oldestFlying();
    const least = this.clock.leastThresholdMs;
    while (packet !== undefined && packet.sentMs + least <= nowMs && packet.sentMs < this.#largestAckedSentMs) {
      if (packet.sentMs + this.#patienceMs(packet) <= nowMs) this.#giveUp(packet, nowMs, true);
      packet = this.#sent.oldestFlying(packet.number + 1);
    }
    const oldest = this.#sent.oldestFlying();
    if (oldest === undefined || this.#probeDeadlineMs(oldest) > nowMs) return;
    this.#probeCount++;
    this.#counts.probes++;
    this.#progressMs = nowMs;
    this.#giveUp(oldest, nowMs, false);
    this.#pingWanted = true;
  }

  /** Blocks count as under way for one threshold only, whether or not the path lives. */
  #settleOverdueSurbs(nowMs: number): void {
    for (;;) {
      const packet = this.#sent.oldestFrom(this.#surbsSettledBelow);
      if (packet === undefined || (packet.fate === 'flying' && packet.sentMs + this.clock.thresholdMs > nowMs)) return;
      this.#surbsSettledBelow = packet.number + 1;
      this.#settleSurbs(packet);
      // With nothing in it to send again, waiting for more evidence is pointless.
      if (packet.fate === 'flying' && !packet.frames.some(isRepairable)) {
        this.#giveUp(packet, nowMs, packet.sentMs < this.#largestAckedSentMs);
      }
    }
  }

  #settleSurbs(packet: SentPacket): void {
    if (packet.surbs > 0) this.#end.onSurbsSettled(packet.surbs);
    packet.surbs = 0;
  }

  /**
   * A slot is free that leaves anyway: sends the frames of a packet that is later than most are once more, without
   * giving it up. On a path that loses packets this saves most of the wait for the threshold. True if there is
   * something to send now.
   */
  repeatEarly(nowMs: number): boolean {
    if (!this.#pathIsLossy) return false;
    const beforeMs = nowMs - this.clock.usualMs;
    for (;;) {
      const packet = this.#sent.oldestFlying(this.#repeatedBelow);
      if (packet === undefined || packet.sentMs > beforeMs) return false;
      this.#repeatedBelow = packet.number + 1;
      if (!packet.frames.some(isRepairable)) continue;
      this.#counts.repeats++;
      this.#sendAgain(packet, 'all', nowMs);
      if (this.canSendData || this.owesControl(nowMs)) return true;
    }
  }

  /** The same for control frames, slot or not: they are small, and windows and openings hold everything else up. */
  #repeatControl(nowMs: number): void {
    if (!this.#pathIsLossy) return;
    const beforeMs = nowMs - this.clock.usualMs;
    for (;;) {
      const packet = this.#sent.oldestFlying(this.#controlRepeatedBelow);
      if (packet === undefined || packet.sentMs > beforeMs) return;
      this.#controlRepeatedBelow = packet.number + 1;
      this.#sendAgain(packet, 'control', nowMs);
    }
  }

  /** Where packets get lost, and not only delayed; not while nothing comes through at all. */
  get #pathIsLossy(): boolean {
    return this.#lossRatio >= WORTH_REPEATING_LOSS && this.#probeCount === 0;
  }

  /** Hands the frames of a packet back to their owners, as far as that has not been done yet. */
  #sendAgain(packet: SentPacket, what: 'control' | 'all', nowMs: number): void {
    const before = packet.sentAgain;
    if (before === 'all' || before === what) return;
    packet.sentAgain = what;
    for (const frame of packet.frames) {
      const isData = frame.type === FRAME.DATA;
      if (isData ? what === 'all' : before === 'none') frame.owner.frameLost(frame, nowMs);
    }
  }

  #giveUp(packet: SentPacket, nowMs: number, byEvidence: boolean): void {
    this.#sent.settle(packet, 'lost');
    this.#settleSurbs(packet);
    this.#counts.packetsLost++;
    if (byEvidence) {
      this.#lossRatio += LOSS_RATIO_GAIN * (1 - this.#lossRatio);
      this.#end.onPacketLost(packet);
    }
    if (packet.sentAgain !== 'all') {
      for (const frame of packet.frames) if (frame.type === FRAME.DATA) this.#counts.bytesRetransmitted += frame.length;
    }
    this.#sendAgain(packet, 'all', nowMs);
  }

  // ---- receiving

  /** Whether a packet with this number came before. Counts it. */
  isDuplicate(number: number): boolean {
    this.#silentMs = 0;
    this.#counts.packetsReceived++;
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
    this.#silentMs = 0;
    this.#counts.packetsReceived++;
    for (const frame of frames) {
      const sound = frame.type === FRAME.ACK && this.#onAck(frame.ranges, nowMs);
      if (!sound) {
        this.#end.onViolation(`frame ${frame.type} without number`, nowMs);
        return;
      }
    }
  }

  #onFrame(frame: Frame, number: number, nowMs: number): boolean {
    switch (frame.type) {
      case FRAME.PING:
        return true;
      case FRAME.ACK:
        return this.#onAck(frame.ranges, nowMs);
      case FRAME.MAX_DATA:
        if (frame.limit > this.#peerSessionLimit) {
          this.#peerSessionLimit = frame.limit;
          this.streams.unpark();
        }
        return true;
      case FRAME.DATA:
      case FRAME.RESET:
      case FRAME.STOP:
      case FRAME.MAX_STREAM_DATA:
        return this.#onStreamFrame(frame, nowMs);
      default:
        return this.#end.onFrame(frame, number, nowMs);
    }
  }

  #onStreamFrame(frame: Extract<Frame, { type: 8 | 10 | 11 | 13 }>, nowMs: number): boolean {
    const stream = this.streams.get(frame.stream) ?? this.#end.onUnknownStream(frame.stream, nowMs);
    if (stream === 'gone') return true;
    if (stream === 'violation') return false;
    switch (frame.type) {
      case FRAME.DATA:
        if (!this.#grow(stream.onData(frame.offset, frame.bytes, frame.fin))) return false;
        stream.afterData(nowMs);
        return true;
      case FRAME.RESET:
        if (!this.#grow(stream.onReset(errorCode(frame.reason), frame.finalSize))) return false;
        stream.afterReset(nowMs);
        return true;
      case FRAME.STOP:
        stream.onStop(errorCode(frame.reason), nowMs);
        return true;
      case FRAME.MAX_STREAM_DATA:
        stream.onMaxStreamData(frame.limit);
        return true;
    }
  }

  #grow(bytes: number | 'violation'): boolean {
    if (bytes === 'violation') return false;
    this.#receivedBytes += bytes;
    return this.#receivedBytes <= this.#window.limit;
  }

  #onAck(ranges: readonly number[], nowMs: number): boolean {
    let progress = false;
    for (let i = 0; i < ranges.length; i += 2) {
      const lastInRange = ranges[i + 1] as number;
      if (lastInRange >= this.#nextNumber) return false;
      const [first, last] = this.#sent.clip(ranges[i] as number, lastInRange);
      for (let number = last; number >= first; number--) {
        const packet = this.#sent.get(number);
        if (packet === null) return false; // never sent: the peer guesses
        if (packet === undefined || packet.fate === 'acked') continue;
        this.#sample(packet, !progress, nowMs);
        this.#onPacketAcked(packet, nowMs);
        progress = true;
      }
    }
    if (progress) {
      this.#probeCount = 0;
      this.#progressMs = nowMs;
      this.detectLosses(nowMs);
    }
    return true;
  }

  /**
   * Every newly acknowledged packet tells the round trip, unless it is older than the threshold: then it has most
   * likely waited for an ACK that was lost, or for a path that was dead. Of such packets only the highest of an ACK
   * counts, so that a path that became slower is still noticed.
   */
  #sample(packet: SentPacket, highest: boolean, nowMs: number): void {
    const ageMs = nowMs - packet.sentMs;
    if (packet.fate === 'flying') this.clock.onTimely();
    else if (ageMs < 2 * this.clock.thresholdMs) this.clock.onHasty();
    if (highest || ageMs <= this.clock.thresholdMs) this.clock.sample(ageMs);
  }

  #onPacketAcked(packet: SentPacket, nowMs: number): void {
    if (packet.fate === 'lost') {
      this.#counts.packetsLostSpuriously++;
    } else {
      this.#lossRatio -= LOSS_RATIO_GAIN * this.#lossRatio;
      this.#end.onPacketAcked(packet);
    }
    this.#sent.settle(packet, 'acked');
    this.#settleSurbs(packet);
    if (packet.sentMs > this.#largestAckedSentMs) this.#largestAckedSentMs = packet.sentMs;
    for (const frame of packet.frames) frame.owner.frameAcked(frame, nowMs);
  }

  // ---- sending

  /** The number for the next packet; some are skipped, so that a hole proves nothing and a liar is found out. */
  takeNumber(): number {
    const number = this.#nextNumber;
    this.#nextNumber++;
    if (this.#rng.int(SKIP_EVERY) === 0) this.#nextNumber += 1 + this.#rng.int(MAX_SKIP);
    return number;
  }

  /** Session credit for bytes never sent before: the peer's, within our own bound on what is kept for it. */
  get credit(): number {
    const ownBytes = this.limits.maxSessionWindowBytes - this.#retainedBytes;
    return Math.min(this.#peerSessionLimit - this.#sentNewBytes, ownBytes);
  }

  /** Whether control frames wait that must not wait for data. */
  owesControl(nowMs: number): boolean {
    return this.#pingWanted || this.#maxDataOwed || this.streams.owesControl || this.acks.dueMs <= nowMs;
  }

  /** Whether stream bytes can be sent. */
  get canSendData(): boolean {
    return this.#sent.flying < this.limits.maxInFlightPackets && this.streams.canSend(this.credit);
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Whether an ACK is worth a slot that is free: one went out lately and may have been lost. */
  repeatsAck(nowMs: number): boolean {
    return this.#lossRatio >= WORTH_REPEATING_LOSS && this.acks.repeatDueMs <= nowMs;
  }

  writeAck(builder: PacketBuilder, nowMs: number): void {
    this.acks.writeTo(builder, builder.bytes.byteLength * ACK_SHARE, nowMs);
  }

  /** Puts an ACK into a packet that may leave late or never. */
  repeatAck(builder: PacketBuilder): void {
    this.acks.repeatTo(builder, builder.bytes.byteLength * ACK_SHARE);
  }

  writeControl(builder: PacketBuilder): void {
    if (this.#maxDataOwed && builder.maxData(this, this.#window.limit)) this.#maxDataOwed = false;
    if (this.streams.owesControl) this.streams.writeControl(builder);
  }

  writeData(builder: PacketBuilder): void {
    if (!this.canSendData) return;
    const written = this.streams.writeData(builder, this.credit);
    this.#sentNewBytes += written.newBytes;
    this.#counts.bytesSent += written.bytes;
  }

  wantPing(): void {
    this.#pingWanted = true;
  }

  /** Ends the making of a packet: it counts as sent now. */
  finish(builder: PacketBuilder, number: number, nowMs: number, paceRound = 0): void {
    if (this.#pingWanted && (builder.eliciting || builder.ping(this))) this.#pingWanted = false;
    this.#counts.packetsSent++;
    const { frames, surbs, eliciting } = builder;
    if (eliciting) this.#counts.elicitingSent++;
    // A packet that asks for no acknowledgement is settled from the start; its number may be acknowledged all the same.
    const fate = eliciting ? 'flying' : 'acked';
    this.#sent.add({ number, sentMs: nowMs, frames, surbs, delayMs: undefined, sentAgain: 'none', fate, paceRound });
    this.#flushDrains();
  }

  /** Tells the mix delays drawn for packet `number`. */
  setDelay(number: number, delayMs: number): void {
    const packet = this.#sent.get(number);
    if (packet) packet.delayMs = delayMs;
  }

  // ---- streams

  newStream(id: number, nowMs: number, target?: StreamTarget, handlers?: StreamHandlers): Stream {
    const { streamWindowBytes, maxStreamWindowBytes, unsentHighWaterBytes } = this.limits;
    const common = {
      id,
      windowBytes: streamWindowBytes,
      maxWindowBytes: maxStreamWindowBytes,
      peerWindowBytes: this.#peerStreamWindow,
      unsentHighWaterBytes,
    };
    const stream = new Stream(this, target === undefined ? common : { ...common, target }, nowMs, handlers);
    this.streams.add(stream);
    this.#counts.streamsOpened++;
    return stream;
  }

  /** The requester learned the proxy's windows. Later HELLOs say the same, and may be overtaken by MAX_DATA. */
  setPeerWindows(sessionWindow: number, streamWindow: number): void {
    if (this.#peerWindowsKnown) return;
    this.#peerWindowsKnown = true;
    this.#peerStreamWindow = streamWindow;
    this.#peerSessionLimit = sessionWindow;
  }

  closeStreams(code: Parameters<Stream['sessionClosed']>[0]): void {
    const streams = [...this.streams.values()];
    this.streams.clear();
    for (const stream of streams) stream.sessionClosed(code);
  }

  wantControl(stream: Stream): void {
    this.streams.wantControl(stream);
  }

  wantData(stream: Stream): void {
    this.streams.wantData(stream);
  }

  queuedChanged(deltaQueued: number, deltaRetained: number): void {
    const ownBoundHeld = this.#retainedBytes >= this.limits.maxSessionWindowBytes;
    this.#queuedBytes += deltaQueued;
    this.#retainedBytes += deltaRetained;
    if (ownBoundHeld && deltaRetained < 0) this.streams.unpark();
  }

  /** Bytes of the peer that were neither consumed nor given up: what its streams keep in memory here, at most. */
  get unreadBytes(): number {
    return this.#receivedBytes - this.#window.consumed;
  }

  creditSession(bytes: number, nowMs: number): void {
    this.#counts.bytesDelivered += bytes;
    if (this.#window.consume(bytes, this.roundMs, nowMs)) this.#maxDataOwed = true;
  }

  deferDrain(stream: Stream): void {
    this.#deferredDrains.push(stream);
  }

  windowGrew(windowBytes: number): void {
    // Room for two streams at full speed, so that one that is not read does not stop the other.
    if (2 * windowBytes <= this.#window.windowBytes) return;
    if (this.#window.widen(2 * windowBytes)) this.#maxDataOwed = true;
  }

  ended(stream: Stream): void {
    this.streams.remove(stream);
    this.#end.onStreamEnded(this.#nowMs);
  }

  wake(nowMs: number): void {
    this.#end.onWake(nowMs);
  }

  #flushDrains(): void {
    if (this.#deferredDrains.length === 0) return;
    const streams = this.#deferredDrains;
    this.#deferredDrains = [];
    for (const stream of streams) stream.drained();
  }

  frameAcked(): void {}

  frameLost(frame: SentFrame): void {
    if (frame.type === FRAME.MAX_DATA) this.#maxDataOwed = true;
    if (frame.type === FRAME.PING) this.#pingWanted = true;
  }

  stats(): SessionStats {
    let bytesHeldOutOfOrder = 0;
    for (const stream of this.streams.values()) bytesHeldOutOfOrder += stream.heldBytes;
    return {
      ...this.#counts,
      bytesQueued: this.#queuedBytes,
      bytesHeldOutOfOrder,
      streamsOpen: this.streams.size,
      inFlightPackets: this.#sent.flying,
      smoothedRttMs: this.clock.srttMs,
      lossThresholdMs: this.clock.thresholdMs,
      lossRatio: this.#lossRatio,
    };
  }
}

/** Whether a frame is sent again when its packet is lost. */
function isRepairable(frame: SentFrame): boolean {
  return frame.type !== FRAME.SURBS && frame.type !== FRAME.DATAGRAM;
}
