/**
 * Vectors of the directory: network id, envelope, join proof, descriptor, consensus (docs/PROTOCOL.md section 4).
 * @module
 */
import { z } from 'zod';
import { canonicalJson } from '../../../directory/voting/canonical-json.ts';
import { mergeBallots } from '../../../directory/voting/merge.ts';
import { parseBallot, parseVote } from '../../../directory/voting/vote.ts';
import { type IdentityHex, isIdentityHex, toHex } from '../../../lib/core/bytes.ts';
import { epochAt, keyGraceMs, packetBytes } from '../../../lib/core/params.ts';
import { epochNumber } from '../../../lib/core/units.ts';
import type { Crypto } from '../../../lib/crypto/index.ts';
import { applyDifference, consensusDifference } from '../../../lib/directory/consensus-difference.ts';
import { consensusPieces, PIECE_HEADER_BYTES } from '../../../lib/directory/consensus-pieces.ts';
import { encodeEnvelope, parseEnvelope, sign, signedBytes, validSigners } from '../../../lib/directory/envelope.ts';
import { joinProof, networkId, parseNetworkFile, timing, Verifier } from '../../../lib/directory/index.ts';
import { payloadDigest } from '../../../lib/directory/verify.ts';
import { crypto as fastest } from '../../support/signed-documents.ts';
import { unix } from '../../support/units.ts';
import { fixedHex, hex, orRefused, vectorKind } from '../kind.ts';
import { CONSENSUSES, DESCRIPTORS, NETWORKS, SIGNED } from './directory-samples.ts';
import { MERGERS, VOTES } from './voting-samples.ts';

const REFUSED = { accepted: false } as const;
const MAX_PAYLOAD_BYTES = 24_576;
const documentType = z.enum(['descriptor', 'consensus', 'vote']);
const text = z.string();
const network = z.record(z.string(), z.json());

/** What differences take as documents of an authority: two lists of nodes, each key in one of them new. */
const listOf = (epoch: number, name = 'é') =>
  JSON.stringify({
    epoch,
    nodes: ['one', 'two', 'three'].map((node) => ({
      identity: fixedHex(node),
      name: `${name}-${node}`,
      sphinxKeys: [epoch, epoch + 1].map((one) => ({ epoch: one, key: fixedHex(`${node} ${one}`) })),
    })),
  });
const BEFORE = listOf(7);
const endOf = (payload: string, crypto: Pick<Crypto, 'sha256'>) => ({
  text: encodeEnvelope({
    payload,
    signatures: [{ signer: fixedHex('signer') as IdentityHex, signature: '5a'.repeat(64) }],
  }),
  digest: payloadDigest(payload, crypto),
});
const differenceTo = (target: string, from = BEFORE) =>
  consensusDifference(endOf(from, fastest), endOf(target, fastest)).toString('hex');
/** Edits that a careless reader might take for a difference that makes `made`, with its head: `bytes` to make, no signatures. */
function edits(made: string, bytes: number, hexEdits: string): string {
  const head = endOf(BEFORE, fastest).digest + endOf(made, fastest).digest;
  return `${head}${bytes.toString(16).padStart(8, '0')}00${hexEdits}`;
}

export const directoryKinds = [
  vectorKind(
    'consensus-difference',
    z.object({ base: text, difference: text }),
    (crypto, { base, difference }) =>
      orRefused(() => {
        const envelope = applyDifference(Buffer.from(difference, 'hex'), endOf(base, crypto), crypto);
        return { accepted: true, envelope };
      }, REFUSED),
    {
      'every node has a new key': { base: BEFORE, difference: differenceTo(listOf(8)) },
      'nothing in common': { base: '{}', difference: differenceTo(listOf(8, 'other'), '{}') },
      'refused: from another payload': { base: listOf(6), difference: differenceTo(listOf(8)) },
      'refused: cut off': { base: BEFORE, difference: differenceTo(listOf(8)).slice(0, -2) },
      'refused: makes something else than its digest': { base: BEFORE, difference: edits('jello', 5, '1568656c6c6f') },
      'refused: an edit of no bytes': { base: BEFORE, difference: edits('a', 1, '010561') },
      'refused: an edit of kind 3': { base: BEFORE, difference: edits('{', 1, '07') },
      'refused: a copy from behind the end': { base: BEFORE, difference: edits('\0'.repeat(8), 8, '207fff') },
      'refused: makes more than it says': { base: BEFORE, difference: edits('hell', 4, '1568656c6c6f') },
      'refused: makes less than it says': { base: BEFORE, difference: edits('hello', 6, '1568656c6c6f') },
    },
  ),

  vectorKind(
    'consensus-pieces',
    z.object({ epoch: z.int(), envelope: text, payloadBytes: z.int() }),
    (crypto, { epoch, envelope, payloadBytes }) =>
      consensusPieces({ epoch: epochNumber(epoch), text: envelope }, packetBytes(payloadBytes)).map((piece) => ({
        head: toHex(piece.subarray(0, PIECE_HEADER_BYTES)),
        pieceSha256: toHex(crypto.sha256(piece)),
      })),
    {
      'one piece': { epoch: 495_000, envelope: '{"payload":"…","signatures":[]}', payloadBytes: 2048 },
      'three pieces, the last one short': { epoch: 2 ** 40, envelope: 'x'.repeat(5000), payloadBytes: 2048 },
      'two pieces, both full': { epoch: 0, envelope: 'x'.repeat(2 * (8557 - 16)), payloadBytes: 8192 },
    },
  ),

  vectorKind(
    'network-id',
    z.object({ network }),
    (crypto, input) =>
      orRefused(() => {
        let hashed = '';
        const id = networkId(parseNetworkFile(JSON.stringify(input.network)), {
          sha256: (data) => {
            hashed = toHex(data);
            return crypto.sha256(data);
          },
        });
        return { accepted: true, hashed, id: toHex(id) };
      }, REFUSED),
    NETWORKS,
  ),

  vectorKind(
    'envelope',
    z.object({ type: documentType, seed: hex(32), payload: text }),
    (crypto, { type, seed, payload }) => {
      const signature = sign(type, payload, seed, crypto);
      const envelope = encodeEnvelope({ payload, signatures: [signature] });
      return { signedBytes: toHex(signedBytes(type, payload)), ...signature, envelope };
    },
    {
      'a short payload': { type: 'descriptor', seed: fixedHex('signer'), payload: '{"a":1}' },
      'the same payload under another type': { type: 'consensus', seed: fixedHex('signer'), payload: '{"a":1}' },
      'text outside of ASCII, quotes and line ends': {
        type: 'descriptor',
        seed: fixedHex('signer'),
        payload: '{ "näme": "\\"\\n€\u{1f600}" }\n',
      },
      'an empty payload': { type: 'descriptor', seed: fixedHex('signer 2'), payload: '' },
    },
  ),

  vectorKind(
    'signers',
    z.object({ type: documentType, allowed: z.array(text), envelope: text }),
    (crypto, { type, allowed, envelope }) =>
      orRefused(() => {
        const parsed = parseEnvelope(type, envelope, MAX_PAYLOAD_BYTES);
        const signers = validSigners(type, parsed, new Set(allowed.filter(isIdentityHex)), crypto);
        return { accepted: true, signers: [...signers].sort() };
      }, REFUSED),
    SIGNED,
  ),

  vectorKind(
    'join-proof',
    z.object({ token: text, payload: text }),
    (crypto, { token, payload }) => ({ proof: joinProof(token, payload, crypto) }),
    {
      'a token': { token: fixedHex('join token'), payload: '{"a":1}' },
      'a payload outside of ASCII': { token: fixedHex('join token'), payload: '{"a":"Schlüssel"}' },
    },
  ),

  vectorKind(
    'descriptor',
    z.object({ network, envelope: text }),
    (crypto, input) =>
      orRefused(() => {
        const verifier = new Verifier(parseNetworkFile(JSON.stringify(input.network)), crypto);
        const { descriptor } = verifier.descriptor(input.envelope);
        return { accepted: true, identity: descriptor.identity, role: descriptor.role };
      }, REFUSED),
    DESCRIPTORS,
  ),

  vectorKind(
    'consensus',
    z.object({ network, envelope: text }),
    (crypto, input) =>
      orRefused(() => {
        const verifier = new Verifier(parseNetworkFile(JSON.stringify(input.network)), crypto);
        const { consensus, digest } = verifier.consensus(input.envelope);
        const { epoch, nodes } = consensus;
        return { accepted: true, epoch, nodes: nodes.map((node) => node.identity), etag: `"${digest}"` };
      }, REFUSED),
    CONSENSUSES,
  ),

  vectorKind(
    'vote',
    z.object({ seed: hex(32), networkId: text, epoch: z.int(), attempt: z.int(), ballot: z.json() }),
    (crypto, { seed, networkId: network, epoch, attempt, ballot }) => {
      const ballotText = canonicalJson(ballot);
      parseBallot(ballotText);
      const authority = toHex(crypto.ed25519PublicKey(seed));
      const digest = toHex(crypto.sha256(Buffer.from(ballotText)));
      const payload = canonicalJson({ version: 2, network, epoch, attempt, authority, ballot: digest });
      parseVote(payload);
      return {
        ballot: ballotText,
        vote: encodeEnvelope({ payload, signatures: [sign('vote', payload, seed, crypto)] }),
      };
    },
    VOTES,
  ),

  vectorKind(
    'merge',
    z.object({ authorities: z.int(), threshold: z.int(), ballots: z.array(z.json()) }),
    (_crypto, { authorities, threshold, ballots }) => {
      const faults = authorities - threshold;
      const read = ballots.map((ballot) => parseBallot(canonicalJson(ballot)));
      const merged = mergeBallots(read, { threshold, faults, witnesses: faults + 1 });
      return merged === undefined ? { consensus: false } : { consensus: true, merged: canonicalJson(merged) };
    },
    MERGERS,
  ),

  vectorKind(
    'epochs',
    z.object({ epochMs: z.int(), nowMs: z.int().transform(unix) }),
    (_crypto, { epochMs, nowMs }) => ({
      epoch: epochAt(nowMs, epochMs),
      deltaMs: keyGraceMs(epochMs),
      descriptorKeysFor: timing.descriptorEpochs(nowMs, epochMs),
    }),
    {
      'early in an epoch': { epochMs: 3_600_000, nowMs: 1_800_000_000_000 },
      'one ms before the last third begins': { epochMs: 3_600_000, nowMs: 1_800_002_399_999 },
      'in the last third': { epochMs: 3_600_000, nowMs: 1_800_002_400_000 },
      'an epoch of seconds': { epochMs: 5_000, nowMs: 1_800_000_004_999 },
    },
  ),
];
