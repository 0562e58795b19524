import type { Crypto } from '../crypto/index.ts';
import type { Rng } from '../rng.ts';
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

/** Map key of a packet as it arrives: look it up among the own `Recovery.key`s before `openHeader`. */
export function gammaKeyOf(packet: Uint8Array): GammaKey {
  return String(packet.byteLength) as GammaKey;
}

/** Not built yet: the signatures that others code against. */
export class Sphinx {
  constructor(
    readonly crypto: Crypto,
    readonly rng: Rng,
  ) {}

  /** Throws MixError INTERNAL on a request that is not valid. */
  createPacket(request: PacketRequest): Uint8Array {
    throw new Error(`not built yet ${request}`);
  }

  createLoop(request: LoopRequest): { packet: Uint8Array; recovery: Recovery } {
    throw new Error(`not built yet ${request}`);
  }

  createSurb(request: SurbRequest): { surb: Uint8Array; recovery: Recovery } {
    throw new Error(`not built yet ${request}`);
  }

  useSurb(surb: Uint8Array, message: Uint8Array, payloadBytes: number): { firstHop: Uint8Array; packet: Uint8Array } {
    throw new Error(`not built yet ${surb} ${message} ${payloadBytes}`);
  }

  /** Changes nothing in `packet`. A string is the reason to drop it. */
  openHeader(secret: Uint8Array, packet: Uint8Array, version: SphinxVersion = 260): OpenedHeader | DropReason {
    throw new Error(`not built yet ${secret} ${packet} ${version}`);
  }

  /** Unwraps `packet` in place. */
  finish(opened: OpenedHeader, packet: Uint8Array): Forward | Final {
    throw new Error(`not built yet ${opened} ${packet}`);
  }

  /** The message of an own packet that came back, or undefined when it was tampered with. Overwrites the payload of `packet`. */
  recover(recovery: Recovery, packet: Uint8Array): Uint8Array | undefined {
    throw new Error(`not built yet ${recovery} ${packet}`);
  }
}
