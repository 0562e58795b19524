/**
 * Checks one entry of a vector file: the packet is made from its inputs and compared, then unwrapped hop by hop and
 * compared at each.
 * @module
 */
import { toHex } from '../../lib/core/bytes.ts';
import { type Rng, rngFrom, systemRng } from '../../lib/core/rng.ts';
import type { Crypto } from '../../lib/crypto/index.ts';
import { FINAL_BLOCK_BYTES, HEADER_BYTES, PADDING_BYTES, SEED_BYTES } from '../../lib/sphinx/constants.ts';
import { forwardHeader, type SealedHeader } from '../../lib/sphinx/header.ts';
import { Sphinx, type SphinxHop, unpad } from '../../lib/sphinx/index.ts';
import { payloadKey, payloadSeedOf } from '../../lib/sphinx/keys.ts';
import { sealPacket } from '../../lib/sphinx/payload.ts';
import { encodeSurb } from '../../lib/sphinx/surb.ts';
import { parseEntry, type VectorEntry, type VectorHop } from './entry.ts';

type Expected = Uint8Array | bigint | number | undefined;

/** Every way in which `value` is not a valid vector or `crypto` does not reproduce it; empty: passed. */
export function checkEntry(crypto: Crypto, value: unknown): string[] {
  const entry = parseEntry(value);
  if (typeof entry === 'string') return [entry];
  try {
    return new EntryCheck(crypto, entry).run();
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

class EntryCheck {
  readonly #problems: string[] = [];
  readonly #sphinx: Sphinx;

  constructor(
    readonly crypto: Crypto,
    readonly entry: VectorEntry,
  ) {
    this.#sphinx = new Sphinx(crypto, systemRng);
  }

  run(): string[] {
    const { entry } = this;
    const made = this.#make();
    this.#equal('header', made.header, entry.header);
    this.#equal('packet', made.packet, entry.packet);
    this.#equal('packetSha256', this.crypto.sha256(made.packet), entry.packetSha256);
    this.#checkSurb(made);
    this.#unwrap(entry.packet ?? made.packet);
    return this.#problems;
  }

  #route(): SphinxHop[] {
    const { nodeAddresses, nodeSecretKeys, delaysNanos } = this.entry;
    const publicKeys = this.entry.nodePublicKeys ?? nodeSecretKeys?.map((secret) => this.crypto.x25519Base(secret));
    if (publicKeys?.length !== nodeAddresses.length || delaysNanos.length !== nodeAddresses.length) {
      throw new Error('nodePublicKeys, nodeAddresses and delaysNanos differ in length');
    }
    if (nodeSecretKeys !== undefined && nodeSecretKeys.length !== nodeAddresses.length) {
      throw new Error('nodeSecretKeys and nodeAddresses differ in length');
    }
    return nodeAddresses.map((address, i) => ({ address, publicKey: publicKeys[i]!, delayNs: delaysNanos[i]! }));
  }

  #make(): SealedHeader & { readonly packet: Uint8Array } {
    const { entry } = this;
    const route = this.#route();
    const rng = this.#recordedRng();
    const sealed = forwardHeader(this.crypto, rng, route, entry.version, entry.destination, entry.identifier);
    const payloadBytes = entry.payloadSize - PADDING_BYTES;
    return { ...sealed, packet: sealPacket(this.crypto, sealed.header, sealed.seeds, entry.message, payloadBytes) };
  }

  /** The randomness of the entry, in the order in which a header draws it: the sender's secret, then the padding. */
  #recordedRng(): Rng {
    const { initialSecret, headerPaddingByte } = this.entry;
    const padding = headerPaddingByte ?? this.#paddingOfGivenHeader();
    let draws = 0;
    return rngFrom((out) => {
      if (draws++ === 0) out.set(initialSecret);
      else if (padding === undefined) systemRng.fill(out);
      else for (let i = 0; i < out.byteLength; i++) out[i] = padding[i % padding.byteLength]!;
    });
  }

  /** The padding as the last hop sees it, for an entry that gives a header and not its padding. */
  #paddingOfGivenHeader(): Uint8Array | undefined {
    const { entry } = this;
    const header = entry.packet ?? entry.header;
    if (header === undefined || entry.nodeSecretKeys === undefined) return undefined;
    const packet = new Uint8Array(HEADER_BYTES + Math.max(entry.payloadSize, 33));
    packet.set(header.subarray(0, HEADER_BYTES));
    const length = HEADER_BYTES - 48 - 60 * (entry.nodeSecretKeys.length - 1);
    for (const secret of entry.nodeSecretKeys) {
      const opened = this.#sphinx.openHeader(secret, packet, entry.version);
      if (typeof opened === 'string') return undefined;
      if (opened.kind === 'final') return opened.routing.slice(FINAL_BLOCK_BYTES, length);
      this.#sphinx.finish(opened, packet);
    }
    return undefined;
  }

  #checkSurb(made: SealedHeader): void {
    const { entry } = this;
    if (entry.surb === undefined && entry.surbSha256 === undefined && entry.surbLen === undefined) return;
    const seeds = entry.version === 259 ? made.seeds : made.seeds.subarray(-SEED_BYTES);
    const surb = encodeSurb({ header: made.header, firstHop: entry.nodeAddresses[0]!, seeds });
    this.#equal('surb', surb, entry.surb);
    this.#equal('surbLen', surb.byteLength, entry.surbLen);
    this.#equal('surbSha256', this.crypto.sha256(surb), entry.surbSha256);
    const { packet } = this.#sphinx.useSurb(surb, entry.message, entry.payloadSize - PADDING_BYTES);
    if (entry.version === 259) this.#equal('packet by surb (sha256)', this.crypto.sha256(packet), entry.packetSha256);
  }

  #unwrap(firstPacket: Uint8Array): void {
    const { nodeSecretKeys, hops } = this.entry;
    if (nodeSecretKeys === undefined) return;
    if (hops !== undefined && hops.length !== nodeSecretKeys.length) {
      this.#problems.push(`hops: ${hops.length} of them for ${nodeSecretKeys.length} nodes`);
    }
    const packet = firstPacket.slice();
    for (const [i, secret] of nodeSecretKeys.entries()) {
      if (!this.#unwrapHop(i, secret, packet, hops?.[i] ?? {})) return;
    }
  }

  /** Whether the next hop can be tried. */
  #unwrapHop(i: number, secret: Uint8Array, packet: Uint8Array, expected: VectorHop): boolean {
    const { entry, crypto } = this;
    const at = `hops.${i}`;
    const opened = this.#sphinx.openHeader(secret, packet, entry.version);
    if (typeof opened === 'string') {
      this.#problems.push(`${at}: refused, reason ${opened}`);
      return false;
    }
    const seed = payloadSeedOf(opened.keys);
    this.#equal(`${at}.replayTag`, opened.replayTag, expected.replayTag);
    this.#equal(`${at}.seed`, seed, expected.seed);
    this.#equal(`${at}.payloadKeySha256`, crypto.sha256(payloadKey(crypto, seed)), expected.payloadKeySha256);
    const delayNs = Buffer.from(opened.routing).readBigUInt64BE(36);
    const result = this.#sphinx.finish(opened, packet);
    if (result.kind === 'final') {
      if (i < entry.nodeAddresses.length - 1) this.#problems.push(`${at}: the last hop, too early`);
      this.#equal(`${at}.destination`, result.destination, expected.destination ?? entry.destination);
      this.#equal(`${at}.identifier`, result.identifier, expected.identifier ?? entry.identifier);
      const plaintext = unpad(result.payload);
      if (plaintext === undefined) this.#problems.push(`${at}: the payload's zero prefix or marker is missing`);
      else this.#equal(`${at}.plaintext`, plaintext, entry.message);
      const sum = crypto.sha256(plaintext ?? new Uint8Array(0));
      this.#equal(`${at}.plaintextSha256`, sum, expected.plaintextSha256);
      return false;
    }
    this.#equal(`${at}.nextAddress`, result.nextAddress, expected.nextAddress ?? entry.nodeAddresses[i + 1]);
    this.#equal(`${at}.delay`, delayNs, expected.delay ?? entry.delaysNanos[i]);
    this.#equal(`${at}.outAlpha`, result.packet.subarray(0, 32), expected.outAlpha);
    this.#equal(`${at}.outPacketSha256`, crypto.sha256(result.packet), expected.outPacketSha256);
    return true;
  }

  /** Notes a difference, unless the entry does not say what is expected. */
  #equal(what: string, actual: Uint8Array | bigint | number, expected: Expected): void {
    if (expected !== undefined && show(actual) !== show(expected)) {
      this.#problems.push(`${what}: ${show(actual)}, not ${show(expected)}`);
    }
  }
}

function show(value: Uint8Array | bigint | number): string {
  return value instanceof Uint8Array ? toHex(value) : String(value);
}
