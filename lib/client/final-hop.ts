/**
 * The last hop of data packets: a client whose Sphinx keys stand in the consensus (the requester) unwraps what was sent
 * to it, with the same keys, replay protection and drop reasons as any node.
 * @module
 */
import type { Components } from '../components.ts';
import type { PacketPipeline, SphinxKeyRing } from '../mixing/index.ts';
import { unpad } from '../sphinx/index.ts';

export interface FinalHopOptions {
  readonly components: Components;
  readonly pipeline: PacketPipeline;
  readonly keys: SphinxKeyRing;
  readonly onMessage: (message: Uint8Array) => void;
}

export class FinalHop {
  readonly #options: FinalHopOptions;
  readonly #dropped;
  readonly #delivered;

  constructor(options: FinalHopOptions) {
    const { metrics } = options.components;
    this.#options = options;
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
    this.#options.onMessage(message);
  }

  /** The message, or the reason to drop the packet. */
  #unwrap(packet: Uint8Array): Uint8Array | string {
    const { pipeline, keys, components } = this.#options;
    const result = pipeline.process(packet, components.clock.wallMs());
    if (typeof result === 'string') return result;
    if (result.kind === 'forward') return 'not-final';
    const message = unpad(result.payload);
    if (message === undefined) return 'payload';
    // The tag must be on record before the packet has an effect: the same rule as before it leaves.
    return keys.flush() ? message : 'journal';
  }
}
