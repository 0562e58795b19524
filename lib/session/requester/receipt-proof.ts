/**
 * The requester's proof that whoever sends in a session also receives its replies (RFC 9000 section 8.2): every reply carries
 * eight random bytes until they come back. Before that the session has one stream at most.
 * @module
 */
import { constantTimeEqual } from '../../core/bytes.ts';
import type { Rng } from '../../core/rng.ts';
import { CHALLENGE_BYTES } from '../../transport/limits.ts';
import { FRAME, type Frame } from '../../transport/wire/frames.ts';
import { NOBODY, type PacketBuilder } from '../../transport/wire/packet-builder.ts';

export class ReceiptProof {
  #challenge: Uint8Array | undefined;

  constructor(rng: Rng) {
    this.#challenge = rng.bytes(CHALLENGE_BYTES);
  }

  get given(): boolean {
    return this.#challenge === undefined;
  }

  write(builder: PacketBuilder): void {
    if (this.#challenge !== undefined) builder.challenge(NOBODY, this.#challenge);
  }

  /** Looks for the bytes in a packet. False when it uses a second stream without them. */
  check(frames: readonly Frame[]): boolean {
    if (this.#challenge === undefined) return true;
    for (const frame of frames) {
      if (frame.type !== FRAME.RESPONSE || !constantTimeEqual(frame.bytes, this.#challenge)) continue;
      this.#challenge = undefined;
      return true;
    }
    return frames.every((frame) => !('stream' in frame) || frame.stream === 0);
  }
}
