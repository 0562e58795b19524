/**
 * The Sphinx keys of a node and the policer before them: their replay filters hold all that it lets through.
 * @module
 */
import { systemClock } from '../core/clock.ts';
import type { Components } from '../runtime/components.ts';
import { processorMs } from '../runtime/processors.ts';
import { type AcceptedRateTerms, acceptedRate, measureRate } from './accepted-rate.ts';
import { bootId } from './boot-id.ts';
import { FairPolicer } from './fair-policer.ts';
import { SphinxKeyRing } from './key-ring.ts';

export interface PolicedKeysTerms extends AcceptedRateTerms {
  /** Folder of the key file and the journals. */
  readonly dir: string;
  readonly payloadBytes: number;
}

export interface PolicedKeys<Key> {
  readonly policer: FairPolicer<Key>;
  readonly keys: SphinxKeyRing;
}

/** Measures the machine, shows the rate as a metric, and loads the keys. Throws MixError IDENTITY when the folder cannot be used. */
export function openPolicedKeys<Key>(
  { clock, crypto, rng, log, metrics }: Components,
  terms: PolicedKeysTerms,
): PolicedKeys<Key> {
  const { dir, epochMs, payloadBytes } = terms;
  const nowMs = clock === systemClock ? processorMs : () => clock.nowMs();
  const perSecond = acceptedRate(measureRate({ crypto, rng, payloadBytes, nowMs }), terms);
  const policer = new FairPolicer<Key>(perSecond, clock.nowMs());
  metrics.gaugeOf('accepted_packets_per_second', 'Packets accepted per second at most', () => perSecond);
  const mostPackets = (spanMs: number) => policer.mostIn(spanMs);
  const keys = SphinxKeyRing.open({ dir, crypto, rng, log, epochMs, bootId: bootId(), mostPackets }, clock.wallMs());
  return { policer, keys };
}
