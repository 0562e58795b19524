/**
 * The local server of the status page, `/status.json` and the metrics.
 * @module
 */
import type { Status } from '../../lib/access/status/status.ts';
import type { Clock } from '../../lib/core/clock.ts';
import { type LocalHttp, serveLocalHttp } from '../../lib/net/http.ts';
import { watchRoutes } from '../../lib/net/metrics-page.ts';
import type { Health } from '../../lib/telemetry/health.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { Metrics } from '../../lib/telemetry/metrics.ts';
import { StatusHistory } from './page/history.ts';
import { pageRoutes } from './page/index.ts';

export interface StatusServerOptions {
  /** `host:port`; port 0 takes any free one. */
  readonly listen: string;
  /** What `--status-hosts` lists. */
  readonly hosts: readonly string[];
  readonly status: () => Status;
  readonly metrics: Metrics;
  readonly health: Health;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Serves the page, `/status.json`, `/proxy.pac`, metrics and health to this machine; rejects with LISTEN when the address
 * cannot be had.
 */
export async function startStatusServer(options: StatusServerOptions): Promise<LocalHttp> {
  const { listen, hosts, status, metrics, health, clock, log } = options;
  const history = new StatusHistory(clock, status);
  const { url, port, close } = await serveLocalHttp({
    listen,
    hosts: { listed: hosts, flag: '--status-hosts' },
    log,
    routes: {
      ...pageRoutes({ status, history: () => history.series() }),
      '/status.json': () => ({ type: 'application/json', body: `${JSON.stringify(status(), roundNumbers, 2)}\n` }),
      ...watchRoutes(metrics, health),
    },
  });
  history.start();
  return {
    url,
    port,
    close: () => {
      history.stop();
      return close();
    },
  };
}

/** Three decimals are more than any of these figures means. */
function roundNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'number' && Number.isFinite(value) ? Math.round(value * 1000) / 1000 : value;
}
