/**
 * The consensuses that a gateway hands on to its clients, as frames that are ready to leave, and how far each client has got
 * (docs/PROTOCOL.md section 5.9). Every client gets every document once over a link, unasked, so that what it gets tells nothing of it.
 * @module
 */
import { type ConsensusText, consensusPieces } from '../lib/directory/index.ts';
import { downlinkFrame } from '../lib/link/index.ts';

/** One for all clients: frames are shared, since nobody changes them. */
export class ConsensusFrames {
  #documents: readonly { readonly epoch: number; readonly frames: readonly Buffer[] }[] = [];

  constructor(readonly packetBytes: number) {}

  /** What is handed on from now on, oldest first: the consensus in force, and the next. */
  set(documents: readonly ConsensusText[]): void {
    this.#documents = documents.map((document) => {
      const known = this.#documents.find(({ epoch }) => epoch === document.epoch);
      return known ?? { epoch: document.epoch, frames: this.#framesOf(document) };
    });
  }

  /** The oldest document that is newer than `epoch`. */
  after(epoch: number) {
    return this.#documents.find((document) => document.epoch > epoch);
  }

  #framesOf(document: ConsensusText): Buffer[] {
    const pieces = consensusPieces(document, this.packetBytes);
    return pieces.map((piece) => downlinkFrame('consensus', this.packetBytes, piece));
  }
}

/** What one client has got over its link. */
export class ConsensusProgress {
  /** Epoch of the newest document of which everything was sent. */
  #done = -1;
  #epoch = -1;
  #sent = 0;

  constructor(readonly shared: ConsensusFrames) {}

  /** The frame that is to follow; undefined when the client has got everything. */
  next(): Buffer | undefined {
    const document = this.shared.after(this.#done);
    if (document === undefined) return undefined;
    if (document.epoch !== this.#epoch) {
      this.#epoch = document.epoch;
      this.#sent = 0;
    }
    return document.frames[this.#sent];
  }

  /** The frame that `next` gave has left. */
  advance(): void {
    this.#sent += 1;
    const document = this.shared.after(this.#done);
    if (document?.epoch === this.#epoch && this.#sent >= document.frames.length) this.#done = this.#epoch;
  }
}
