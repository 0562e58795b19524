/**
 * Long-lived identities. An identity is an Ed25519 seed; `identity.pem` keeps it as a PKCS#8 private key together with
 * the self-signed certificate over it, one file, so that there is never one without the other.
 * @module
 */

import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { link, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { constantTimeEqual, type IdentityHex, identityHexOf } from '../core/bytes.ts';
import { MixError, systemCode, systemReason } from '../core/errors.ts';
import { makeFolder } from '../core/folders.ts';
import type { Rng } from '../core/rng.ts';
import { loadTextFile } from '../core/text-file.ts';
import { privateKeyOfSeed, rawPublicKey, seedOfPrivateKey, selfSignedCertificate } from './certificate.ts';

export interface NodeIdentity {
  readonly id: IdentityHex;
  readonly publicKey: Uint8Array;
  readonly seed: Uint8Array;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** Name of the identity's file in a node's folder. */
export const IDENTITY_FILE = 'identity.pem';
/** Longest file that can be an identity; a few hundred bytes are. */
const MAX_FILE_BYTES = 64 * 1024;
const PEM_BLOCK = /-----BEGIN (PRIVATE KEY|CERTIFICATE)-----[^-]+-----END \1-----\n?/g;

/** A fresh identity. */
export async function createIdentity(rng: Rng): Promise<NodeIdentity> {
  const seed = rng.bytes(32);
  const privateKey = privateKeyOfSeed(seed);
  const publicKey = rawPublicKey(createPublicKey(privateKey));
  if (publicKey === undefined) throw new MixError('INTERNAL', 'an Ed25519 seed gave another kind of key');
  return {
    id: identityHexOf(publicKey),
    publicKey,
    seed,
    certificatePem: selfSignedCertificate(seed),
    privateKeyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

/**
 * Writes the identity into `dir` (made if missing), readable by its owner only. The file appears whole or not at all,
 * and never replaces another identity.
 */
export async function saveIdentity(dir: string, identity: NodeIdentity): Promise<void> {
  const path = join(dir, IDENTITY_FILE);
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    makeFolder(dir);
    await rm(temporary, { force: true });
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(identity.privateKeyPem + identity.certificatePem);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path); // unlike rename, fails when there is an identity already
  } catch (error) {
    if (systemCode(error) === 'EEXIST') {
      throw new MixError('IDENTITY', `cannot write ${path}: there is an identity already`, error);
    }
    throw new MixError('ENVIRONMENT', `cannot write ${path}: ${systemReason(error)}`, error);
  } finally {
    await rm(temporary, { force: true }).catch(() => {}); // why it was not written says more
  }
}

/** Reads what `saveIdentity` wrote; throws MixError IDENTITY, or ENVIRONMENT, with one line that names file and fault. */
export async function loadIdentity(dir: string): Promise<NodeIdentity> {
  const path = join(dir, IDENTITY_FILE);
  const text = await readPrivate(path);
  try {
    return parseIdentity(text);
  } catch (error) {
    throw new MixError('IDENTITY', `${path} is damaged: ${systemReason(error)}`, error);
  }
}

async function readPrivate(path: string): Promise<string> {
  try {
    return await loadTextFile(path, { code: 'IDENTITY', maxBytes: MAX_FILE_BYTES, isPrivate: true });
  } catch (error) {
    if (error instanceof MixError) throw error;
    if (systemCode(error) === 'ENOENT') {
      throw new MixError('IDENTITY', `cannot read ${path}: there is no such file`, error);
    }
    throw new MixError('ENVIRONMENT', `cannot read ${path}: ${systemReason(error)}`, error);
  }
}

function parseIdentity(text: string): NodeIdentity {
  const blocks = [...text.matchAll(PEM_BLOCK)];
  const [privateKeyPem] = blocks.find(([, kind]) => kind === 'PRIVATE KEY') ?? [];
  const [certificatePem] = blocks.find(([, kind]) => kind === 'CERTIFICATE') ?? [];
  if (privateKeyPem === undefined) throw new Error('it holds no private key');
  if (certificatePem === undefined) throw new Error('it holds no certificate');
  const privateKey = createPrivateKey(privateKeyPem);
  const seed = seedOfPrivateKey(privateKey);
  if (seed === undefined) throw new Error('its key is not an Ed25519 key');
  const publicKey = rawPublicKey(createPublicKey(privateKey));
  const certified = rawPublicKey(new X509Certificate(certificatePem).publicKey);
  if (publicKey === undefined || certified === undefined || !constantTimeEqual(publicKey, certified)) {
    throw new Error('its certificate is of another key');
  }
  return { id: identityHexOf(publicKey), publicKey, seed, certificatePem, privateKeyPem };
}

/** Whether `dir` holds an identity file, good or bad. */
export async function hasIdentity(dir: string): Promise<boolean> {
  return stat(join(dir, IDENTITY_FILE)).then(
    () => true,
    () => false,
  );
}
