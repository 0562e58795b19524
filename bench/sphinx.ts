/**
 * `npx tsx bench/sphinx.ts [--json]`: what a Sphinx operation costs with each choice of libraries, and how close it comes
 * to the sum of the primitives that it cannot do without. Ratios say more than times on a shared machine.
 * @module
 */
import { availableBackends, type Crypto, createCrypto } from '../lib/crypto/index.ts';
import { systemRng } from '../lib/rng.ts';
import { Sphinx, type SphinxHop } from '../lib/sphinx/index.ts';
import { payloadKey } from '../lib/sphinx/keys.ts';
import { type Case, measure } from './measure.ts';

const PAYLOAD_BYTES = 2048;
const PACKETS = 256;

/** Each primitive as a Sphinx hop uses it, on views of one buffer as on the packet path. */
function primitiveCases(crypto: Crypto): Case[] {
  const buffer = systemRng.bytes(PAYLOAD_BYTES + 17);
  const [key16, key32, key64] = [buffer.slice(0, 16), buffer.slice(0, 32), buffer.slice(0, 64)];
  const [header, right] = [buffer.subarray(0, 300), buffer.subarray(32)];
  const point = crypto.x25519Base(key32);
  const digest = new Uint8Array(32);
  const empty = new Uint8Array(0);
  return [
    { name: 'x25519', run: () => crypto.x25519(key32, point) },
    { name: 'x25519Base', run: () => crypto.x25519Base(key32) },
    { name: 'hkdf 288', run: () => crypto.hkdfSha256(key32, empty, header.subarray(0, 97), 288) },
    { name: 'hkdf 192', run: () => payloadKey(crypto, key16) },
    { name: 'hmac 300', run: () => crypto.hmacSha256(key16, header) },
    { name: 'aesCtr 360', run: () => crypto.aes128CtrKeystream(key16, 360) },
    { name: 'chacha20 2033', run: () => crypto.chacha20XorInPlace(key32, right) },
    { name: 'blake2b 2033', run: () => crypto.blake2bKeyedInto(digest, key64, right) },
  ];
}

/** How often one unwrap (of a hop that passes the packet on) needs each primitive. */
const UNWRAP_NEEDS: Readonly<Record<string, number>> = {
  x25519: 2,
  'hkdf 288': 1,
  'hkdf 192': 1,
  'hmac 300': 1,
  'aesCtr 360': 1,
  'chacha20 2033': 2,
  'blake2b 2033': 2,
};

function sphinxCases(crypto: Crypto): Case[] {
  const sphinx = new Sphinx(crypto, systemRng);
  const secret = systemRng.bytes(32);
  const hop = (publicKey: Uint8Array): SphinxHop => ({ address: systemRng.bytes(32), publicKey, delayNs: 15e6 });
  const first = hop(crypto.x25519Base(secret));
  const route = [first, ...Array.from({ length: 4 }, () => hop(crypto.x25519Base(systemRng.bytes(32))))];
  const message = systemRng.bytes(PAYLOAD_BYTES);
  const request = {
    route,
    destination: systemRng.bytes(32),
    identifier: systemRng.bytes(16),
    message,
    payloadBytes: PAYLOAD_BYTES,
  };
  const back = { route: route.slice(0, 4), self: first };
  const { surb, recovery } = sphinx.createSurb(back);
  // A packet can be unwrapped once: each has its opened copy to go back to.
  const fresh = Array.from({ length: PACKETS }, () => sphinx.createPacket(request));
  const work = new Uint8Array(fresh[0]!.byteLength);
  return [
    {
      name: 'unwrap',
      run(i) {
        work.set(fresh[i % PACKETS]!);
        const opened = sphinx.openHeader(secret, work);
        if (typeof opened === 'string') throw new Error(opened);
        sphinx.finish(opened, work);
      },
    },
    {
      name: 'unwrap: openHeader',
      run(i) {
        sphinx.openHeader(secret, fresh[i % PACKETS]!);
      },
    },
    { name: 'create packet, 5 hops', run: () => sphinx.createPacket(request) },
    { name: 'create loop, 5 hops', run: () => sphinx.createLoop({ ...back, message, payloadBytes: PAYLOAD_BYTES }) },
    { name: 'create SURB, 5 hops', run: () => sphinx.createSurb(back) },
    { name: 'use SURB', run: () => sphinx.useSurb(surb, message, PAYLOAD_BYTES) },
    { name: 'recover reply, 5 hops', run: () => sphinx.recover(recovery, work) },
  ];
}

function report(title: string, crypto: Crypto): Record<string, number> {
  const times = measure([...primitiveCases(crypto), ...sphinxCases(crypto)]);
  const needed = Object.entries(UNWRAP_NEEDS).reduce((sum, [name, count]) => sum + count * times.get(name)!, 0);
  const result: Record<string, number> = Object.fromEntries(times);
  result['sum of an unwrap’s primitives'] = needed;
  result['unwrap / sum'] = times.get('unwrap')! / needed;
  if (process.argv.includes('--json')) return result;
  process.stdout.write(`\n${title}: ${JSON.stringify(crypto.backends)}\n`);
  for (const [name, value] of Object.entries(result)) {
    const shown = name.includes(' / ') ? value.toFixed(3).padStart(10) : `${value.toFixed(1).padStart(10)} µs`;
    process.stdout.write(`  ${name.padEnd(30)}${shown}\n`);
  }
  return result;
}

const results = {
  fastest: report('fastest', createCrypto('fastest')),
  'without libsodium': report(
    'without libsodium',
    createCrypto(
      'fastest',
      availableBackends(() => undefined),
    ),
  ),
  noble: report('noble', createCrypto('noble')),
};
if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
