/**
 * Loss detection (RFC 9002 section 6): which packets were acknowledged, which are lost, and which frames are sent again
 * because of it.
 *
 * With a later packet acknowledged, a packet is lost once it is older than the threshold (loss-clock.ts). Without,
 * the path may be dead: then only probes go out, the frames of the oldest packets, less and less often. Frames are
 * sent again, by their owners, in new packets over new routes; never packets.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';
import { FRAME } from '../wire/frames.ts';
import type { SentFrame } from '../wire/packet-builder.ts';
import type { LossClock } from './loss-clock.ts';
import type { Pacer } from './pacer.ts';
import { type SentPacket, SentPackets } from './sent-packets.ts';

/** Where half of the packets get lost, several probes in a row do: only then is it worth waiting longer. */
const PROBES_BEFORE_DOUBLING = 3;
/** Packets whose frames one probe time sends again. */
const PACKETS_PER_PROBE = 2;
/** A probe's wait doubles up to this: a path that comes back is noticed soon, whatever it loses. */
const MAX_PROBE_WAIT_MS = 2000;
const LOSS_RATIO_GAIN = 1 / 128;
/** Below this loss, repeating early is not worth the work. */
const WORTH_REPEATING_LOSS = 0.01;

export class LossDetection {
  readonly #sent: SentPackets;
  #largestAckedSentMs = Number.NEGATIVE_INFINITY;
  /** When the last packet was acknowledged or the last probe went out. */
  #progressMs = 0;
  #probeCount = 0;
  #lossRatio = 0;
  /** Packets below these have been looked at for settling their blocks, and for early repetition. */
  #surbsSettledBelow = 1;
  #repeatedBelow = 1;
  #controlRepeatedBelow = 1;
  /** The machine slept until then: ages of packets from before mean nothing. */
  #sleptUntilMs = Number.NEGATIVE_INFINITY;
  /** A probe is due: whatever else is in it, it must ask for an acknowledgement. */
  probeDue = false;
  readonly counts = { packetsLost: 0, packetsLostSpuriously: 0, probes: 0, repeats: 0, bytesRetransmitted: 0 };

  constructor(
    private readonly clock: LossClock,
    firstNumber: number,
    private readonly pacer?: Pacer,
  ) {
    this.#sent = new SentPackets(firstNumber);
  }

  get flying(): number {
    return this.#sent.flying;
  }

  /** Memory of the packets that are remembered. */
  get memoryBytes(): number {
    return this.#sent.memoryBytes;
  }
  /** Share of packets that get lost. */
  get lossRatio(): number {
    return this.#lossRatio;
  }

  /** Where packets get lost, and not only delayed; not while nothing comes through at all. */
  get pathIsLossy(): boolean {
    return this.#lossRatio >= WORTH_REPEATING_LOSS && this.#probeCount === 0;
  }

  onSent(packet: SentPacket): void {
    this.#sent.add(packet);
  }

  onSlept(nowMs: MonotonicMs): void {
    this.#sleptUntilMs = nowMs;
  }

  /** Sets the sum of the mix delays drawn for packet `number`. */
  setDelay(number: number, delayMs: number): void {
    const packet = this.#sent.get(number);
    if (packet?.fate === 'flying') packet.delayMs = delayMs;
  }

  // ---- acknowledgement

  /** Takes the ranges of an ACK. False when they name a packet that was never sent: the peer guesses. */
  onAck(ranges: readonly number[], nextNumber: number, nowMs: MonotonicMs): boolean {
    let progress = false;
    for (let i = 0; i < ranges.length; i += 2) {
      const lastInRange = ranges[i + 1] as number;
      if (lastInRange >= nextNumber) return false;
      const [first, last] = this.#sent.clip(ranges[i] as number, lastInRange);
      for (let number = last; number >= first; number--) {
        const packet = this.#sent.get(number);
        if (packet === null) return false;
        if (packet === undefined || packet.fate === 'acked') continue;
        this.#sample(packet, !progress, nowMs);
        this.#onPacketAcked(packet, nowMs);
        progress = true;
      }
    }
    if (!progress) return true;
    this.#probeCount = 0;
    this.#progressMs = nowMs;
    this.detect(nowMs);
    return true;
  }

  /**
   * Every newly acknowledged packet tells the round trip, unless it is older than the threshold: then it has most
   * likely waited for an ACK that was lost, or for a path that was dead. Of such packets only the highest of an ACK
   * counts, so that a path that became slower is still noticed.
   */
  #sample(packet: SentPacket, highest: boolean, nowMs: MonotonicMs): void {
    if (packet.sentMs < this.#sleptUntilMs) return;
    const ageMs = nowMs - packet.sentMs;
    if (packet.fate === 'flying') this.clock.onTimely();
    else if (ageMs < 2 * this.clock.thresholdMs) this.clock.onSpurious();
    if (highest || ageMs <= this.clock.thresholdMs) this.clock.sample(ageMs);
  }

  #onPacketAcked(packet: SentPacket, nowMs: MonotonicMs): void {
    if (packet.fate === 'lost') {
      this.counts.packetsLostSpuriously++;
    } else {
      this.#lossRatio -= LOSS_RATIO_GAIN * this.#lossRatio;
      if (packet.paceRound !== undefined) this.pacer?.onAcked(packet.paceRound);
    }
    this.#sent.settle(packet, 'acked');
    this.#settleSurbs(packet, nowMs);
    this.#largestAckedSentMs = Math.max(this.#largestAckedSentMs, packet.sentMs);
    for (const frame of packet.frames) if (frame.type !== FRAME.SURBS) frame.owner.frameAcked(frame, nowMs);
  }

  // ---- loss

  /** When `detect` has something to do. */
  get deadlineMs(): number {
    const oldest = this.#sent.oldestFlying();
    if (oldest === undefined) return Number.POSITIVE_INFINITY;
    if (oldest.sentMs >= this.#largestAckedSentMs) return this.#probeDeadlineMs(oldest);
    return Math.min(this.#lossDeadlineMs(oldest), this.#controlDeadlineMs());
  }

  /** Packets whose own delays are known have thresholds of their own: the oldest is not always the first to be lost. */
  #lossDeadlineMs(oldest: SentPacket): number {
    const leastMs = this.clock.leastThresholdMs;
    let deadlineMs = Number.POSITIVE_INFINITY;
    let packet: SentPacket | undefined = oldest;
    while (packet !== undefined && packet.sentMs + leastMs < deadlineMs && packet.sentMs < this.#largestAckedSentMs) {
      deadlineMs = Math.min(deadlineMs, packet.sentMs + this.#thresholdMs(packet));
      packet = this.#sent.oldestFlying(packet.number + 1);
    }
    return deadlineMs;
  }

  #controlDeadlineMs(): number {
    if (!this.pathIsLossy) return Number.POSITIVE_INFINITY;
    const next = this.#sent.oldestFlying(this.#controlRepeatedBelow);
    return next === undefined ? Number.POSITIVE_INFINITY : next.sentMs + this.clock.usualMs;
  }

  /** Gives packets up whose time is over. */
  detect(nowMs: MonotonicMs): void {
    this.#settleOverdueSurbs(nowMs);
    this.#repeatControl(nowMs);
    const leastMs = this.clock.leastThresholdMs;
    let packet = this.#sent.oldestFlying();
    while (packet !== undefined && packet.sentMs + leastMs <= nowMs && packet.sentMs < this.#largestAckedSentMs) {
      if (packet.sentMs + this.#thresholdMs(packet) <= nowMs) this.#giveUp(packet, nowMs, true);
      packet = this.#sent.oldestFlying(packet.number + 1);
    }
    const oldest = this.#sent.oldestFlying();
    if (oldest !== undefined && this.#probeDeadlineMs(oldest) <= nowMs) this.#probe(oldest, nowMs);
    this.#sent.forgetOld(nowMs);
  }

  #thresholdMs(packet: SentPacket): number {
    const { thresholdMs } = this.clock;
    return packet.delayMs === undefined
      ? thresholdMs
      : Math.min(thresholdMs, this.clock.thresholdAtDelayMs(packet.delayMs));
  }

  #probeDeadlineMs(oldest: SentPacket): number {
    const { thresholdMs } = this.clock;
    const doublings = Math.min(Math.max(0, this.#probeCount - PROBES_BEFORE_DOUBLING), 16);
    const waitMs = Math.min(thresholdMs * 2 ** doublings, Math.max(thresholdMs, MAX_PROBE_WAIT_MS));
    return Math.max(oldest.sentMs, this.#progressMs) + waitMs;
  }

  #probe(oldest: SentPacket, nowMs: MonotonicMs): void {
    this.#probeCount++;
    this.counts.probes++;
    this.#progressMs = nowMs;
    this.probeDue = true;
    let packet: SentPacket | undefined = oldest;
    for (let left = PACKETS_PER_PROBE; left > 0 && packet !== undefined; left--) {
      if (packet.sentMs + this.clock.thresholdMs > nowMs) return;
      this.#giveUp(packet, nowMs, false);
      packet = this.#sent.oldestFlying();
    }
  }

  #giveUp(packet: SentPacket, nowMs: MonotonicMs, byEvidence: boolean): void {
    this.#sent.settle(packet, 'lost');
    this.#settleSurbs(packet, nowMs);
    this.counts.packetsLost++;
    if (byEvidence) {
      this.#lossRatio += LOSS_RATIO_GAIN * (1 - this.#lossRatio);
      if (packet.paceRound !== undefined) this.pacer?.onLost(packet.paceRound);
    }
    const again = packet.sentAgain === 'all' ? [] : packet.frames;
    for (const frame of again) if (frame.type === FRAME.DATA) this.counts.bytesRetransmitted += frame.length;
    this.#sendAgain(packet, 'all', nowMs);
  }

  /** Blocks count as under way for one threshold only, whether or not the path lives. */
  #settleOverdueSurbs(nowMs: MonotonicMs): void {
    for (;;) {
      const packet = this.#sent.oldestFrom(this.#surbsSettledBelow);
      this.#surbsSettledBelow = packet?.number ?? this.#sent.nextNumber;
      if (packet === undefined || (packet.fate === 'flying' && packet.sentMs + this.clock.thresholdMs > nowMs)) return;
      this.#surbsSettledBelow++;
      this.#settleSurbs(packet, nowMs);
      // With nothing in it to send again, waiting for more evidence is pointless.
      if (packet.fate === 'flying' && !packet.frames.some(isRepairable)) {
        this.#giveUp(packet, nowMs, packet.sentMs < this.#largestAckedSentMs);
      }
    }
  }

  /** Once for each packet, when it was acknowledged or is overdue: its blocks are no longer under way. */
  #settleSurbs(packet: SentPacket, nowMs: MonotonicMs): void {
    if (packet.surbsSettled) return;
    packet.surbsSettled = true;
    for (const frame of packet.frames) if (frame.type === FRAME.SURBS) frame.owner.frameLost(frame, nowMs);
  }

  // ---- early retransmission

  /** Whether `retransmitEarly` has a packet to look at. */
  canRetransmitEarly(nowMs: MonotonicMs): boolean {
    return this.#earlyCandidate(nowMs) !== undefined;
  }

  /**
   * A slot is free that leaves anyway: sends the frames of the oldest packet that is later than most are once more,
   * without giving it up. On a path that loses packets this saves most of the wait for the threshold. False when there
   * is no such packet.
   */
  retransmitEarly(nowMs: MonotonicMs): boolean {
    const packet = this.#earlyCandidate(nowMs);
    if (packet === undefined) return false;
    this.#repeatedBelow = packet.number + 1;
    this.counts.repeats++;
    this.#sendAgain(packet, 'all', nowMs);
    return true;
  }

  #earlyCandidate(nowMs: MonotonicMs): SentPacket | undefined {
    if (!this.pathIsLossy) return undefined;
    const { usualMs } = this.clock;
    let packet = this.#sent.oldestFlying(this.#repeatedBelow);
    while (packet !== undefined && packet.sentMs + usualMs <= nowMs) {
      if (packet.frames.some(isRepairable)) return packet;
      packet = this.#sent.oldestFlying(packet.number + 1);
    }
    return undefined;
  }

  /** The same for control frames, slot or not: they are small, and windows and openings hold everything else up. */
  #repeatControl(nowMs: MonotonicMs): void {
    if (!this.pathIsLossy) return;
    const { usualMs } = this.clock;
    for (;;) {
      const packet = this.#sent.oldestFlying(this.#controlRepeatedBelow);
      if (packet === undefined || packet.sentMs + usualMs > nowMs) return;
      this.#controlRepeatedBelow = packet.number + 1;
      this.#sendAgain(packet, 'control', nowMs);
    }
  }

  /** Hands the frames of a packet back to their owners, as far as that has not been done yet. */
  #sendAgain(packet: SentPacket, what: 'control' | 'all', nowMs: MonotonicMs): void {
    const before = packet.sentAgain;
    if (before === 'all' || before === what) return;
    packet.sentAgain = what;
    for (const frame of packet.frames) {
      if (frame.type === FRAME.SURBS) continue;
      const isData = frame.type === FRAME.DATA;
      if (isData ? what === 'all' : before === 'none') frame.owner.frameLost(frame, nowMs);
    }
  }
}

/** Whether a frame is sent again when its packet is lost. */
function isRepairable(frame: SentFrame): boolean {
  return frame.type !== FRAME.SURBS && frame.type !== FRAME.DATAGRAM;
}
