/**
 * `latency`: how long a short request takes, alone and beside downloads.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Figure, failure, figure, quantile } from './harness/figure.ts';
import { Localnet, STANDARD } from './harness/localnet.ts';
import type { Run, RunTerms } from './harness/paired.ts';
import { startSite } from './harness/site.ts';
import { download, type Ends, endlessDownload } from './harness/transfer.ts';

const REQUEST_BYTES = 1000;
const TIMEOUT_SECONDS = 60;
const DOWNLOADS = 8;
/** The downloads fill the windows and queues before the request comes. */
const FILL_MS = 5000;

export function latencyRun({ quick }: RunTerms): Run {
  const requests = quick ? 3 : 50;
  return async (build, scope) => {
    const { port } = await startSite(scope);
    const network = await Localnet.start(scope, build, STANDARD);
    const ends = { socks: network.socks, sitePort: port };
    await download(ends, REQUEST_BYTES, TIMEOUT_SECONDS, 'warm-up');
    const alone = await requestFigures(ends, requests, 0);
    const downloads = quick ? 2 : DOWNLOADS;
    for (let i = 0; i < downloads; i++) {
      const socket = await endlessDownload(ends, `bulk-${i}`, () => {});
      scope.teardown(() => socket.destroy());
    }
    await sleep(quick ? 0 : FILL_MS);
    return [...alone, ...(await requestFigures(ends, requests, downloads))];
  };
}

async function requestFigures(ends: Ends, requests: number, downloads: number): Promise<Figure[]> {
  const seconds: number[] = [];
  const terms = { downloads };
  for (let i = 0; i < requests; i++) {
    const transfer = await download(ends, REQUEST_BYTES, TIMEOUT_SECONDS, `request-${downloads}-${i}`);
    if ('fault' in transfer) return [failure('latency.request', 'ms', transfer.fault, terms)];
    seconds.push(transfer.seconds);
  }
  return [
    figure('latency.request', 'ms', 1000 * quantile(seconds, 0.5), terms),
    figure('latency.request.p90', 'ms', 1000 * quantile(seconds, 0.9), terms),
  ];
}
