/**
 * Exits of the model of reply blocks: an honest one, and one that keeps blocks and lies about them.
 */
import type { SurbAccount } from '../../../lib/transport/surbs/surb-supply.ts';
import { type Carried, LIFE_MS, type Random } from './block-world.ts';

export interface UsedBlock extends Carried {
  readonly account: SurbAccount;
}

export interface ExitModel {
  receive(blocks: readonly Carried[], generation: number, nowMs: number): void;
  /** A tick of its clock: which block it uses, and what it says about the others. */
  reply(nowMs: number, demands: boolean): UsedBlock | undefined;
  /** Blocks that it could use now. */
  held(nowMs: number): number;
  /** Replies as if there were always something to say. */
  readonly isGreedy?: boolean;
}

interface Stocked extends Carried {
  readonly expiresMs: number;
}

const RESERVE = 8;
const MAX_HELD = 8192;

export interface HonestOptions {
  /** Mixes of layer 1 that it avoids. */
  readonly avoids?: (mix: number, nowMs: number) => boolean;
  /** It is cut off from the network, or stands still: what arrives is lost or waits, and nothing leaves. */
  readonly away?: (nowMs: number) => 'cut off' | 'frozen' | undefined;
}

export class HonestExit implements ExitModel {
  #stock: Stocked[] = [];
  #first = 0;
  #generation = 0;
  #waiting: [readonly Carried[], number][] = [];
  readonly #account = { received: 0, used: 0, expired: 0, evicted: 0 };

  constructor(
    readonly random: Random,
    readonly options: HonestOptions = {},
  ) {}

  receive(blocks: readonly Carried[], generation: number, nowMs: number): void {
    const away = this.options.away?.(nowMs);
    if (away === 'frozen') this.#waiting.push([blocks, generation]);
    if (away !== undefined) return;
    this.#account.received += blocks.length;
    if (generation > this.#generation) {
      this.#generation = generation;
      this.#account.expired += this.held();
      this.#stock = [];
      this.#first = 0;
    }
    if (generation < this.#generation) this.#account.expired += blocks.length;
    else for (const one of blocks) this.#stock.push({ ...one, expiresMs: nowMs + LIFE_MS });
    for (; this.held() > MAX_HELD; this.#first++) this.#account.evicted++;
  }

  reply(nowMs: number, demands: boolean): UsedBlock | undefined {
    const away = this.options.away?.(nowMs);
    if (away === undefined)
      for (const [blocks, generation] of this.#waiting.splice(0)) this.receive(blocks, generation, nowMs);
    if (away === 'frozen') return undefined;
    while (this.held() > RESERVE) {
      const block = this.#stock[this.#first++] as Stocked;
      if (this.#first === 1024) {
        this.#stock = this.#stock.slice(this.#first);
        this.#first = 0;
      }
      const avoided = this.options.avoids?.(block.mixes[0] ?? 0, nowMs) && this.random() >= 0.02;
      if (block.expiresMs <= nowMs || avoided) {
        this.#account.expired++;
        continue;
      }
      this.#account.used++;
      if (away === 'cut off') return undefined;
      return { ...block, account: { ...this.#account, demandBytes: demands ? 50_000 : 0 } };
    }
    return undefined;
  }

  held(): number {
    return this.#stock.length - this.#first;
  }
}

export interface HoarderOptions {
  /** In which counter it says that the blocks it keeps are gone. */
  readonly claims: 'expired' | 'used' | 'evicted' | 'not received' | 'demand';
  /** Share of the blocks that it keeps, 0 to 1. */
  readonly keeps: number;
  /** Which of the others it uses first. */
  readonly order?: 'oldest' | 'newest';
  /** Share of the ticks of its clock at which it replies. */
  readonly replies?: number;
  /** From when on it uses what it has kept. */
  readonly spendsMs?: number;
}

/** Keeps blocks back, and says whatever makes the proxy send more. */
export class Hoarder implements ExitModel {
  readonly isGreedy = true;
  readonly kept: Stocked[] = [];
  #ready: Stocked[] = [];
  #received = 0;

  constructor(
    readonly random: Random,
    readonly options: HoarderOptions,
  ) {}

  receive(blocks: readonly Carried[], _generation: number, nowMs: number): void {
    for (const one of blocks) {
      this.#received++;
      const list = this.random() < this.options.keeps ? this.kept : this.#ready;
      list.push({ ...one, expiresMs: nowMs + LIFE_MS });
    }
  }

  reply(nowMs: number): UsedBlock | undefined {
    const { order = 'oldest', replies = 1, spendsMs = Number.POSITIVE_INFINITY } = this.options;
    if (this.random() >= replies) return undefined;
    const spent = nowMs >= spendsMs ? this.kept.shift() : undefined;
    const block = spent ?? (order === 'oldest' ? this.#ready.shift() : this.#ready.pop());
    return block === undefined ? undefined : { ...block, account: this.#account() };
  }

  held(nowMs: number): number {
    const usable = ({ expiresMs }: Stocked) => expiresMs > nowMs;
    return this.kept.filter(usable).length + this.#ready.filter(usable).length;
  }

  /** Says of everything that it is gone: the proxy has to make more. */
  #account(): SurbAccount {
    const { claims } = this.options;
    const received = this.#received;
    const nothing = { received, used: 0, expired: 0, evicted: 0, demandBytes: claims === 'demand' ? 2 ** 40 : 0 };
    if (claims === 'not received') return { ...nothing, received: 0 };
    if (claims === 'used' || claims === 'demand') return { ...nothing, used: received };
    return { ...nothing, [claims]: received };
  }
}
