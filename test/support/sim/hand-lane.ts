import type { LaneFrame } from '../../../lib/endpoint/index.ts';
import type { Lane, LaneOptions } from '../../../lib/link/index.ts';

/** A lane that is ticked by hand. */
export class HandLane implements Lane {
  readonly name: string;
  readonly content: LaneFrame[] = [];
  readonly idleFrames: LaneFrame[] = [];
  rate: number;
  missed = 0;
  /** Idle frames that it was told to forget. */
  dropped = 0;
  removed = false;

  constructor(readonly options: LaneOptions) {
    this.name = options.name;
    this.rate = options.ratePerSecond;
  }

  contentRoom = () => this.options.contentSlots - this.content.length;
  idleRoom = () => this.options.idleSlots - this.idleFrames.length;
  pushContent = (firstHop: Uint8Array, packet: Uint8Array) => this.content.push({ firstHop, packet }) > 0;
  pushIdle = (firstHop: Uint8Array, packet: Uint8Array) => this.idleFrames.push({ firstHop, packet }) > 0;
  stats = () => ({ set: this.rate, measured: 0, sentContent: 0, sentIdle: 0, missed: this.missed, discarded: 0 });

  dropIdle(count: number): void {
    this.dropped += this.idleFrames.splice(0, count).length;
  }

  setRate(perSecond: number): void {
    this.rate = perSecond;
  }

  remove(): void {
    this.removed = true;
  }

  tick(): LaneFrame | undefined {
    const frame = this.content.shift() ?? this.idleFrames.shift();
    if (frame === undefined) this.missed += 1;
    return frame;
  }
}
