/**
 * The consensuses of one epoch that authorities have signed, with the signatures of each. Pure. An honest authority signs one: of each
 * signer one document is held, a second one is evidence.
 * @module
 */
import type { IdentityHex } from '../../lib/core/bytes.ts';
import type { Crypto } from '../../lib/crypto/index.ts';
import { type Signature, validSignatures } from '../../lib/directory/envelope.ts';
import { DocumentRefused, type NetworkFile } from '../../lib/directory/index.ts';
import { payloadDigest } from '../../lib/directory/verify.ts';
import { envelopeOf, type Signed, type TwoSigned } from './vote.ts';

/** A document, and who has signed it. */
export interface SignedDocument extends Signed {
  readonly digest: string;
}

interface Held extends SignedDocument {
  readonly signatures: Map<IdentityHex, Signature>;
}

export class SignedDocuments {
  /** Two consensuses of the epoch with the signature of one authority. */
  readonly twoDocuments: TwoSigned[] = [];
  readonly #authorities: ReadonlySet<IdentityHex>;
  readonly #held = new Map<string, Held>();

  constructor(
    readonly network: NetworkFile,
    readonly crypto: Crypto,
    /** Whether this is a consensus of the epoch: those of others have honest signatures too, and would be taken for a second one. */
    readonly isOfEpoch: (payload: string) => boolean,
  ) {
    this.#authorities = new Set(network.authorities.map(({ id }) => id));
  }

  /** Those held, of each signer one at most. */
  get all(): readonly SignedDocument[] {
    return [...this.#held.values()];
  }

  get(digest: string): SignedDocument | undefined {
    return this.#held.get(digest);
  }

  /** The document with enough signatures, as its envelope. */
  get complete(): string | undefined {
    const enough = this.all.find(({ signatures }) => signatures.size >= this.network.threshold);
    return enough && envelopeOf(enough);
  }

  /** Whether somebody may have signed a document that is not held, so that it is worth fetching. */
  wants(digest: string, signers: readonly IdentityHex[]): boolean {
    return (
      !this.#held.has(digest) && signers.some((signer) => this.#authorities.has(signer) && !this.#isConvicted(signer))
    );
  }

  /** Takes signatures on a document; those that hold are kept. `payload` may be left out when it is held. Throws DocumentRefused. */
  take(digest: string, signatures: readonly Signature[], payload = this.#held.get(digest)?.payload): void {
    if (payload === undefined) return;
    if (payloadDigest(payload, this.crypto) !== digest) {
      throw new DocumentRefused('malformed', 'consensus: is not the document that was asked for');
    }
    const known = this.#held.get(digest)?.signatures;
    const fresh = validSignatures('consensus', { payload, signatures }, this.#authorities, this.crypto, known);
    if (fresh.size === 0) return;
    if (!this.#held.has(digest) && !this.isOfEpoch(payload)) {
      throw new DocumentRefused('malformed', 'consensus: is none of the epoch that was asked about');
    }
    this.#hold(digest, payload, fresh);
  }

  #hold(digest: string, payload: string, fresh: ReadonlyMap<IdentityHex, Signature>): void {
    const others = new Set<IdentityHex>();
    for (const [signer, signature] of fresh) {
      const other = this.all.find((document) => document.digest !== digest && document.signatures.has(signer));
      if (other === undefined) continue;
      others.add(signer);
      this.#convict(signer, other, { digest, payload, signatures: new Map([[signer, signature]]) });
    }
    const held = this.#held.get(digest);
    if (held === undefined && others.size === fresh.size) return; // of liars alone, and on the record now
    const document = held ?? { digest, payload, signatures: new Map<IdentityHex, Signature>() };
    for (const [signer, signature] of fresh) document.signatures.set(signer, signature);
    this.#held.set(digest, document);
  }

  #convict(authority: IdentityHex, first: SignedDocument, second: SignedDocument): void {
    if (this.#isConvicted(authority)) return;
    this.twoDocuments.push({ authority, envelopes: [envelopeOf(first), envelopeOf(second)] });
  }

  #isConvicted(authority: IdentityHex): boolean {
    return this.twoDocuments.some((two) => two.authority === authority);
  }
}
