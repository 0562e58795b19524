/**
 * What every role shows to those who watch over it: `/metrics`, `/livez`, `/readyz`.
 * @module
 */
import { textFor } from '../core/parsed-text.ts';
import type { Health } from '../telemetry/health.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { parseListen } from './address.ts';
import { hostList } from './host-header.ts';
import { type HttpAnswer, type LocalHttp, type Routes, serveLocalHttp } from './http.ts';

/** Options of a role that has such a page. */
export const metricsOptions = {
  metricsListen: textFor(parseListen)
    .default('127.0.0.1:0')
    .describe('address and port of /metrics, /livez and /readyz'),
  metricsHosts: hostList.describe('names and addresses, besides its own, by which the metrics page may be asked for'),
};

/** The three pages. A page of health is 200 `ok`, or 503 with a line for each thing that is wrong. */
export function watchRoutes(metrics: Metrics, health: Health): Routes {
  metrics.gaugeOf('ready', '1 while /readyz is well', () => (health.ready().length === 0 ? 1 : 0));
  return {
    '/metrics': async () => ({ type: metrics.registry.contentType, body: await metrics.text() }),
    '/livez': () => healthAnswer(health.live()),
    '/readyz': () => healthAnswer(health.ready()),
  };
}

function healthAnswer(faults: readonly string[]): HttpAnswer {
  return faults.length === 0 ? { body: 'ok\n' } : { status: 503, body: faults.map((fault) => `${fault}\n`).join('') };
}

export interface MetricsPageOptions {
  readonly config: { readonly metricsListen: string; readonly metricsHosts: readonly string[] };
  readonly metrics: Metrics;
  readonly health: Health;
  readonly log: Log;
}

/** Serves them to this machine; rejects with LISTEN when the address cannot be had. */
export function serveMetricsPage({ config, metrics, health, log }: MetricsPageOptions): Promise<LocalHttp> {
  return serveLocalHttp({
    listen: config.metricsListen,
    hosts: { listed: config.metricsHosts, flag: '--metrics-hosts' },
    routes: watchRoutes(metrics, health),
    log,
  });
}
