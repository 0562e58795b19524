/**
 * Sphinx operations and the primitives below them, as cases to measure.
 * @module
 */
import type { Crypto } from '../../lib/crypto/index.ts';
import type { SphinxHop } from '../../lib/sphinx/index.ts';
import type { Case } from '../harness/cpu-time.ts';
import type { SphinxModules } from '../harness/modules.ts';

/** Packets that are unwrapped in turn: more than the first cache of a core holds. */
const PACKETS = 32;
const HOPS = 5;
const DELAY_NS = 15e6;

/** Name of the case that unwraps one packet that is passed on. */
export const UNWRAP = 'sphinx.unwrap';

/** What an endpoint and a node do with packets of `payloadBytes`. */
export function packetCases({ sphinx: { Sphinx }, rng }: SphinxModules, crypto: Crypto, payloadBytes: number): Case[] {
  const sphinx = new Sphinx(crypto, rng);
  const { secret, route, back } = routes(crypto, rng);
  const message = rng.bytes(payloadBytes);
  const request = { route, destination: rng.bytes(32), identifier: rng.bytes(16), message, payloadBytes };
  const { surb, recovery } = sphinx.createSurb(back);
  // Unwrapping changes a packet, so each is copied first, as it comes from the link.
  const fresh = Array.from({ length: PACKETS }, () => sphinx.createPacket(request));
  const work = new Uint8Array(fresh[0]?.byteLength ?? 0);
  return [
    {
      name: UNWRAP,
      run(i) {
        work.set(fresh[i % PACKETS] as Uint8Array);
        const opened = sphinx.openHeader(secret, work);
        if (typeof opened === 'string') throw new Error(opened);
        sphinx.finish(opened, work);
      },
    },
    { name: 'sphinx.create', run: () => sphinx.createPacket(request) },
    { name: 'sphinx.loop.create', run: () => sphinx.createLoop({ ...back, message, payloadBytes }) },
    { name: 'sphinx.surb.use', run: () => sphinx.useSurb(surb, message, payloadBytes) },
    { name: 'sphinx.reply.open', run: () => sphinx.recover(recovery, work) },
  ];
}

/** What does not depend on the size of packets. */
export function headerCases({ sphinx: { Sphinx }, rng }: SphinxModules, crypto: Crypto): Case[] {
  const sphinx = new Sphinx(crypto, rng);
  const { back } = routes(crypto, rng);
  return [{ name: 'sphinx.surb.create', run: () => sphinx.createSurb(back) }];
}

function routes(crypto: Crypto, rng: SphinxModules['rng']) {
  const secret = rng.bytes(32);
  const hop = (publicKey: Uint8Array): SphinxHop => ({ address: rng.bytes(32), publicKey, delayNs: DELAY_NS });
  const first = hop(crypto.x25519Base(secret));
  const others = Array.from({ length: HOPS - 1 }, () => hop(crypto.x25519Base(rng.bytes(32))));
  const route = [first, ...others];
  return { secret, route, back: { route: route.slice(0, -1), self: first } };
}

/** How often one unwrap needs each primitive, and the primitive as it is used there. */
export function unwrapPrimitives(rng: SphinxModules['rng'], crypto: Crypto, payloadBytes: number) {
  const buffer = rng.bytes(payloadBytes + 17);
  const [key16, key32, key64] = [buffer.slice(0, 16), buffer.slice(0, 32), buffer.slice(0, 64)];
  const [header, right] = [buffer.subarray(0, 300), buffer.subarray(32)];
  const point = crypto.x25519Base(key32);
  const digest = new Uint8Array(32);
  const empty = new Uint8Array(0);
  const label = buffer.subarray(0, 44); // as long as salt and info of a payload key
  const needs: readonly (readonly [name: string, times: number, run: () => unknown])[] = [
    ['x25519', 2, () => crypto.x25519(key32, point)],
    ['hkdf.header', 1, () => crypto.hkdfSha256(key32, empty, header.subarray(0, 97), 288)],
    ['hkdf.payload', 1, () => crypto.hkdfSha256(key16, label, label, 192)],
    ['hmac', 1, () => crypto.hmacSha256(key16, header)],
    ['aesCtr', 1, () => crypto.aes128CtrKeystream(key16, 360)],
    ['chacha20', 2, () => crypto.chacha20XorInPlace(key32, right)],
    ['blake2b', 2, () => crypto.blake2bKeyedInto(digest, key64, right)],
  ];
  return needs.map(([name, times, run]) => ({ name: `sphinx.primitive.${name}`, times, run: () => void run() }));
}
