/**
 * Says what a client finds out about its paths: in the log and in its metrics.
 * @module
 */
import type { Log } from '../log.ts';
import type { LoopLedger } from './loop-ledger.ts';
import type { EndpointMetrics } from './metrics.ts';
import type { HealthChange } from './path-health.ts';

export class HealthReports {
  #alarmed = false;

  constructor(
    readonly log: Log,
    readonly metrics: EndpointMetrics,
  ) {}

  changed(changes: readonly HealthChange[]): void {
    for (const { node, change } of changes) {
      const fields = { node: node.name };
      if (change === 'excluded') this.log.warn(fields, 'own packets do not return over this node: routes avoid it');
      else this.log.info(fields, 'routes use this node again');
      this.metrics.exclusion(node.name, change === 'excluded');
    }
  }

  /** To be called after loops were judged. */
  loopsJudged({ alarm, loopsSent, loopsReturned }: LoopLedger, lost: number): void {
    if (lost > 0) this.metrics.loopsLost.inc(lost);
    if (alarm.raised === this.#alarmed) return;
    this.#alarmed = alarm.raised;
    this.metrics.loopAlarm.set(alarm.raised ? 1 : 0);
    const fields = { loopsSent, loopsReturned };
    if (alarm.raised)
      this.log.warn(fields, 'own loops are lost or late beyond chance: traffic is held back on the way');
    else this.log.info(fields, 'own loops return again');
  }
}
