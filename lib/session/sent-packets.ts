/**
 * Packets that were sent and whose fate is open, and what became of the latest ones.
 *
 * A window over packet numbers in a ring: finding a packet by number, and walking from the oldest, cost nothing that
 * grows with the table. Numbers that were skipped have no entry: a peer that acknowledges one of them lies.
 * @module
 */
import type { SentFrame } from './packet-builder.ts';

export type PacketFate = 'flying' | 'acked' | 'lost';

export interface SentPacket {
  readonly number: number;
  readonly sentMs: number;
  readonly frames: readonly SentFrame[];
  /** Sum of the mix delays drawn for it, if known. */
  delayMs: number | undefined;
  fate: PacketFate;
  /** Which of its frames were handed back to be sent once more. */
  sentAgain: 'none' | 'control' | 'all';
  /** The pacer's round it left in. */
  readonly paceRound: number;
  /** Blocks in it that still count as under way. */
  surbs: number;
}

const FIRST_CAPACITY = 256;
/** For how many numbers behind the newest the fate of settled packets is remembered, to notice late acknowledgements. */
const MEMORY_NUMBERS = 4096;

export class SentPackets {
  #ring: (SentPacket | undefined)[] = new Array(FIRST_CAPACITY).fill(undefined);
  /** Lowest number in the ring. */
  #base: number;
  /** Nothing below it flies. */
  #oldest: number;
  #next: number;
  #flying = 0;

  constructor(firstNumber: number) {
    this.#base = firstNumber;
    this.#oldest = firstNumber;
    this.#next = firstNumber;
  }

  /** Packets whose fate is open. */
  get flying(): number {
    return this.#flying;
  }

  /** One more than the highest number used. */
  get nextNumber(): number {
    return this.#next;
  }

  add(packet: SentPacket): void {
    while (packet.number - this.#base >= this.#ring.length) this.#makeRoom();
    for (let skipped = this.#next; skipped < packet.number; skipped++) this.#ring[this.#index(skipped)] = undefined;
    this.#ring[this.#index(packet.number)] = packet;
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

  /** The packet with the lowest number from `from` on that is remembered, whatever its fate. */
  oldestFrom(from: number): SentPacket | undefined {
    for (let number = Math.max(from, this.#base); number < this.#next; number++) {
      const packet = this.#ring[this.#index(number)];
      if (packet !== undefined) return packet;
    }
    return undefined;
  }

  #index(number: number): number {
    return number & (this.#ring.length - 1);
  }

  /** Forgets the oldest settled packets, or doubles the ring when they still fly or are worth remembering. */
  #makeRoom(): void {
    this.oldestFlying();
    const keepFrom = Math.min(this.#oldest, Math.max(this.#base, this.#next - MEMORY_NUMBERS));
    if (keepFrom > this.#base) {
      for (let number = this.#base; number < keepFrom; number++) this.#ring[this.#index(number)] = undefined;
      this.#base = keepFrom;
      return;
    }
    const old = this.#ring;
    this.#ring = new Array(old.length * 2).fill(undefined);
    for (let number = this.#base; number < this.#next; number++) {
      this.#ring[this.#index(number)] = old[number & (old.length - 1)];
    }
  }
}
