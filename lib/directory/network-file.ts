/**
 * network.json: the small file that makes someone a member of a network. It pins the authorities' keys and what must be
 * known before the first consensus: the length of an epoch and the size of a packet.
 * @module
 */

import { z } from 'zod';
import { epochSeconds, identityHex, payloadBytes } from '../config/fields.ts';
import { concatBytes } from '../core/bytes.ts';
import { MixError } from '../core/errors.ts';
import { loadTextIfThere } from '../core/text-file.ts';
import type { Crypto } from '../crypto/index.ts';
import { writeFileAtomic } from './files.ts';
import { parseJson } from './refusal.ts';

/** Authorities in a network. */
export const MAX_AUTHORITIES = 64;

const authority = z.strictObject({
  id: identityHex,
  url: z
    .string()
    .max(256)
    .refine(isPlainHttpUrl, 'expected a URL like http://192.0.2.1:8080, without user, query or fragment'),
});

const networkFile = z
  .strictObject({
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'expected 1 to 64 letters, digits, dots or dashes'),
    epochSeconds: epochSeconds.default(3600),
    payloadBytes: payloadBytes.default(2048),
    authorities: z.array(authority).min(1, 'expected at least one authority').max(MAX_AUTHORITIES),
    threshold: z.int().min(1),
  })
  .refine((file) => new Set(file.authorities.map((one) => one.id)).size === file.authorities.length, {
    path: ['authorities'],
    message: 'an identity is listed twice',
  })
  .refine((file) => file.threshold <= file.authorities.length, {
    path: ['threshold'],
    message: 'is more than there are authorities',
  });

/** The contents of network.json. `threshold` is how many authorities must have signed a consensus. */
export type NetworkFile = z.infer<typeof networkFile>;
export type Authority = NetworkFile['authorities'][number];

/** Reads the text of a network.json; throws MixError DOCUMENT with one line that names what is wrong. */
export function parseNetworkFile(text: string, where = 'network.json'): NetworkFile {
  return parseJson(where, networkFile, text);
}

export async function loadNetworkFile(path: string): Promise<NetworkFile> {
  const text = await loadTextIfThere(path, { code: 'DOCUMENT' });
  if (text !== undefined) return parseNetworkFile(text, path);
  const remedy = "copy the network's network.json there, or say where it is (networkFile)";
  throw new MixError('CONFIG', `${path} does not exist: ${remedy}`);
}

/** Writes network.json, whole or not at all. */
export async function saveNetworkFile(path: string, network: NetworkFile): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(parseNetworkFile(JSON.stringify(network)), null, 2)}\n`, 0o644);
}

/**
 * The 32-byte id of a network, in every document and in the first frame of every link: SHA-256 over
 * `mixsocks/network/v1\0`, name length (1 byte), name, epoch seconds, payload bytes, threshold, number of authorities
 * (4 bytes each, big endian), and the authorities' public keys in ascending order. URLs are left out: an authority may
 * move.
 */
export function networkId(network: NetworkFile, crypto: Pick<Crypto, 'sha256'>): Uint8Array {
  const name = Buffer.from(network.name, 'latin1');
  const numbers = Buffer.alloc(16);
  numbers.writeUInt32BE(network.epochSeconds, 0);
  numbers.writeUInt32BE(network.payloadBytes, 4);
  numbers.writeUInt32BE(network.threshold, 8);
  numbers.writeUInt32BE(network.authorities.length, 12);
  const keys = network.authorities.map((one) => one.id).sort();
  return crypto.sha256(
    concatBytes(
      Buffer.from('mixsocks/network/v1\0', 'latin1'),
      Uint8Array.of(name.byteLength),
      name,
      numbers,
      ...keys.map((key) => Buffer.from(key, 'hex')),
    ),
  );
}

/** The length of an epoch of `network`. */
export function epochMsOf(network: NetworkFile): number {
  return network.epochSeconds * 1000;
}

/** The host of an authority's URL, an IPv6 address without brackets. */
export function authorityHost({ url }: Pick<Authority, 'url'>): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '');
}

function isPlainHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '' && search === '' && hash === '';
}
