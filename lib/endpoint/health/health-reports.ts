/**
 * Writes what a client finds out about its paths to the log and the metrics.
 * @module
 */
import type { Log } from '../../telemetry/log.ts';
import type { LoopLedger } from '../loop-ledger.ts';
import type { EndpointMetrics } from '../metrics.ts';
import type { HealthChange } from './path-health.ts';

export class HealthReports {
  #alarmed = false;
  #slow = false;
  #flooded = false;

  constructor(
    readonly log: Log,
    readonly metrics: EndpointMetrics,
  ) {}

  reportChanges(changes: readonly HealthChange[]): void {
    for (const { node, change } of changes) {
      const fields = { node: node.name };
      if (change === 'excluded') this.log.warn(fields, 'own packets do not return over this node: routes avoid it');
      else this.log.info(fields, 'routes use this node again');
      this.metrics.exclusion(node.name, change === 'excluded');
    }
  }

  /** Frames per second that the gateway delivers, and that it should; whether that is too few, or somebody floods it. */
  reportDelivery(measured: number, set: number, slow: boolean, flooded: boolean): void {
    const fields = { measured: Math.round(measured), set };
    if (slow && !this.#slow) {
      this.log.warn(
        fields,
        'the gateway delivers less than its clock makes: it is overloaded, or the way from it too narrow',
      );
    } else if (!slow && this.#slow) this.log.info(fields, 'the gateway delivers at its rate again');
    if (flooded && !this.#flooded) {
      this.log.info(
        {},
        'replies fill the downlink, late ones or more than were asked for: losses of this time accuse nobody',
      );
    }
    this.#slow = slow;
    this.#flooded = flooded;
  }

  /** To be called after lost loops were counted. */
  reportLoops({ alarm, loopsSent, loopsReturned }: LoopLedger, lost: number): void {
    if (lost > 0) this.metrics.loopsLost.inc(lost);
    if (alarm.raised === this.#alarmed) return;
    this.#alarmed = alarm.raised;
    this.metrics.loopAlarm.inc(alarm.raised ? 1 : -1);
    const fields = { loopsSent, loopsReturned };
    if (alarm.raised) this.log.warn(fields, 'too many own loops are lost or late: traffic is held back on the way');
    else this.log.info(fields, 'own loops return again');
  }
}
