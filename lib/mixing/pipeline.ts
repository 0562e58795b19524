/**
 * What happens to a packet between its arrival at a node and the pool, as a pure function of the bytes, the time and
 * the key ring: header under the keys of the time, MAC, version, replay check and only then the work on the payload.
 * Every role whose members have Sphinx keys in the consensus uses it.
 * @module
 */
import type { UnixMs } from '../core/units.ts';
import type { Final, Forward, OpenedHeader, Sphinx } from '../sphinx/index.ts';
import type { PipelineDrop } from './drop-reason.ts';
import type { ActiveKey, SphinxKeyRing } from './key-ring.ts';

const NS_PER_MS = 1_000_000;

/** Where a node's keys come from; `SphinxKeyRing` is the real one. */
export type KeySource = Pick<SphinxKeyRing, 'candidates'>;

export interface PipelineOptions {
  readonly sphinx: Sphinx;
  readonly keys: KeySource;
  /** Every packet of the network has this size. */
  readonly packetBytes: number;
}

export class PacketPipeline {
  constructor(readonly options: PipelineOptions) {}

  /**
   * Unwraps `packet` in place. A string is the reason to drop it. What is accepted must not leave the node before the
   * key ring's `flush`.
   */
  process(packet: Uint8Array, wallMs: UnixMs): Forward | Final | PipelineDrop {
    if (packet.byteLength !== this.options.packetBytes) return 'length';
    let reason: PipelineDrop = 'no-key';
    for (const key of this.options.keys.candidates(wallMs)) {
      const opened = this.options.sphinx.openHeader(key.secret, packet);
      if (typeof opened !== 'string') return this.#accept(key, opened, packet);
      reason = opened;
      if (opened !== 'mac') break; // a wrong key shows in the MAC and nowhere else
    }
    return reason;
  }

  #accept(key: ActiveKey, opened: OpenedHeader, packet: Uint8Array): Forward | Final | PipelineDrop {
    const outcome = key.guard.admit(opened.replayTag);
    return outcome === 'fresh' ? this.options.sphinx.finish(opened, packet) : outcome;
  }
}

/** The delay a sender asked for, cut to the network's greatest. */
export function cappedDelayMs(delayNs: number, maxDelayMs: number): number {
  return Math.min(delayNs / NS_PER_MS, maxDelayMs);
}
