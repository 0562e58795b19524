/**
 * The Sphinx keys of a node and the policer before them: their replay filters hold all that it lets through.
 * @module
 */
import { systemClock } from '../core/clock.ts';
import type { MonotonicMs } from '../core/units.ts';
import type { Components } from '../runtime/components.ts';
import { processorMs } from '../runtime/processors.ts';
import { type AcceptedRateTerms, acceptedRate, MeasuredRate, rateMeter } from './accepted-rate.ts';
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
  /** Measures the machine again when it is time, and has the policer follow. To be called every few seconds. */
  readonly look: (nowMs: MonotonicMs) => void;
}

/** Measures the machine, shows the rate as a metric, and loads the keys. Throws MixError IDENTITY when the folder cannot be used. */
export function openPolicedKeys<Key>(
  { clock, crypto, rng, log, metrics }: Components,
  terms: PolicedKeysTerms,
): PolicedKeys<Key> {
  const { dir, epochMs, payloadBytes } = terms;
  const nowMs = clock === systemClock ? processorMs : () => clock.nowMs();
  const machine = new MeasuredRate(rateMeter({ crypto, rng, payloadBytes, nowMs }), clock.nowMs());
  const most = acceptedRate(Number.POSITIVE_INFINITY, terms);
  const policer = new FairPolicer<Key>(acceptedRate(machine.perSecond, terms), clock.nowMs(), most);
  metrics.gaugeOf('accepted_packets_per_second', 'Packets accepted per second at most', () => policer.perSecond);
  const mostPackets = (spanMs: number) => policer.mostIn(spanMs);
  const keys = SphinxKeyRing.open({ dir, crypto, rng, log, epochMs, bootId: bootId(), mostPackets }, clock.wallMs());
  const look = (nowMs: MonotonicMs) => {
    machine.look(nowMs);
    policer.setRate(acceptedRate(machine.perSecond, terms), nowMs);
  };
  return { policer, keys, look };
}
