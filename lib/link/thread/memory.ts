/**
 * The shared memory between main and link thread: who writes what, and where.
 *
 * Main fills the rings of a lane and reads its counters; the link thread empties and counts. The link thread fills the
 * inbound ring and main empties it. Wake-ups are messages; a flag per kind keeps at most one of each on its way.
 * @module
 */
import { LatenessHistogram } from './lateness.ts';
import { SpscRing } from './spsc-ring.ts';

/** A flag that is raised by one thread and taken down by another. */
export class Flag {
  constructor(
    readonly words: Int32Array,
    readonly index: number,
  ) {}

  /** Raises the flag; true if it was down, that is, if the other side needs a message. */
  raise(): boolean {
    return Atomics.exchange(this.words, this.index, 1) === 0;
  }

  lower(): void {
    Atomics.store(this.words, this.index, 0);
  }
}

/** Counters of the whole link. */
const RECEIVED = 0;
const INBOUND_DROPPED = 1;
const CONNECTS = 2;
const PADDING = 3;
const UNKNOWN_FRAMES = 4;

/** The part that exists once per link. */
export class LinkMemory {
  readonly lateness: LatenessHistogram;
  readonly inbound: SpscRing;
  /** Frames have left a ring since main last looked. */
  readonly roomFlag: Flag;
  /** Packets are in the inbound ring since main last looked. */
  readonly inboundFlag: Flag;
  /** Main has pushed to an immediate lane since the link thread last looked. */
  readonly pushedFlag: Flag;
  readonly #counters: Float64Array;

  constructor(
    readonly buffer: SharedArrayBuffer,
    inboundSlots: number,
    packetBytes: number,
  ) {
    const words = new Int32Array(buffer, 0, 16);
    this.roomFlag = new Flag(words, 0);
    this.inboundFlag = new Flag(words, 1);
    this.pushedFlag = new Flag(words, 2);
    this.#counters = new Float64Array(buffer, 64, 8);
    this.lateness = new LatenessHistogram(buffer, LATENESS_OFFSET);
    this.inbound = new SpscRing(buffer, INBOUND_OFFSET, inboundSlots, inboundSlotBytes(packetBytes));
  }

  static allocate(inboundSlots: number, packetBytes: number): LinkMemory {
    const bytes = INBOUND_OFFSET + SpscRing.bytes(inboundSlots, inboundSlotBytes(packetBytes));
    return new LinkMemory(new SharedArrayBuffer(bytes), inboundSlots, packetBytes);
  }

  countReceived(): void {
    bump(this.#counters, RECEIVED);
  }

  countInboundDropped(): void {
    bump(this.#counters, INBOUND_DROPPED);
  }

  countConnect(): void {
    bump(this.#counters, CONNECTS);
  }

  countPadding(): void {
    bump(this.#counters, PADDING);
  }

  countUnknownFrame(): void {
    bump(this.#counters, UNKNOWN_FRAMES);
  }

  counters() {
    const [received = 0, inboundDropped = 0, connects = 0, padding = 0, unknownFrames = 0] = this.#counters;
    return { received, inboundDropped, connects, padding, unknownFrames };
  }
}

/** A packet, or what stands in its place, and its kind. */
function inboundSlotBytes(packetBytes: number): number {
  return packetBytes + 1;
}

/** Counters of a lane. A torn read of one is possible in theory and harmless: they are statistics. */
const SENT_CONTENT = 0;
const SENT_IDLE = 1;
const MISSED = 2;
const DISCARDED = 3;
const MEASURED = 4;
const LANE_HEADER_BYTES = 64;

export interface LaneShape {
  readonly contentSlots: number;
  readonly idleSlots: number;
  readonly slotBytes: number;
}

/** The part that exists once per lane. */
export class LaneMemory {
  readonly content: SpscRing;
  readonly idle: SpscRing;
  readonly #counters: Float64Array;

  constructor(
    readonly buffer: SharedArrayBuffer,
    readonly shape: LaneShape,
  ) {
    const { contentSlots, idleSlots, slotBytes } = shape;
    this.#counters = new Float64Array(buffer, 0, LANE_HEADER_BYTES / 8);
    this.content = new SpscRing(buffer, LANE_HEADER_BYTES, contentSlots, slotBytes);
    const idleOffset = LANE_HEADER_BYTES + SpscRing.bytes(contentSlots, slotBytes);
    this.idle = new SpscRing(buffer, idleOffset, idleSlots, slotBytes);
  }

  static allocate(shape: LaneShape): LaneMemory {
    const ringBytes =
      SpscRing.bytes(shape.contentSlots, shape.slotBytes) + SpscRing.bytes(shape.idleSlots, shape.slotBytes);
    return new LaneMemory(new SharedArrayBuffer(LANE_HEADER_BYTES + ringBytes), shape);
  }

  countContent(): void {
    bump(this.#counters, SENT_CONTENT);
  }

  countIdle(): void {
    bump(this.#counters, SENT_IDLE);
  }

  countMissed(): void {
    bump(this.#counters, MISSED);
  }

  countDiscarded(): void {
    bump(this.#counters, DISCARDED);
  }

  setMeasured(perSecond: number): void {
    this.#counters[MEASURED] = perSecond;
  }

  counters(): { sentContent: number; sentIdle: number; missed: number; discarded: number; measured: number } {
    const [sentContent = 0, sentIdle = 0, missed = 0, discarded = 0, measured = 0] = this.#counters;
    return { sentContent, sentIdle, missed, discarded, measured };
  }
}

const LATENESS_OFFSET = 128;
const INBOUND_OFFSET = Math.ceil((LATENESS_OFFSET + LatenessHistogram.BYTES) / 64) * 64;

function bump(counters: Float64Array, index: number): void {
  counters[index] = (counters[index] ?? 0) + 1;
}
