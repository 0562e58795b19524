/**
 * Vectors of headers whose random parts are given, and of what travels under them (docs/PROTOCOL.md section 2). A packet is
 * unwrapped by every hop with the product's code, and recovered by its creator.
 * @module
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { toHex } from '../../../lib/core/bytes.ts';
import { type Rng, rngFrom, systemRng } from '../../../lib/core/rng.ts';
import type { Crypto } from '../../../lib/crypto/index.ts';
import { FINAL_BLOCK_BYTES, STEP_BYTES } from '../../../lib/sphinx/constants.ts';
import { forwardHeader, ownHeader } from '../../../lib/sphinx/header.ts';
import { compactSurb, gammaKeyOf, Sphinx, unpad } from '../../../lib/sphinx/index.ts';
import { sealPacket } from '../../../lib/sphinx/payload.ts';
import { encodeSurb } from '../../../lib/sphinx/surb.ts';
import { expectSame, fixed, fixedHex, hex, type Json, vectorKind } from '../kind.ts';

const delayNs = z.string().regex(/^\d{1,20}$/);
const hop = z.object({ secretKey: hex(32), address: hex(32), delayNs });
type Hop = z.output<typeof hop>;
const common = { initialSecret: hex(32), hops: z.array(hop), payloadBytes: z.int(), message: hex() };
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Gives these bytes, one after the other, to whoever draws. */
function given(...draws: Uint8Array[]): Rng {
  return rngFrom((out) => {
    const bytes = draws.shift();
    if (bytes?.byteLength !== out.byteLength) throw new Error(`${out.byteLength} random bytes are needed`);
    out.set(bytes);
  });
}

function routeOf(crypto: Crypto, hops: readonly Hop[]) {
  return hops.map(({ secretKey, address, delayNs }) => ({
    address,
    publicKey: crypto.x25519Base(secretKey),
    delayNs: BigInt(delayNs),
  }));
}

/** What each hop reads and sends on; the packet is what the last one gets. */
function travel(crypto: Crypto, hops: readonly Hop[], packet: Uint8Array): Json[] {
  const sphinx = new Sphinx(crypto, systemRng);
  return hops.map(({ secretKey, delayNs }) => {
    const opened = sphinx.openHeader(secretKey, packet);
    if (typeof opened === 'string') throw new Error(`refused: ${opened}`);
    const replayTag = toHex(opened.replayTag);
    const result = sphinx.finish(opened, packet);
    if (result.kind === 'forward') {
      return { replayTag, next: toHex(result.nextAddress), delayNs, packetSha256: sha256(packet) };
    }
    const { destination, identifier, payload } = result;
    const message = unpad(payload);
    if (message === undefined) throw new Error('the payload is not sound');
    return {
      replayTag,
      destination: toHex(destination),
      identifier: toHex(identifier),
      messageSha256: sha256(message),
    };
  });
}

const hops = (count: number): Json =>
  Array.from({ length: count }, (_, i) => ({
    secretKey: fixedHex(`hop ${i} key`),
    address: fixedHex(`hop ${i} address`),
    delayNs: String((i + 1) * 12_345_678),
  }));
/** Bytes of the last hop's beta that are no filler. */
const headBytes = (count: number) => 300 - STEP_BYTES * (count - 1);
const MESSAGE = toHex(new TextEncoder().encode('a message'));

function forward(count: number): Json {
  return {
    initialSecret: fixedHex(`secret ${count}`),
    hops: hops(count),
    destination: fixedHex('destination'),
    identifier: fixedHex('identifier', 16),
    randomTail: fixedHex(`tail ${count}`, headBytes(count) - FINAL_BLOCK_BYTES),
    payloadBytes: 2048,
    message: MESSAGE,
  };
}

function own(count: number, message: string): Json {
  return {
    initialSecret: fixedHex(`own secret ${count}`),
    hops: hops(count),
    ownAddress: fixedHex('own address'),
    gamma: fixedHex(`gamma ${count}`, 16),
    randomHead: fixedHex(`head ${count}`, headBytes(count + 1)),
    ownSeed: fixedHex(`seed ${count}`, 16),
    payloadBytes: 2048,
    message,
  };
}

const ownShape = z.object({ ...common, ownAddress: hex(32), gamma: hex(16), randomHead: hex(), ownSeed: hex(16) });

function makeOwn(crypto: Crypto, input: z.output<typeof ownShape>) {
  const rng = given(input.initialSecret, input.gamma, input.randomHead, input.ownSeed);
  return ownHeader(crypto, rng, routeOf(crypto, input.hops), input.ownAddress, 260);
}

/** What the creator makes of the packet that came back to it. */
function recover(crypto: Crypto, gamma: Uint8Array, seeds: Uint8Array, packet: Uint8Array): Json {
  expectSame(toHex(packet.subarray(32, 48)), toHex(gamma));
  const message = new Sphinx(crypto, systemRng).recover({ gamma, key: gammaKeyOf(packet), seeds }, packet);
  if (message === undefined) throw new Error('the payload is not sound');
  return { messageSha256: sha256(message) };
}

export const sphinxKinds = [
  vectorKind(
    'packet',
    z.object({ ...common, destination: hex(32), identifier: hex(16), randomTail: hex() }),
    (crypto, input) => {
      const rng = given(input.initialSecret, input.randomTail);
      const route = routeOf(crypto, input.hops);
      const { header, seeds } = forwardHeader(crypto, rng, route, 260, input.destination, input.identifier);
      const packet = sealPacket(crypto, header, seeds, input.message, input.payloadBytes);
      const made = { header: toHex(header), seeds: toHex(seeds), packetSha256: sha256(packet) };
      return { ...made, hops: travel(crypto, input.hops, packet) };
    },
    {
      'five hops': forward(5),
      'four hops, as a drop packet has': { ...(forward(4) as object), message: '' },
      'one hop': forward(1),
      'a full message': { ...(forward(5) as object), message: toHex(fixed('full message', 2048)) },
    },
  ),

  vectorKind(
    'loop',
    ownShape,
    (crypto, input) => {
      const { header, seeds, gamma } = makeOwn(crypto, input);
      const packet = sealPacket(crypto, header, seeds, input.message, input.payloadBytes);
      const made = { header: toHex(header), seeds: toHex(seeds), packetSha256: sha256(packet) };
      const read = travel(crypto, input.hops, packet);
      return { ...made, hops: read, creator: recover(crypto, gamma, seeds.slice(-16), packet) };
    },
    { 'of a client: four hops and itself': own(4, ''), 'of a node: three hops and itself': own(3, '') },
  ),

  vectorKind(
    'reply-block',
    ownShape,
    (crypto, input) => {
      const { header, seeds, gamma } = makeOwn(crypto, input);
      const surb = encodeSurb({ header, firstHop: input.hops[0]!.address, seeds: seeds.subarray(-16) });
      const made = { seeds: toHex(seeds), surb: toHex(surb), compactSurb: toHex(compactSurb(surb)) };
      const { packet } = new Sphinx(crypto, systemRng).useSurb(surb, input.message, input.payloadBytes);
      const replySha256 = sha256(packet);
      const read = travel(crypto, input.hops, packet);
      return { ...made, replySha256, hops: read, creator: recover(crypto, gamma, seeds, packet) };
    },
    { 'of a proxy: four hops and itself': own(4, toHex(fixed('reply', 2048))), 'one hop and itself': own(1, MESSAGE) },
  ),
];
