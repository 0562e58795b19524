/**
 * Long-lived identities: an Ed25519 seed and the self-signed certificate over its key.
 * @module
 */
import type { IdentityHex } from '../bytes.ts';
import { MixError } from '../errors.ts';
import type { Rng } from '../rng.ts';

export interface NodeIdentity {
  readonly id: IdentityHex;
  readonly publicKey: Uint8Array;
  readonly seed: Uint8Array;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** A fresh identity. */
export async function createIdentity(_rng: Rng): Promise<NodeIdentity> {
  throw new MixError('INTERNAL', 'identity is not built yet');
}

/** Writes the identity's files into `dir`, readable by the owner only. */
export async function saveIdentity(_dir: string, _identity: NodeIdentity): Promise<void> {
  throw new MixError('INTERNAL', 'identity is not built yet');
}

/** Reads what `saveIdentity` wrote. */
export async function loadIdentity(_dir: string): Promise<NodeIdentity> {
  throw new MixError('INTERNAL', 'identity is not built yet');
}
