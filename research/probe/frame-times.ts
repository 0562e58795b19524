/**
 * When frames passed on one direction of a link: the relay's thread writes, whoever asks reads. Shared memory, so that
 * the recording thread sends no message and makes no garbage per frame.
 * @module
 */
import { clientFrameBytes, DEFAULT_PARAMS } from '../../lib/core/params.ts';

const TLS_HEADER_BYTES = 5;
/** A frame is one record: its bytes, the inner content type and the tag. */
export const FRAME_RECORD_BYTES = clientFrameBytes(DEFAULT_PARAMS.payloadBytes) + 17;
/** Frames kept of one direction: three hours at a hundred per second would be too many, a probe's half hour is not. */
const ROOM = 1 << 18;
const COUNT_BYTES = 8;

/** Times of a direction, in milliseconds of `monotonicMs`, oldest first. */
export class FrameTimes {
  readonly #count: Int32Array;
  readonly #timesMs: Float64Array;

  constructor(readonly memory = new SharedArrayBuffer(COUNT_BYTES + ROOM * 8)) {
    this.#count = new Int32Array(memory, 0, 1);
    this.#timesMs = new Float64Array(memory, COUNT_BYTES);
  }

  get length(): number {
    return Atomics.load(this.#count, 0);
  }

  /** A frame beyond the capacity is not kept: the reader, who waits for it, learns that from `slice`. */
  note(timeMs: number): void {
    const count = this.length;
    if (count >= ROOM) return;
    this.#timesMs[count] = timeMs;
    Atomics.store(this.#count, 0, count + 1);
  }

  slice(start: number, end = this.length): number[] {
    if (this.length === ROOM) throw new Error(`more frames than the recorder keeps (${ROOM})`);
    return [...this.#timesMs.subarray(start, end)];
  }
}

/** Finds the ends of full frames in a stream of TLS records, without keeping any of its bytes. */
export class FrameFinder {
  readonly #times: FrameTimes;
  readonly #header = Buffer.alloc(TLS_HEADER_BYTES);
  #headerBytes = 0;
  #bodyBytes = 0;
  #isFrame = false;

  constructor(times: FrameTimes) {
    this.#times = times;
  }

  /** A frame has passed when its last byte has. */
  push(chunk: Buffer, timeMs: number): void {
    for (let at = 0; at < chunk.byteLength; ) {
      at += this.#headerBytes < TLS_HEADER_BYTES ? this.#takeHeader(chunk, at) : this.#takeBody(chunk.byteLength - at);
      if (this.#headerBytes < TLS_HEADER_BYTES || this.#bodyBytes > 0) continue;
      if (this.#isFrame) this.#times.note(timeMs);
      this.#headerBytes = 0;
    }
  }

  #takeHeader(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#header, this.#headerBytes, at);
    this.#headerBytes += taken;
    if (this.#headerBytes === TLS_HEADER_BYTES) {
      this.#bodyBytes = this.#header.readUInt16BE(3);
      this.#isFrame = this.#bodyBytes === FRAME_RECORD_BYTES;
    }
    return taken;
  }

  #takeBody(available: number): number {
    const taken = Math.min(available, this.#bodyBytes);
    this.#bodyBytes -= taken;
    return taken;
  }
}
