/**
 * Packets for a client that is away for a moment, in memory. At the bound the oldest goes, whatever it carries: the
 * transport repairs what is lost, and the newest packets know most.
 * @module
 */

/** Packets in all mailboxes of a gateway together. */
export class MailboxSpace {
  used = 0;
  constructor(readonly packets: number) {}
}

interface Kept {
  readonly packet: Uint8Array;
  readonly atMs: number;
}

export class Mailbox {
  #kept: Kept[] = [];

  constructor(
    readonly space: MailboxSpace,
    readonly packets: number,
  ) {}

  get size(): number {
    return this.#kept.length;
  }

  /** Keeps `packet`; how many packets (an old one, or this one) had to go for the bounds. */
  push(packet: Uint8Array, nowMs: number): number {
    const full = this.#kept.length >= this.packets || this.space.used >= this.space.packets;
    if (full && this.#kept.shift() === undefined) return 1; // all space is taken by others
    if (!full) this.space.used += 1;
    this.#kept.push({ packet, atMs: nowMs });
    return full ? 1 : 0;
  }

  /** Lets go of what came before `sinceMs`; how many. */
  expire(sinceMs: number): number {
    const fresh = this.#kept.findIndex((kept) => kept.atMs >= sinceMs);
    const gone = fresh === -1 ? this.#kept.length : fresh;
    this.#kept.splice(0, gone);
    this.space.used -= gone;
    return gone;
  }

  /** Empties the mailbox, oldest first. */
  take(): Uint8Array[] {
    const packets = this.#kept.map((kept) => kept.packet);
    this.space.used -= packets.length;
    this.#kept = [];
    return packets;
  }
}
