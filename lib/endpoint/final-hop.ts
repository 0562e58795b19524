/**
 * The last hop of data packets: a client whose Sphinx keys stand in the consensus (the requester) unwraps what was sent
 * to it, with the same keys, replay protection and drop reasons as any node.
 * @module
 */

import { packetBytes } from '../core/params.ts';
import { type FairPolicer, PacketPipeline, type PolicedLink, type SphinxKeyRing } from '../mixing/index.ts';
import type { Components } from '../runtime/components.ts';
import { Sphinx, unpad } from '../sphinx/index.ts';

export interface FinalHopOptions {
  readonly components: Components;
  readonly policer: Pick<FairPolicer<unknown>, 'admits'>;
  /** Where its packets come from. */
  readonly link: PolicedLink;
  readonly keys: SphinxKeyRing;
  readonly payloadBytes: number;
  readonly onMessage: (message: Uint8Array) => void;
}

export class FinalHop {
  readonly #pipeline: PacketPipeline;
  readonly #dropped;
  readonly #delivered;

  constructor(private readonly options: FinalHopOptions) {
    const { crypto, rng, metrics } = options.components;
    const { keys, payloadBytes } = options;
    this.#pipeline = new PacketPipeline({
      sphinx: new Sphinx(crypto, rng),
      keys,
      packetBytes: packetBytes(payloadBytes),
    });
    this.#delivered = metrics.counter('final_packets_total', 'Packets that ended here and were sound');
    this.#dropped = metrics.counter('final_packets_dropped_total', 'Packets dropped at their last hop, by reason', [
      'reason',
    ]);
  }

  /** Unwraps `packet` in place and hands its message on, or drops and counts it. */
  take(packet: Uint8Array): void {
    const message = this.#unwrap(packet);
    if (typeof message === 'string') {
      this.#dropped.inc({ reason: message });
      return;
    }
    this.#delivered.inc();
    this.options.onMessage(message);
  }

  /** The message, or the reason to drop the packet. */
  #unwrap(packet: Uint8Array): Uint8Array | string {
    const { policer, link, keys, components } = this.options;
    if (!policer.admits(link, components.clock.nowMs())) return 'over-share';
    const result = this.#pipeline.process(packet, components.clock.wallMs());
    if (typeof result === 'string') return result;
    if (result.kind === 'forward') return 'not-final';
    const message = unpad(result.payload);
    if (message === undefined) return 'payload';
    // The tag must be on record before the packet has an effect: the same rule as before it leaves.
    return keys.flush() ? message : 'journal';
  }
}
