/** A consensus in pieces: whole or nothing, whatever happens to them. */
import fc from 'fast-check';
import t from 'tap';
import {
  ConsensusAssembler,
  type ConsensusText,
  consensusPieces,
  MAX_HANDED_BYTES,
  PIECE_HEADER_BYTES,
} from '../../lib/directory/consensus-pieces.ts';
import { epochNumber } from '../support/units.ts';

const PIECE_BYTES = 40;
const any = () => true;
const documentOf = (epoch: number, text: string): ConsensusText => ({ epoch: epochNumber(epoch), text });

/** What an assembler gives for these pieces. */
function assembled(pieces: readonly Uint8Array[], wanted: (epoch: number) => boolean = any) {
  const assembler = new ConsensusAssembler();
  const results = pieces.map((piece) => assembler.take(Buffer.from(piece), wanted));
  const documents = results.filter((result): result is ConsensusText => typeof result === 'object');
  return { documents, faults: results.filter((result) => typeof result === 'string'), heldBytes: assembler.heldBytes };
}

const documents = fc
  .uniqueArray(fc.record({ epoch: fc.nat(2 ** 40), text: fc.string({ minLength: 1, maxLength: 300 }) }), {
    maxLength: 4,
    minLength: 1,
    selector: ({ epoch }) => epoch,
  })
  .map((all) => all.map(({ epoch, text }) => documentOf(epoch, text)));

t.test('documents come out of their pieces as they were, one after the other', async () => {
  fc.assert(
    fc.property(documents, (all) => {
      const pieces = all.flatMap((document) => consensusPieces(document, PIECE_BYTES));
      const got = assembled(pieces);
      return (
        pieces.every((piece) => piece.length === PIECE_BYTES) &&
        JSON.stringify(got) === JSON.stringify({ documents: all, faults: [], heldBytes: 0 })
      );
    }),
  );
});

t.test('pieces that are lost, repeated or out of order give whole documents or nothing', async () => {
  fc.assert(
    fc.property(documents, fc.array(fc.nat(), { maxLength: 60 }), (all, choice) => {
      const pieces = all.flatMap((document) => consensusPieces(document, PIECE_BYTES));
      const sent = choice.map((at) => pieces[at % pieces.length] as Buffer);
      const { documents: got, heldBytes } = assembled(sent);
      const longest = Math.max(...all.map(({ text }) => Buffer.byteLength(text)));
      return (
        heldBytes < longest && got.every(({ epoch, text }) => all.some((d) => d.epoch === epoch && d.text === text))
      );
    }),
  );
});

t.test('any bytes at all give at most what fits, and no error', async () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 20 }), (pieces) => {
      const { documents: got, heldBytes } = assembled(pieces);
      return got.every(({ text }) => text.length <= 60 * pieces.length) && heldBytes <= 60 * pieces.length;
    }),
  );
});

t.test('a lost piece ends its document, and the next one is taken', async (t) => {
  const [first, second] = [documentOf(1, 'a'.repeat(100)), documentOf(2, 'b'.repeat(100))];
  const pieces = consensusPieces(first, PIECE_BYTES);
  pieces.splice(1, 1);
  const got = assembled([...pieces, ...consensusPieces(second, PIECE_BYTES)]);
  t.strictSame(got.documents, [second]);
  t.strictSame(new Set(got.faults), new Set(['gap']));
});

t.test('a document of an epoch that is not wanted is not kept', async (t) => {
  const got = assembled(consensusPieces(documentOf(1, 'a'.repeat(100)), PIECE_BYTES).slice(0, 2), (epoch) => epoch > 1);
  t.strictSame(got, { documents: [], faults: ['other-epoch', 'other-epoch'], heldBytes: 0 });
});

t.test('one that claims to be longer than a consensus may be is refused with its first piece', async (t) => {
  const [piece] = consensusPieces(documentOf(1, 'a'), PIECE_BYTES);
  piece?.writeUInt32BE(MAX_HANDED_BYTES, 8);
  t.equal(assembled([piece as Buffer]).heldBytes, PIECE_BYTES - PIECE_HEADER_BYTES, 'as long as may be');
  piece?.writeUInt32BE(MAX_HANDED_BYTES + 1, 8);
  t.strictSame(assembled([piece as Buffer]), { documents: [], faults: ['malformed'], heldBytes: 0 });
});
