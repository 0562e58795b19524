/**
 * Main's end of a lane: copies frames into shared memory.
 * @module
 */
import { MixError } from '../../core/errors.ts';
import { ADDRESS_BYTES } from '../../core/params.ts';
import { frameShape } from '../framing.ts';
import { frameBytesOf } from '../hello.ts';
import { type Flag, LaneMemory } from '../thread/memory.ts';
import type { LinkOrder } from '../thread/messages.ts';
import type { SpscRing } from '../thread/spsc-ring.ts';
import type { Lane, LaneOptions, LaneStats } from '../types.ts';

/** A higher rate is cut to this: a clock that is always behind would leave the link thread no time for anything else. */
export const MAX_LANE_RATE = 10_000;

/** What a lane needs of its link. */
export interface LaneHost {
  readonly number: number;
  readonly packetBytes: number;
  readonly pushedFlag: Flag;
  order(order: LinkOrder): void;
  removed(): void;
}

export class ClientLane implements Lane {
  readonly name: string;
  readonly #memory: LaneMemory;
  readonly #immediate: boolean;
  #ratePerSecond: number;
  #removed = false;

  constructor(
    options: LaneOptions,
    private readonly host: LaneHost,
  ) {
    const { contentSlots, idleSlots, immediate = false } = options;
    const ratePerSecond = checkedRate(options.ratePerSecond);
    const slotBytes = frameShape(frameBytesOf('client', host.packetBytes)).wireBytes;
    this.name = options.name;
    this.#immediate = immediate;
    this.#ratePerSecond = ratePerSecond;
    this.#memory = LaneMemory.allocate({ contentSlots, idleSlots, slotBytes });
    const { buffer: memory, shape } = this.#memory;
    host.order({ order: 'add-lane', lane: host.number, memory, shape, ratePerSecond, immediate });
  }

  contentRoom(): number {
    return this.#removed ? 0 : this.#memory.content.room();
  }

  idleRoom(): number {
    return this.#removed ? 0 : this.#memory.idle.room();
  }

  pushContent(nextHop32: Uint8Array, packet: Uint8Array): boolean {
    const pushed = this.#push(this.#memory.content, nextHop32, packet);
    if (pushed && this.#immediate && this.host.pushedFlag.raise()) this.host.order({ order: 'pushed' });
    return pushed;
  }

  pushIdle(nextHop32: Uint8Array, packet: Uint8Array): boolean {
    return this.#push(this.#memory.idle, nextHop32, packet);
  }

  dropIdle(count: number): void {
    if (!this.#removed) this.host.order({ order: 'drop-idle', lane: this.host.number, count });
  }

  setRate(perSecond: number): void {
    if (this.#removed || perSecond === this.#ratePerSecond) return;
    this.#ratePerSecond = checkedRate(perSecond);
    this.host.order({ order: 'set-rate', lane: this.host.number, ratePerSecond: this.#ratePerSecond });
  }

  remove(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.host.order({ order: 'remove-lane', lane: this.host.number });
    this.host.removed();
  }

  stats(): LaneStats {
    return { set: this.#ratePerSecond, ...this.#memory.counters() };
  }

  #push(ring: SpscRing, nextHop32: Uint8Array, packet: Uint8Array): boolean {
    if (nextHop32.byteLength !== ADDRESS_BYTES || packet.byteLength !== this.host.packetBytes) {
      throw new MixError(
        'INTERNAL',
        `a frame of ${nextHop32.byteLength} + ${packet.byteLength} bytes is not one of this link`,
      );
    }
    const slot = this.#removed ? undefined : ring.reserve();
    if (slot === undefined) return false;
    slot.set(nextHop32);
    slot.set(packet, ADDRESS_BYTES); // zeros behind it were there from the start
    ring.commit();
    return true;
  }
}

function checkedRate(perSecond: number): number {
  if (perSecond >= 0) return Math.min(perSecond, MAX_LANE_RATE);
  throw new MixError('INTERNAL', `${perSecond} per second is not a rate`);
}
