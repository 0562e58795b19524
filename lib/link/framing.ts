/**
 * Frames on a byte stream. Every frame of a link has one size, so that there is no length field; frames that do not
 * fit one TLS record (16 KiB) are padded with zeros until they divide into equal fragments, one record each.
 * @module
 */
import { asBuffer } from '../core/bytes.ts';
import { ADDRESS_BYTES } from '../core/params.ts';

/** Most plaintext bytes of a TLS record (RFC 8446 section 5.1). */
const MAX_RECORD_BYTES = 16_384;
/** Fewest that `setMaxSendFragment` takes. */
const MIN_RECORD_BYTES = 512;

/** What a frame from a gateway to its client carries: the first byte behind the packet. */
export const DOWNLINK_KIND = { packet: 0, padding: 1, consensus: 2 } as const;

/** A whole frame for clients with what stands in place of a packet, `packetBytes` at most. Many links may send it: it must not change. */
export function downlinkFrame(kind: keyof typeof DOWNLINK_KIND, packetBytes: number, content?: Uint8Array): Buffer {
  const frame = Buffer.alloc(frameShape(packetBytes + ADDRESS_BYTES).wireBytes);
  if (content !== undefined) frame.set(content.subarray(0, packetBytes));
  frame[packetBytes] = DOWNLINK_KIND[kind];
  return frame;
}

export interface FrameShape {
  /** Bytes that mean something. */
  readonly frameBytes: number;
  /** Bytes on the stream: `frameBytes` and zeros up to a multiple of `recordBytes`. */
  readonly wireBytes: number;
  /** Plaintext bytes of each TLS record. */
  readonly recordBytes: number;
}

export function frameShape(frameBytes: number): FrameShape {
  const records = Math.ceil(frameBytes / MAX_RECORD_BYTES);
  const recordBytes = Math.max(MIN_RECORD_BYTES, Math.ceil(frameBytes / records));
  return { frameBytes, recordBytes, wireBytes: records * recordBytes };
}

/** Cuts a stream, in whatever pieces it comes, into frames of `wireBytes`. */
export class FrameSplitter {
  /** The beginning of a frame whose rest has not come; reused only after its frame was given away. */
  #partial: Buffer | undefined;
  #filled = 0;

  constructor(readonly wireBytes: number) {}

  /** Bytes of an unfinished frame held back. */
  get pendingBytes(): number {
    return this.#filled;
  }

  /**
   * Calls `onFrame` for every frame that `chunk` completes. A frame wholly inside the chunk is a view of it, any other
   * is freshly allocated: either way the receiver owns it, if the caller gave up the chunk.
   */
  push(chunk: Uint8Array, onFrame: (frame: Buffer) => void): void {
    let offset = 0;
    if (this.#partial !== undefined) {
      offset = this.#append(this.#partial, chunk, 0);
      if (this.#filled < this.wireBytes) return;
      const frame = this.#partial;
      this.#partial = undefined;
      this.#filled = 0;
      onFrame(frame);
    }
    const buffer = asBuffer(chunk);
    while (chunk.byteLength - offset >= this.wireBytes) {
      onFrame(buffer.subarray(offset, offset + this.wireBytes));
      offset += this.wireBytes;
    }
    if (offset < chunk.byteLength) {
      this.#partial = Buffer.allocUnsafe(this.wireBytes);
      this.#append(this.#partial, chunk, offset);
    }
  }

  #append(partial: Buffer, chunk: Uint8Array, offset: number): number {
    const end = Math.min(chunk.byteLength, offset + this.wireBytes - this.#filled);
    partial.set(chunk.subarray(offset, end), this.#filled);
    this.#filled += end - offset;
    return end;
  }
}
