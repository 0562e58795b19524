/**
 * What became of the packets that were sent: acknowledged, lost, or probably dead with the path, and what is sent again
 * because of it.
 *
 * With a later packet acknowledged, a packet is lost once it is older than the threshold (loss-clock.ts). Without,
 * the path may be dead: then only probes go out, the frames of the oldest packets, less and less often. Frames are
 * sent again, by their owners, in new packets over new routes; never packets.
 * @module
 */
import { FRAME } from './frames.ts';
import type { LossClock } from './loss-clock.ts';
import type { SentFrame } from './packet-builder.ts';
import { type SentPacket, SentPackets } from './sent-packets.ts';

export interface RecoveryListener {
  onPacketAcked(packet: SentPacket): void;
  /** Given up because later packets were acknowledged: the path lost it. */
  onPacketLost(packet: SentPacket): void;
  /** Blocks of a packet are no longer under way: it was acknowledged, or is overdue. */
  onSurbsSettled(count: number): void;
  /** A probe is due: whatever else is in it, it must ask for an acknowledgement. */
  onProbe(): void;
}

/** Where half of the packets get lost, several probes in a row do: only then is it worth waiting longer. */
const PROBES_BEFORE_DOUBLING = 3;
/** Packets whose frames one probe time sends again. */
const PACKETS_PER_PROBE = 2;
/** A probe's wait doubles up to this: a path that comes back is noticed soon, whatever it loses. */
const MAX_PROBE_WAIT_MS = 2000;
const LOSS_RATIO_GAIN = 1 / 128;
/** Below this loss, repeating early is not worth the work. */
const WORTH_REPEATING_LOSS = 0.01;

export class Recovery {
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
  readonly counts = { packetsLost: 0, packetsLostSpuriously: 0, probes: 0, repeats: 0, bytesRetransmitted: 0 };

  constructor(
    private readonly clock: LossClock,
    private readonly listener: RecoveryListener,
    firstNumber: number,
  ) {
    this.#sent = new SentPackets(firstNumber);
  }

  /** Packets whose fate is open. */
  get flying(): number {
    return this.#sent.flying;
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

  onSlept(nowMs: number): void {
    this.#sleptUntilMs = nowMs;
  }

  /** Tells the mix delays drawn for packet `number`. */
  setDelay(number: number, delayMs: number): void {
    const packet = this.#sent.get(number);
    if (packet) packet.delayMs = delayMs;
  }

  // ---- acknowledgement

  /** Takes the ranges of an ACK. False when they name a packet that was never sent: the peer guesses. */
  onAck(ranges: readonly number[], nextNumber: number, nowMs: number): boolean {
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
  #sample(packet: SentPacket, highest: boolean, nowMs: number): void {
    if (packet.sentMs < this.#sleptUntilMs) return;
    const ageMs = nowMs - packet.sentMs;
    if (packet.fate === 'flying') this.clock.onTimely();
    else if (ageMs < 2 * this.clock.thresholdMs) this.clock.onHasty();
    if (highest || ageMs <= this.clock.thresholdMs) this.clock.sample(ageMs);
  }

  #onPacketAcked(packet: SentPacket, nowMs: number): void {
    if (packet.fate === 'lost') {
      this.counts.packetsLostSpuriously++;
    } else {
      this.#lossRatio -= LOSS_RATIO_GAIN * this.#lossRatio;
      this.listener.onPacketAcked(packet);
    }
    this.#sent.settle(packet, 'acked');
    this.#settleSurbs(packet);
    this.#largestAckedSentMs = Math.max(this.#largestAckedSentMs, packet.sentMs);
    for (const frame of packet.frames) frame.owner.frameAcked(frame, nowMs);
  }

  // ---- loss

  /** When `detect` has something to do. */
  get deadlineMs(): number {
    const oldest = this.#sent.oldestFlying();
    if (oldest === undefined) return Number.POSITIVE_INFINITY;
    if (oldest.sentMs < this.#largestAckedSentMs) return oldest.sentMs + this.#patienceMs(oldest);
    return this.#probeDeadlineMs(oldest);
  }

  /** Gives packets up whose time is over. */
  detect(nowMs: number): void {
    this.#settleOverdueSurbs(nowMs);
    this.#repeatControl(nowMs);
    const leastMs = this.clock.leastThresholdMs;
    let packet = this.#sent.oldestFlying();
    while (packet !== undefined && packet.sentMs + leastMs <= nowMs && packet.sentMs < this.#largestAckedSentMs) {
      if (packet.sentMs + this.#patienceMs(packet) <= nowMs) this.#giveUp(packet, nowMs, true);
      packet = this.#sent.oldestFlying(packet.number + 1);
    }
    const oldest = this.#sent.oldestFlying();
    if (oldest !== undefined && this.#probeDeadlineMs(oldest) <= nowMs) this.#probe(oldest, nowMs);
  }

  #patienceMs(packet: SentPacket): number {
    const { thresholdMs } = this.clock;
    return packet.delayMs === undefined
      ? thresholdMs
      : Math.min(thresholdMs, this.clock.thresholdKnowingMs(packet.delayMs));
  }

  #probeDeadlineMs(oldest: SentPacket): number {
    const { thresholdMs } = this.clock;
    const doublings = Math.min(Math.max(0, this.#probeCount - PROBES_BEFORE_DOUBLING), 16);
    const waitMs = Math.min(thresholdMs * 2 ** doublings, Math.max(thresholdMs, MAX_PROBE_WAIT_MS));
    return Math.max(oldest.sentMs, this.#progressMs) + waitMs;
  }

  #probe(oldest: SentPacket, nowMs: number): void {
    this.#probeCount++;
    this.counts.probes++;
    this.#progressMs = nowMs;
    this.listener.onProbe();
    let packet: SentPacket | undefined = oldest;
    for (let left = PACKETS_PER_PROBE; left > 0 && packet !== undefined; left--) {
      if (packet.sentMs + this.clock.thresholdMs > nowMs) return;
      this.#giveUp(packet, nowMs, false);
      packet = this.#sent.oldestFlying();
    }
  }

  #giveUp(packet: SentPacket, nowMs: number, byEvidence: boolean): void {
    this.#sent.settle(packet, 'lost');
    this.#settleSurbs(packet);
    this.counts.packetsLost++;
    if (byEvidence) {
      this.#lossRatio += LOSS_RATIO_GAIN * (1 - this.#lossRatio);
      this.listener.onPacketLost(packet);
    }
    if (packet.sentAgain !== 'all') {
      for (const frame of packet.frames) if (frame.type === FRAME.DATA) this.counts.bytesRetransmitted += frame.length;
    }
    this.#sendAgain(packet, 'all', nowMs);
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
    if (packet.surbs > 0) this.listener.onSurbsSettled(packet.surbs);
    packet.surbs = 0;
  }

  // ---- early repetition

  /**
   * A slot is free that leaves anyway: sends the frames of the oldest packet that is later than most are once more,
   * without giving it up. On a path that loses packets this saves most of the wait for the threshold. False when there
   * is no such packet.
   */
  repeatEarly(nowMs: number): boolean {
    if (!this.pathIsLossy) return false;
    const beforeMs = nowMs - this.clock.usualMs;
    for (;;) {
      const packet = this.#sent.oldestFlying(this.#repeatedBelow);
      if (packet === undefined || packet.sentMs > beforeMs) return false;
      this.#repeatedBelow = packet.number + 1;
      if (!packet.frames.some(isRepairable)) continue;
      this.counts.repeats++;
      this.#sendAgain(packet, 'all', nowMs);
      return true;
    }
  }

  /** The same for control frames, slot or not: they are small, and windows and openings hold everything else up. */
  #repeatControl(nowMs: number): void {
    if (!this.pathIsLossy) return;
    const beforeMs = nowMs - this.clock.usualMs;
    for (;;) {
      const packet = this.#sent.oldestFlying(this.#controlRepeatedBelow);
      if (packet === undefined || packet.sentMs > beforeMs) return;
      this.#controlRepeatedBelow = packet.number + 1;
      this.#sendAgain(packet, 'control', nowMs);
    }
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
}

/** Whether a frame is sent again when its packet is lost. */
function isRepairable(frame: SentFrame): boolean {
  return frame.type !== FRAME.SURBS && frame.type !== FRAME.DATAGRAM;
}
