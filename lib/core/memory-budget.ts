/**
 * One budget of memory for the queues of a process. What others can make grow draws on it: frames that a peer does not read,
 * bytes that are not acknowledged, reply blocks, packets in a pool.
 *
 * At the budget newcomers are refused, and the slowest let go of what they hold. Slow is who needs long for what he holds:
 * nobody who stalls or reads in trickles keeps memory that others need. What an owner holds counts as a whole, so that a thousand
 * small queues of one weigh as much as a large one.
 *
 * Counting is two additions. Times are taken once a second (`review`), and when something has to go.
 * @module
 */
import { type Clock, every, type Timer } from './clock.ts';
import type { MonotonicMs } from './units.ts';

/** What draws on the budget, and how long its bytes wait, in ms, where whoever takes them keeps up. */
export const MEMORY_KINDS = {
  /** Frames that a link's peer has not read. */
  links: 1_000,
  /** Packets that a gateway keeps for a client's tick or return. */
  deliveries: 5_000,
  /** Bytes of streams, both ways. */
  streams: 2_000,
  /** Datagrams that wait for a name or a packet. */
  datagrams: 5_000,
  /** What a session holds beside its streams: reply blocks, packets sent, the ring of its lane. */
  sessions: 60_000,
  /** Packets in the pool of a mix. */
  pool: 1_000,
  /** Bodies of requests. */
  bodies: 1_000,
} as const;
export type MemoryKind = keyof typeof MEMORY_KINDS;

/** Newcomers are let in up to this share of the budget: the rest is for those who are in. */
export const ADMISSION_SHARE = 7 / 8;
/** Beyond the budget as much is let go of as brings it down to this share. */
const RELIEVED_SHARE = 15 / 16;
/** For a newcomer only those give way who need this many times the usual time for what they hold … */
const SLOW_FACTOR = 4;
/** … or whose owner holds this share of the budget. */
const HEAVY_SHARE = 1 / 8;
/** Smaller ones are left alone: they free nothing. */
export const LEAST_SHED_BYTES = 16 * 1024;
/** When nothing more can go, one looks again after this growth, as a share of the budget, and at the next review. */
const RETRY_SHARE = 1 / 64;
/** When nobody gives way for a newcomer, one looks again after this time: newcomers come by the hundred in one packet. */
export const VAIN_LOOK_MS = 100;
export const REVIEW_MS = 1_000;

export class MemoryBudget {
  #usedBytes = 0;
  /** Accounts that can be shed. */
  readonly #listed = new Set<MemoryAccount>();
  readonly #used = new Map<MemoryKind, KindUse>();
  #reliefAboveBytes: number;
  #reliefAsked = false;
  /** From when on slow ones are looked for again when a newcomer comes. */
  #lookForNewcomersMs = Number.NEGATIVE_INFINITY;

  /** `limitBytes`: of everything that draws on it together. */
  constructor(
    readonly limitBytes: number,
    private readonly clock: Pick<Clock, 'nowMs'>,
  ) {
    this.#reliefAboveBytes = limitBytes;
    for (const kind of Object.keys(MEMORY_KINDS) as MemoryKind[]) {
      this.#used.set(kind, { kind, usualWaitMs: MEMORY_KINDS[kind], bytes: 0, refused: 0, shed: 0 });
    }
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Whether nothing may be taken in that can as well be dropped. */
  get isFull(): boolean {
    return this.#usedBytes >= this.limitBytes;
  }

  /** By kind: bytes in use, newcomers refused and owners that had to let go, since the start. */
  get kinds(): readonly Readonly<KindUse>[] {
    return [...this.#used.values()];
  }

  /**
   * Opens an account. `shed` lets go of everything that the account counts; without it nobody can be made to. Accounts of one
   * `owner` count together; without it each is alone. An account with nothing on it needs no closing.
   */
  account(kind: MemoryKind, shed?: () => void, owner?: unknown): MemoryAccount {
    return new MemoryAccount(this, this.#useOf(kind), shed, owner);
  }

  /** Whether a newcomer may be let in, for whom slow ones give way; one that may not is counted. */
  admits(kind: MemoryKind): boolean {
    const mostBytes = this.limitBytes * ADMISSION_SHARE;
    if (this.#usedBytes <= mostBytes) return true;
    const nowMs = this.clock.nowMs();
    if (nowMs >= this.#lookForNewcomersMs) {
      this.#relieve(mostBytes, SLOW_FACTOR);
      if (this.#usedBytes <= mostBytes) return true;
      this.#lookForNewcomersMs = nowMs + VAIN_LOOK_MS;
    }
    this.#useOf(kind).refused += 1;
    return false;
  }

  /** Reviews once a second until cancelled. */
  watch(clock: Clock): Timer {
    return every(clock, REVIEW_MS, () => this.review());
  }

  /** Notes who has made progress. */
  review(): void {
    const nowMs = this.clock.nowMs();
    for (const account of this.#listed) account.observe(nowMs);
    this.#reliefAboveBytes = this.limitBytes;
    if (this.#usedBytes > this.limitBytes) this.#askRelief();
  }

  /** For accounts: what they count has changed. */
  changed(use: KindUse, bytes: number): void {
    use.bytes += bytes;
    this.#usedBytes += bytes;
    if (this.#usedBytes > this.#reliefAboveBytes && bytes > 0) this.#askRelief();
  }

  /** For accounts: it is large enough to be shed, or is no longer. */
  list(account: MemoryAccount, isListed: boolean): void {
    if (isListed) {
      account.begin(this.clock.nowMs());
      this.#listed.add(account);
    } else this.#listed.delete(account);
  }

  /** Once the caller is done with what it does: nothing is taken away from under it. */
  #askRelief(): void {
    if (this.#reliefAsked) return;
    this.#reliefAsked = true;
    queueMicrotask(() => {
      this.#reliefAsked = false;
      if (this.#usedBytes <= this.limitBytes) return;
      this.#relieve(this.limitBytes * RELIEVED_SHARE, 0);
      this.#reliefAboveBytes = Math.max(this.limitBytes, this.#usedBytes + this.limitBytes * RETRY_SHARE);
    });
  }

  /** Sheds down to `targetBytes` those that are `slowness` times as slow as usual, or heavy; the slowest with most first. */
  #relieve(targetBytes: number, slowness: number): void {
    const nowMs = this.clock.nowMs();
    const heldBy = new Map<unknown, number>();
    for (const { owner, bytes } of this.#listed) heldBy.set(owner, (heldBy.get(owner) ?? 0) + bytes);
    const slow = [...this.#listed]
      .map((account) => ({ account, slowness: account.slowness(nowMs), held: heldBy.get(account.owner) ?? 0 }))
      .filter((one) => one.slowness >= slowness || one.held >= this.limitBytes * HEAVY_SHARE)
      .sort((a, b) => weightOf(b) - weightOf(a));
    for (const { account } of slow) {
      if (this.#usedBytes <= targetBytes) return;
      if (account.bytes >= LEAST_SHED_BYTES) account.shed(); // else it went with another one of its owner
    }
  }

  #useOf(kind: MemoryKind): KindUse {
    return this.#used.get(kind) as KindUse;
  }
}

/** Who needs long weighs more than who holds much: a burst that is taken within a moment is no queue. */
const weightOf = ({ slowness, held }: { slowness: number; held: number }): number => slowness ** 2 * held;

/** What all accounts of a kind have drawn. */
export interface KindUse {
  readonly kind: MemoryKind;
  readonly usualWaitMs: number;
  bytes: number;
  refused: number;
  shed: number;
}

/** What one owner holds of one kind. */
export class MemoryAccount {
  readonly #shed: (() => void) | undefined;
  readonly owner: unknown;
  #bytes = 0;
  #isListed = false;
  #takenBytes = 0;
  /** When this many are taken, everything that was held at `#markMs` has left. */
  #markBytes = 0;
  #markMs = 0;
  /** How long that took the last time. */
  #lastWaitMs = 0;

  constructor(
    private readonly budget: MemoryBudget,
    private readonly use: KindUse,
    shed: (() => void) | undefined,
    owner: unknown,
  ) {
    this.#shed = shed;
    this.owner = owner ?? this;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Sets what is held, and what of it, counted from the first byte ever, has been taken by those whom it is for. */
  set(bytes: number, takenBytes = this.#takenBytes): void {
    const change = bytes - this.#bytes;
    this.#takenBytes = takenBytes;
    if (change === 0) return;
    this.#bytes = bytes;
    if (bytes >= LEAST_SHED_BYTES !== this.#isListed && this.#shed !== undefined) this.#list();
    this.budget.changed(this.use, change);
  }

  /** As `set`, for `bytes` more. */
  add(bytes: number, takenBytes?: number): void {
    this.set(this.#bytes + bytes, takenBytes);
  }

  /** Lets go of everything. */
  shed(): void {
    this.use.shed += 1;
    this.#shed?.();
  }

  /** For the budget: observes from now on. */
  begin(nowMs: MonotonicMs): void {
    this.#lastWaitMs = 0;
    this.#mark(nowMs);
  }

  /** For the budget: looks whether what was held has left. */
  observe(nowMs: MonotonicMs): void {
    if (this.#takenBytes < this.#markBytes) return;
    this.#lastWaitMs = nowMs - this.#markMs;
    this.#mark(nowMs);
  }

  /** How long what is held takes to leave, in terms of what is usual. */
  slowness(nowMs: MonotonicMs): number {
    return Math.max(nowMs - this.#markMs, this.#lastWaitMs) / this.use.usualWaitMs;
  }

  #mark(nowMs: MonotonicMs): void {
    this.#markMs = nowMs;
    this.#markBytes = this.#takenBytes + this.#bytes;
  }

  #list(): void {
    this.#isListed = !this.#isListed;
    this.budget.list(this, this.#isListed);
  }
}

/** Divides by this: the rest of a machine's memory is for the program itself, the kernel and others. */
const BUDGET_SHARE = 1 / 4;

/** What a process may use: `constrainedBytes` is that of its cgroup; some platforms answer 0 or 2^64 where there is no bound. */
export function usableBytes(constrainedBytes: number | undefined, totalBytes: number): number {
  const isBounded = constrainedBytes !== undefined && constrainedBytes > 0 && constrainedBytes < totalBytes;
  return isBounded ? constrainedBytes : totalBytes;
}

/** The budget where none is configured: a quarter of what the process may use. */
export function defaultBudgetBytes(constrainedBytes: number | undefined, totalBytes: number): number {
  return Math.floor(usableBytes(constrainedBytes, totalBytes) * BUDGET_SHARE);
}
