/**
 * From bytes that came from anywhere to documents that may be used: signatures, network, time.
 * @module
 */
import { type IdentityHex, toHex } from '../core/bytes.ts';
import type { VersionRange } from '../core/version-range.ts';
import type { Crypto } from '../crypto/index.ts';
import { isCountersigned } from './countersignature.ts';
import { DOCUMENT_VERSIONS } from './document-versions.ts';
import {
  type Consensus,
  type Descriptor,
  MAX_CONSENSUS_BYTES,
  MAX_DESCRIPTOR_BYTES,
  parseConsensus,
  parseDescriptor,
} from './documents.ts';
import { type Envelope, encodeEnvelope, parseEnvelope, sign, validSigners } from './envelope.ts';
import { epochMsOf, type NetworkFile, networkId } from './network-file.ts';
import { DocumentRefused } from './refusal.ts';

/** A consensus whose signatures hold. */
export interface VerifiedConsensus {
  readonly consensus: Consensus;
  /** The envelope as it came: what is cached and served. */
  readonly text: string;
  /** SHA-256 of the payload, hex: equal documents have equal digests, whoever signed them. */
  readonly digest: string;
  /** The authorities that signed it. */
  readonly signers: ReadonlySet<IdentityHex>;
}

/** A descriptor whose signature holds. */
export interface VerifiedDescriptor {
  readonly descriptor: Descriptor;
  /** The bytes that were signed, as text. */
  readonly payload: string;
  readonly text: string;
}

/** Checks documents of one network. */
export class Verifier {
  readonly networkIdHex: string;
  readonly #authorities: ReadonlySet<IdentityHex>;

  constructor(
    readonly network: NetworkFile,
    readonly crypto: Crypto,
    /** Of consensuses: those that this program reads, and makes where it is an authority. Only a test has others. */
    readonly versions: VersionRange = DOCUMENT_VERSIONS,
  ) {
    this.networkIdHex = toHex(networkId(network, crypto));
    this.#authorities = new Set(network.authorities.map((authority) => authority.id));
  }

  /** Envelope, signatures, network and fields; not yet whether its time has come. Throws DocumentRefused. */
  consensus(text: string): VerifiedConsensus {
    const envelope = parseEnvelope('consensus', text, MAX_CONSENSUS_BYTES);
    const signers = this.#requireThreshold(envelope);
    const consensus = parseConsensus(envelope.payload, this.versions);
    if (consensus.network !== this.networkIdHex) {
      throw new DocumentRefused('wrong-network', `consensus: is of another network than '${this.network.name}'`);
    }
    if (consensus.params.epochMs !== epochMsOf(this.network)) {
      throw new DocumentRefused('wrong-params', 'consensus: params.epochMs: is not what network.json says');
    }
    if (consensus.params.payloadBytes !== this.network.payloadBytes) {
      throw new DocumentRefused('wrong-params', 'consensus: params.payloadBytes: is not what network.json says');
    }
    return { consensus, text, digest: payloadDigest(envelope.payload, this.crypto), signers };
  }

  /** Envelope, the node's own signature, network and fields; not yet freshness. Throws DocumentRefused. */
  descriptor(text: string): VerifiedDescriptor {
    const envelope = parseEnvelope('descriptor', text, MAX_DESCRIPTOR_BYTES);
    const descriptor = parseDescriptor(envelope.payload);
    if (descriptor.network !== this.networkIdHex) {
      throw new DocumentRefused('wrong-network', `descriptor: is of another network than '${this.network.name}'`);
    }
    const signers = validSigners('descriptor', envelope, new Set([descriptor.identity]), this.crypto);
    if (signers.size === 0) throw new DocumentRefused('bad-signature', 'descriptor: is not signed by its identity');
    if (descriptor.role === 'requester') this.#requireCountersigned(descriptor);
    return { descriptor, payload: envelope.payload, text };
  }

  /** Each gateway that a requester names has said so itself; not yet whether lately. */
  #requireCountersigned({ identity, gateways }: Descriptor & { readonly role: 'requester' }): void {
    const id = Buffer.from(this.networkIdHex, 'hex');
    const requester = Buffer.from(identity, 'hex');
    const missing = gateways.find((gateway) => !isCountersigned(gateway, id, requester, this.crypto));
    if (missing === undefined) return;
    throw new DocumentRefused('bad-signature', `descriptor: gateways: ${missing.gateway} has not countersigned it`);
  }

  #requireThreshold(envelope: Envelope): ReadonlySet<IdentityHex> {
    const { threshold } = this.network;
    const valid = validSigners('consensus', envelope, this.#authorities, this.crypto);
    if (valid.size >= threshold) return valid;
    if (valid.size > 0) {
      throw new DocumentRefused(
        'below-threshold',
        `consensus: ${valid.size} valid signatures, ${threshold} are needed`,
      );
    }
    const known = envelope.signatures.some(({ signer }) => this.#authorities.has(signer));
    const problem = known ? 'the signature is not valid' : 'no authority of network.json has signed it';
    throw new DocumentRefused('bad-signature', `consensus: ${problem}`);
  }
}

/** The descriptor in an envelope, its signature not checked; throws DocumentRefused. */
export function descriptorIn(text: string): Descriptor {
  return parseDescriptor(parseEnvelope('descriptor', text, MAX_DESCRIPTOR_BYTES).payload);
}

/** SHA-256 of a payload in hex; its ETag and its name in evidence. */
export function payloadDigest(payload: string, crypto: Pick<Crypto, 'sha256'>): string {
  return toHex(crypto.sha256(Buffer.from(payload, 'utf8')));
}

/** The envelope of a document with one signature. */
export function signDocument(
  type: 'descriptor' | 'consensus',
  document: Descriptor | Consensus,
  seed: Uint8Array,
  crypto: Crypto,
): string {
  const payload = JSON.stringify(document);
  return encodeEnvelope({ payload, signatures: [sign(type, payload, seed, crypto)] });
}
