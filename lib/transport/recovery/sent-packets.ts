/**
 * Packets that were sent and whose fate is open, and what became of the latest ones.
 *
 * A window over packet numbers in a ring: finding a packet by number, and walking from the oldest, cost nothing that
 * grows with the table. Numbers that were skipped have no entry: a peer that acknowledges one of them lies.
 * @module
 */
import type { MonotonicMs } from '../../core/units.ts';
import type { SentFrame } from '../wire/packet-builder.ts';

export type PacketFate = 'flying' | 'acked' | 'lost';

export interface SentPacket {
  readonly number: number;
  readonly sentMs: MonotonicMs;
  readonly frames: readonly SentFrame[];
  /** Sum of the mix delays drawn for it, if known. */
  delayMs: number | undefined;
  fate: PacketFate;
  /** Which of its frames were handed back to be sent once more. */
  sentAgain: 'none' | 'control' | 'all';
  /** The pacer's round it left in, if it was paced. */
  readonly paceRound: number | undefined;
  /** Its reply blocks do not count as under way any more. */
  surbsSettled: boolean;
}

const FIRST_CAPACITY = 8;
/** For how many numbers behind the newest the fate of settled packets is remembered, to notice late acknowledgements. */
const MEMORY_NUMBERS = 4096;
/** For at least so long, and at most twice: later acknowledgements tell nothing any more. */
const MEMORY_MS = 120_000;
/** Stands for every packet that was acknowledged: nothing more is asked about one. */
const ACKED: SentPacket = Object.freeze({
  number: -1,
  sentMs: Number.NEGATIVE_INFINITY as MonotonicMs,
  frames: [],
  delayMs: undefined,
  fate: 'acked',
  sentAgain: 'all',
  paceRound: undefined,
  surbsSettled: true,
});

/** Memory of a number, of a packet that is not acknowledged, and of a frame in it, which keeps its owner in memory. */
const SLOT_BYTES = 8;
const PACKET_BYTES = 160;
const FRAME_BYTES = 128;

export class SentPackets {
  #ring: (SentPacket | undefined)[] = new Array(FIRST_CAPACITY).fill(undefined);
  /** Lowest number in the ring. */
  #base: number;
  /** Nothing below it flies. */
  #oldest: number;
  #next: number;
  #flying = 0;
  /** Packets in the ring that are not acknowledged, and their frames. */
  #kept = 0;
  #keptFrames = 0;
  /** Numbers below `#marked` had been sent by `#markedMs`. */
  #marked = 0;
  #markedMs = 0;

  constructor(firstNumber: number) {
    this.#base = firstNumber;
    this.#oldest = firstNumber;
    this.#next = firstNumber;
  }

  /** Packets whose fate is open. */
  get flying(): number {
    return this.#flying;
  }

  get memoryBytes(): number {
    return this.#ring.length * SLOT_BYTES + this.#kept * PACKET_BYTES + this.#keptFrames * FRAME_BYTES;
  }

  /** One more than the highest number used. */
  get nextNumber(): number {
    return this.#next;
  }

  add(packet: SentPacket): void {
    while (packet.number - this.#base >= this.#ring.length) this.#makeRoom();
    for (let skipped = this.#next; skipped < packet.number; skipped++) this.#ring[this.#index(skipped)] = undefined;
    const kept = packet.fate === 'acked' ? ACKED : packet;
    this.#ring[this.#index(packet.number)] = kept;
    this.#countKept(kept, 1);
    this.#next = packet.number + 1;
    if (packet.fate === 'flying') this.#flying++;
  }

  /** The packet `number`, if remembered; null when no such packet was sent although it could be remembered. */
  get(number: number): SentPacket | undefined | null {
    if (number >= this.#next) return null;
    if (number < this.#base) return undefined;
    return this.#ring[this.#index(number)] ?? null;
  }

  /** The part of [first, last] that is worth looking at: lowest and highest number in the ring. */
  clip(first: number, last: number): [number, number] {
    return [Math.max(first, this.#base), Math.min(last, this.#next - 1)];
  }

  settle(packet: SentPacket, fate: 'acked' | 'lost'): void {
    if (packet.fate === 'flying') this.#flying--;
    packet.fate = fate;
    if (fate === 'acked' && packet.number >= this.#base) this.#put(packet.number, ACKED);
  }

  /** The flying packet with the lowest number from `from` on. */
  oldestFlying(from = this.#oldest): SentPacket | undefined {
    let number = Math.max(from, this.#oldest);
    const advance = number === this.#oldest;
    while (number < this.#next) {
      const packet = this.#ring[this.#index(number)];
      if (packet?.fate === 'flying') break;
      number++;
    }
    if (advance) this.#oldest = number;
    return number < this.#next ? this.#ring[this.#index(number)] : undefined;
  }

  /** The packet with the lowest number from `from` on that is remembered and not acknowledged. */
  oldestFrom(from: number): SentPacket | undefined {
    for (let number = Math.max(from, this.#base); number < this.#next; number++) {
      const packet = this.#ring[this.#index(number)];
      if (packet !== undefined && packet !== ACKED) return packet;
    }
    return undefined;
  }

  /**
   * Forgets what is settled and was sent long ago. Without this a session that was busy once would keep its last packets while it is
   * idle.
   */
  forgetOld(nowMs: MonotonicMs): void {
    if (nowMs - this.#markedMs < MEMORY_MS) return;
    this.oldestFlying();
    this.#forgetTo(Math.max(this.#base, Math.min(this.#marked, this.#oldest)));
    this.#marked = this.#next;
    this.#markedMs = nowMs;
    let capacity = this.#ring.length;
    while (capacity > FIRST_CAPACITY && this.#next - this.#base <= capacity / 4) capacity /= 2;
    if (capacity < this.#ring.length) this.#resize(capacity);
  }

  #index(number: number): number {
    return number & (this.#ring.length - 1);
  }

  /** Forgets the oldest settled packets, or doubles the ring when they still fly or are worth remembering. */
  #makeRoom(): void {
    this.oldestFlying();
    const keepFrom = Math.min(this.#oldest, Math.max(this.#base, this.#next - MEMORY_NUMBERS));
    if (keepFrom > this.#base) this.#forgetTo(keepFrom);
    else this.#resize(this.#ring.length * 2);
  }

  #forgetTo(number: number): void {
    for (; this.#base < number; this.#base++) this.#put(this.#base, undefined);
  }

  /** In place of what is there. */
  #put(number: number, packet: SentPacket | undefined): void {
    const at = this.#index(number);
    this.#countKept(this.#ring[at], -1);
    this.#ring[at] = packet;
  }

  #countKept(packet: SentPacket | undefined, sign: 1 | -1): void {
    if (packet === undefined || packet === ACKED) return;
    this.#kept += sign;
    this.#keptFrames += sign * packet.frames.length;
  }

  /** `capacity` is a power of two. */
  #resize(capacity: number): void {
    const old = this.#ring;
    this.#ring = new Array(capacity).fill(undefined);
    for (let number = this.#base; number < this.#next; number++) {
      this.#ring[this.#index(number)] = old[number & (old.length - 1)];
    }
  }
}
