/**
 * A consensus in pieces of one size, as a gateway hands it on to its clients (docs/PROTOCOL.md section 4.7). Pure.
 *
 *     epoch 8 | bytes of the envelope 4 | offset of the first byte 4 | bytes | zeros behind the last        (big-endian)
 *
 * Pieces come in order, since a link keeps it. So the receiver takes each document whole or not at all: a piece that does not
 * continue what has come ends it. What the whole is worth is decided by its signatures.
 * @module
 */
import { asBuffer } from '../core/bytes.ts';
import { type EpochNumber, epochNumber } from '../core/units.ts';
import { MAX_CONSENSUS_BYTES } from './documents.ts';
import { envelopeBytes } from './envelope.ts';

export const PIECE_HEADER_BYTES = 16;
/** Bytes of an envelope that is handed on; what is put together takes no more memory. */
export const MAX_HANDED_BYTES = envelopeBytes(MAX_CONSENSUS_BYTES);

/** A consensus as its envelope. */
export interface ConsensusText {
  readonly epoch: EpochNumber;
  readonly text: string;
}

/** The pieces of a document, `pieceBytes` each. */
export function consensusPieces({ epoch, text }: ConsensusText, pieceBytes: number): Buffer[] {
  const bytes = Buffer.from(text, 'utf8');
  const room = pieceBytes - PIECE_HEADER_BYTES;
  return Array.from({ length: Math.ceil(bytes.length / room) }, (_, i) => {
    const piece = Buffer.alloc(pieceBytes);
    piece.writeBigUInt64BE(BigInt(epoch), 0);
    piece.writeUInt32BE(bytes.length, 8);
    piece.writeUInt32BE(i * room, 12);
    bytes.copy(piece, PIECE_HEADER_BYTES, i * room, (i + 1) * room);
    return piece;
  });
}

/** Why a piece is discarded. */
export type PieceFault =
  /** It can belong to no document: a length of 0 or above the bound, or an offset behind the end. */
  | 'malformed'
  /** Of an epoch that is not wanted. */
  | 'other-epoch'
  /** It does not continue what has come. */
  | 'gap';

/** Puts the pieces of one link together, one document at a time. */
export class ConsensusAssembler {
  #under: { readonly epoch: EpochNumber; readonly totalBytes: number; readonly parts: Buffer[] } | undefined;
  #bytes = 0;

  /** Bytes of an unfinished document. */
  get heldBytes(): number {
    return this.#bytes;
  }

  /** Takes a piece, which it owns from now on; the document when it was the last of it. `wanted`: which epochs may be. */
  take(piece: Uint8Array, wanted: (epoch: number) => boolean): ConsensusText | PieceFault | undefined {
    const head = headOf(asBuffer(piece));
    if (head === undefined) return this.#refuse('malformed');
    const { epoch, totalBytes, offset, bytes } = head;
    if (!wanted(epoch)) return this.#refuse('other-epoch');
    if (offset === 0) {
      this.reset();
      this.#under = { epoch, totalBytes, parts: [] };
    }
    const under = this.#under;
    if (under?.epoch !== epoch || under.totalBytes !== totalBytes || offset !== this.#bytes) return this.#refuse('gap');
    under.parts.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes < totalBytes) return undefined;
    this.reset();
    return { epoch, text: Buffer.concat(under.parts).toString('utf8') };
  }

  #refuse(fault: PieceFault): PieceFault {
    this.reset();
    return fault;
  }

  /** Lets go what has come of an unfinished document. */
  reset(): void {
    this.#under = undefined;
    this.#bytes = 0;
  }
}

function headOf(piece: Buffer) {
  if (piece.length <= PIECE_HEADER_BYTES) return undefined;
  const epoch = epochNumber(Number(piece.readBigUInt64BE(0)));
  const totalBytes = piece.readUInt32BE(8);
  const offset = piece.readUInt32BE(12);
  if (offset >= totalBytes || totalBytes > MAX_HANDED_BYTES) return undefined;
  return {
    epoch,
    totalBytes,
    offset,
    bytes: piece.subarray(PIECE_HEADER_BYTES, PIECE_HEADER_BYTES + totalBytes - offset),
  };
}
