/**
 * The self-signed certificate over an Ed25519 seed. It carries nothing but the key: subject, dates and serial number
 * are the same for everybody, so that no certificate shows when or by whom it was made. Peers compare the key alone.
 * @module
 */
import { createPrivateKey, createPublicKey, type KeyObject, webcrypto } from 'node:crypto';
import { concatBytes } from '../core/bytes.ts';

/** PKCS#8 wrapping of a raw Ed25519 seed (RFC 8410 section 7): everything before the 32 seed bytes. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const SEED_BYTES = 32;
const NOT_BEFORE = new Date('2000-01-01T00:00:00Z');
/** "No well-defined expiration date" (RFC 5280 section 4.1.2.5): trust ends with the pin, not with a date. */
const NOT_AFTER = new Date('9999-12-31T23:59:59Z');

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

/** Makes the certificate (PEM). Loads the X.509 library on demand: 13 MB that a running node does not need. */
export async function selfSignedCertificate(seed: Uint8Array): Promise<string> {
  await import('reflect-metadata'); // the X.509 library looks for it when it is loaded
  const { X509CertificateGenerator } = await import('@peculiar/x509');
  const privateKey = privateKeyOfSeed(seed);
  const publicKey = createPublicKey(privateKey);
  const { subtle } = webcrypto;
  const keys = {
    privateKey: await subtle.importKey('pkcs8', der(privateKey, 'pkcs8'), 'Ed25519', false, ['sign']),
    publicKey: await subtle.importKey('spki', der(publicKey, 'spki'), 'Ed25519', true, ['verify']),
  };
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: 'CN=mixsocks',
      notBefore: NOT_BEFORE,
      notAfter: NOT_AFTER,
      signingAlgorithm: { name: 'Ed25519' },
      keys,
    },
    webcrypto as unknown as Parameters<typeof X509CertificateGenerator.createSelfSigned>[1],
  );
  return `${certificate.toString('pem')}\n`;
}

function der(key: KeyObject, type: 'pkcs8' | 'spki'): Buffer {
  return key.export({ format: 'der', type: type as 'spki' });
}
