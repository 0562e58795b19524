/**
 * Sphinx as the roles use it: a sender makes packets, loops and reply blocks; a node unwraps in two steps; a creator
 * recovers what came back to it.
 * @module
 */
import { asBuffer, constantTimeEqual } from '../core/bytes.ts';
import { MixError } from '../core/errors.ts';
import type { Rng } from '../core/rng.ts';
import type { Crypto } from '../crypto/index.ts';
import {
  ADDRESS_BYTES,
  BETA_BYTES,
  BETA_OFFSET,
  FINAL_BLOCK_BYTES,
  FLAG_FINAL,
  FLAG_FORWARD,
  FORWARD_BLOCK_BYTES,
  GAMMA_OFFSET,
  HEADER_BYTES,
  LIONESS_LEFT_BYTES,
  POINT_BYTES,
  SEED_BYTES,
  STREAM_BYTES,
  WIRE_VERSION,
} from './constants.ts';
import { expectLength, forwardHeader, headerMac, ownHeader, xorInto } from './header.ts';
import { blindingFactorOf, expandSecret, payloadKey, payloadSeedOf, replayTagOf, streamKeyOf } from './keys.ts';
import { lionessDecrypt } from './lioness.ts';
import { addLayers, sealPacket, unpad } from './payload.ts';
import { unlessBadKey } from './route-keys.ts';
import { decodeSurb, encodeSurb } from './surb.ts';
import type {
  DropReason,
  Final,
  Forward,
  GammaKey,
  LoopRequest,
  OpenedHeader,
  PacketRequest,
  Recovery,
  SphinxVersion,
  SurbRequest,
} from './types.ts';

/** Shortest packet whose payload the wide block cipher takes. */
const MIN_PACKET_BYTES = HEADER_BYTES + LIONESS_LEFT_BYTES + 1;

/** Map key of a packet as it arrives: look it up among the own `Recovery.key`s before `openHeader`. */
export function gammaKeyOf(packet: Uint8Array): GammaKey {
  return asBuffer(packet).toString('latin1', GAMMA_OFFSET, BETA_OFFSET) as GammaKey;
}

export class Sphinx {
  constructor(
    readonly crypto: Crypto,
    readonly rng: Rng,
  ) {}

  /**
   * A packet for the first hop of `route`. Throws MixError INTERNAL on a request that is not valid, CRYPTO on a public key
   * of small order.
   */
  createPacket(request: PacketRequest): Uint8Array {
    const { route, version = WIRE_VERSION, destination, identifier, message, payloadBytes } = request;
    if (identifier.every((byte) => byte === 0)) throw new MixError('INTERNAL', 'sphinx: an identifier of zeros');
    const { header, seeds } = forwardHeader(this.crypto, this.rng, route, version, destination, identifier);
    return sealPacket(this.crypto, header, seeds, message, payloadBytes);
  }

  /** A packet that travels `route` and comes back to its creator, who keeps `recovery` under its key. Throws as `createPacket`. */
  createLoop(request: LoopRequest): { packet: Uint8Array; recovery: Recovery } {
    const { header, seeds, gamma } = ownHeader(
      this.crypto,
      this.rng,
      request.route,
      request.self.address,
      WIRE_VERSION,
    );
    const packet = sealPacket(this.crypto, header, seeds, request.message, request.payloadBytes);
    // The hops take off every layer but the creator's own.
    return { packet, recovery: recoveryOf(gamma, seeds.slice(-SEED_BYTES)) };
  }

  /** A single-use reply block of 396 bytes; `route[0]` is the hop to send the reply to. Throws as `createPacket`. */
  createSurb(request: SurbRequest): { surb: Uint8Array; recovery: Recovery } {
    const { route, self } = request;
    const { header, seeds, gamma } = ownHeader(this.crypto, this.rng, route, self.address, WIRE_VERSION);
    const firstHop = route[0]?.address ?? self.address;
    const surb = encodeSurb({ header, firstHop, seeds: seeds.subarray(-SEED_BYTES) });
    return { surb, recovery: recoveryOf(gamma, seeds) };
  }

  /** Seals `message` into the packet of a reply block. Throws MixError MALFORMED if `surb` has a length that none has. */
  useSurb(surb: Uint8Array, message: Uint8Array, payloadBytes: number): { firstHop: Uint8Array; packet: Uint8Array } {
    const { header, firstHop, seeds } = decodeSurb(surb);
    return { firstHop, packet: sealPacket(this.crypto, header, seeds, message, payloadBytes) };
  }

  /**
   * First step at a node, without work on the payload: a string is the reason to drop the packet, else its replay tag
   * may be looked up. Changes nothing in `packet`; the result is memory of its own.
   */
  openHeader(secret: Uint8Array, packet: Uint8Array, version: SphinxVersion = WIRE_VERSION): OpenedHeader | DropReason {
    expectLength('node secret', secret, POINT_BYTES);
    if (packet.byteLength < MIN_PACKET_BYTES) return 'length';
    const keys = this.#hopKeys(secret, packet);
    if (keys === undefined) return 'point';
    const beta = packet.subarray(BETA_OFFSET, HEADER_BYTES);
    const gamma = packet.subarray(GAMMA_OFFSET, BETA_OFFSET);
    if (!constantTimeEqual(headerMac(this.crypto, keys, beta), gamma)) return 'mac';
    const routing = this.crypto.aes128CtrKeystream(streamKeyOf(keys), STREAM_BYTES);
    xorInto(routing.subarray(0, BETA_BYTES), beta, 0);
    if (routing[1] !== 0 || routing[2] !== version >> 8 || routing[3] !== (version & 0xff)) return 'version';
    const flag = routing[0];
    if (flag !== FLAG_FORWARD && flag !== FLAG_FINAL) return 'routing';
    return { kind: flag === FLAG_FORWARD ? 'forward' : 'final', replayTag: replayTagOf(keys), keys, routing };
  }

  /**
   * Second step, with the packet that `opened` came from: takes off one layer in place, so `packet` is the next hop's
   * afterwards (`forward`), or its payload is laid bare (`final`).
   */
  finish(opened: OpenedHeader, packet: Uint8Array): Forward | Final {
    const { keys, routing } = opened;
    const payload = packet.subarray(HEADER_BYTES);
    lionessDecrypt(this.crypto, payloadKey(this.crypto, payloadSeedOf(keys)), payload);
    const address = routing.subarray(4, 4 + ADDRESS_BYTES);
    if (opened.kind === 'final') {
      const identifier = routing.subarray(4 + ADDRESS_BYTES, FINAL_BLOCK_BYTES);
      return { kind: 'final', destination: address, identifier, payload };
    }
    packet.set(this.crypto.x25519(blindingFactorOf(keys), packet.subarray(0, POINT_BYTES)));
    // Next gamma and next beta lie in the routing block as they do in a header.
    packet.set(routing.subarray(FORWARD_BLOCK_BYTES), GAMMA_OFFSET);
    return { kind: 'forward', nextAddress: address, delayNs: readDelay(routing), packet };
  }

  /**
   * The message of an own packet that came back (a view of `packet`, whose payload is overwritten), or undefined when it
   * was tampered with. Delete the recovery after a success only: who guesses gamma must not be able to burn it.
   */
  recover(recovery: Recovery, packet: Uint8Array): Uint8Array | undefined {
    if (packet.byteLength < MIN_PACKET_BYTES) return undefined;
    const { seeds } = recovery;
    const payload = packet.subarray(HEADER_BYTES);
    // Each hop decrypted with its key; put that back, last first. The own layer then still is what the sender sealed with:
    // the creator's own decryption as a hop and the first re-encryption cancel, so neither is done.
    const ownOffset = seeds.byteLength - SEED_BYTES;
    addLayers(this.crypto, seeds, ownOffset, payload);
    lionessDecrypt(this.crypto, payloadKey(this.crypto, seeds.subarray(ownOffset)), payload);
    return unpad(payload);
  }

  /** The keys shared with the sender, or undefined if alpha is no point that a sender makes. */
  #hopKeys(secret: Uint8Array, packet: Uint8Array): Uint8Array | undefined {
    if (!isCanonicalPoint(packet)) return undefined;
    const shared = unlessBadKey(() => this.crypto.x25519(secret, packet.subarray(0, POINT_BYTES)));
    return shared === undefined ? undefined : expandSecret(this.crypto, shared);
  }
}

function recoveryOf(gamma: Uint8Array, seeds: Uint8Array): Recovery {
  return { gamma, key: asBuffer(gamma).toString('latin1') as GammaKey, seeds };
}

/**
 * Whether alpha, at the start of `packet`, is a u-coordinate below p = 2^255 - 19, as every X25519 result is. X25519 itself
 * ignores the top bit and reduces the rest, so that without this check a flipped top bit would pass.
 */
function isCanonicalPoint(packet: Uint8Array): boolean {
  const top = packet[POINT_BYTES - 1]!;
  if (top !== 0x7f) return top < 0x7f;
  if (packet[0]! < 0xed) return true;
  for (let i = 1; i < POINT_BYTES - 1; i++) if (packet[i] !== 0xff) return true;
  return false;
}

function readDelay(routing: Uint8Array): number {
  let delayNs = 0;
  for (let i = 4 + ADDRESS_BYTES; i < FORWARD_BLOCK_BYTES; i++) delayNs = delayNs * 256 + routing[i]!;
  return delayNs;
}
