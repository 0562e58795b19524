/**
 * Packets that wait for one client: for the ticks of its clock, or, while it is away, for its return. In memory. At the
 * bound the oldest goes, whatever it carries: the transport repairs what is lost, and the newest packets know most.
 * @module
 */
import type { MemoryAccount } from '../lib/core/memory-budget.ts';
import type { MonotonicMs } from '../lib/core/units.ts';

/** Packets that a gateway keeps for all clients that are away. */
export class MailboxSpace {
  used = 0;
  constructor(readonly packets: number) {}
}

/** Memory of a packet that waits, beside its bytes. */
const WAITING_OVERHEAD_BYTES = 256;

interface Waiting {
  readonly packet: Uint8Array;
  readonly atMs: MonotonicMs;
}

export class PacketQueue {
  #waiting: Waiting[] = [];
  #isMailbox = false;
  #goneBytes = 0;

  constructor(
    readonly space: MailboxSpace,
    public packets: number,
    private readonly memory?: MemoryAccount,
  ) {}

  get size(): number {
    return this.#waiting.length;
  }

  /** Keeps `packet`; how many packets (an old one, or this one) had to go for the bounds. */
  push(packet: Uint8Array, nowMs: MonotonicMs): number {
    const full = this.#waiting.length >= this.packets || (this.#isMailbox && this.space.used >= this.space.packets);
    if (full && this.shift() === undefined) return 1; // all space is taken by others
    this.#waiting.push({ packet, atMs: nowMs });
    this.memory?.add(packet.byteLength + WAITING_OVERHEAD_BYTES);
    this.#account(1);
    return full ? 1 : 0;
  }

  /** The oldest packet, which waits no longer. */
  shift(): Uint8Array | undefined {
    const oldest = this.#waiting.shift();
    if (oldest === undefined) return undefined;
    this.#countGone(oldest);
    this.#account(-1);
    return oldest.packet;
  }

  /** Lets go of what came before `sinceMs`; how many. */
  expire(sinceMs: MonotonicMs): number {
    const fresh = this.#waiting.findIndex((waiting) => waiting.atMs >= sinceMs);
    return this.#drop(fresh === -1 ? this.#waiting.length : fresh);
  }

  /** Sets the bound; how many packets had to go for it. */
  setBound(packets: number): number {
    this.packets = packets;
    return this.#drop(Math.max(0, this.#waiting.length - packets));
  }

  /** The client has left: what waits counts against the space of all mailboxes; how many packets had to go for it. */
  becomeMailbox(): number {
    if (this.#isMailbox) return 0;
    const gone = this.#drop(Math.max(0, this.#waiting.length - (this.space.packets - this.space.used)));
    this.#isMailbox = true;
    this.space.used += this.#waiting.length;
    return gone;
  }

  /** The client is back. */
  leaveMailbox(): void {
    if (this.#isMailbox) this.space.used -= this.#waiting.length;
    this.#isMailbox = false;
  }

  /** Empties the queue, oldest first. */
  take(): Uint8Array[] {
    const packets = this.#waiting.map((waiting) => waiting.packet);
    this.#drop(packets.length);
    return packets;
  }

  #drop(count: number): number {
    for (const gone of this.#waiting.splice(0, count)) this.#countGone(gone);
    this.#account(-count);
    return count;
  }

  #countGone({ packet }: Waiting): void {
    const bytes = packet.byteLength + WAITING_OVERHEAD_BYTES;
    this.#goneBytes += bytes;
    this.memory?.add(-bytes, this.#goneBytes);
  }

  #account(count: number): void {
    if (this.#isMailbox) this.space.used += count;
  }
}
