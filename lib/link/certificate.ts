/**
 * The self-signed certificate over an Ed25519 seed. It carries nothing but the key: subject, dates and serial number
 * are the same for everybody, so that no certificate shows when or by whom it was made. Peers compare the key alone.
 * @module
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { concatBytes } from '../core/bytes.ts';

/** PKCS#8 wrapping of a raw Ed25519 seed (RFC 8410 section 7): everything before the 32 seed bytes. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const SEED_BYTES = 32;
const KEY_BYTES = 32;

/** The parts of the certificate in DER. What is signed goes from `BEFORE_KEY` to `BETWEEN`. */
const OUTER_SEQUENCE = Buffer.from('3081d8', 'hex');
const ED25519 = '300506032b6570';
const COMMON_NAME = '30133111300f060355040313086d6978736f636b73'; // CN=mixsocks
const BEFORE_KEY = Buffer.from(
  [
    '30818b' + 'a003020102' + '020101', // version 3, serial number 1
    ED25519,
    COMMON_NAME, // issuer
    // From 2000-01-01 until 9999-12-31, which is "no well-defined expiration date" (RFC 5280 section 4.1.2.5): trust ends with the pin.
    '3020' + '170d3030303130313030303030305a' + '180f39393939313233313233353935395a',
    COMMON_NAME, // subject
    `302a${ED25519}032100`,
  ].join(''),
  'hex',
);
/** No extensions. */
const BETWEEN = Buffer.from('a3023000', 'hex');
const SIGNATURE_PREFIX = Buffer.from(`${ED25519}034100`, 'hex');

export function privateKeyOfSeed(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(concatBytes(PKCS8_PREFIX, seed)), format: 'der', type: 'pkcs8' });
}

/** The seed of an Ed25519 private key; undefined for any other key. */
export function seedOfPrivateKey(key: KeyObject): Uint8Array | undefined {
  if (key.asymmetricKeyType !== 'ed25519' || key.type !== 'private') return undefined;
  return new Uint8Array(key.export({ format: 'der', type: 'pkcs8' }).subarray(-SEED_BYTES));
}

/** The 32 bytes of an Ed25519 public key; undefined for any other key. */
export function rawPublicKey(key: KeyObject): Uint8Array | undefined {
  if (key.asymmetricKeyType !== 'ed25519') return undefined;
  const { x } = key.export({ format: 'jwk' });
  return x === undefined ? undefined : new Uint8Array(Buffer.from(x, 'base64url'));
}

/**
 * The certificate (PEM) over the key of `seed`. Its encoding (RFC 5280 section 4.1, RFC 8410) is the same for everybody but for key and
 * signature, so it stands here as bytes: a library for it takes 16 MB of a process that needs it once.
 */
export function selfSignedCertificate(seed: Uint8Array): string {
  const privateKey = privateKeyOfSeed(seed);
  const key = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(-KEY_BYTES);
  const signed = concatBytes(BEFORE_KEY, key, BETWEEN);
  const signature = sign(null, signed, privateKey);
  return pemOf(concatBytes(OUTER_SEQUENCE, signed, SIGNATURE_PREFIX, signature));
}

function pemOf(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
