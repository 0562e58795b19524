/**
 * What the running role says of itself on its own page, `/livez` and `/readyz`.
 * @module
 */
import { pageUrl } from '../proxy-use/address.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import type { Machine } from './machine.ts';
import type { Subject } from './subject.ts';

/** Lines of a page that are taken over. */
const MAX_LINES = 16;

/** None where nothing runs, or where its port is left to the system. */
export async function checkHealth({ config, holder }: Subject, machine: Machine): Promise<Finding[]> {
  const listen = config.statusListen ?? config.metricsListen;
  if (holder === undefined || listen === undefined) return [];
  const url = pageUrl(listen, 'config.json');
  if (url === undefined) return [];
  const live = await machine.healthFaults(`${url}/livez`);
  const ready = await machine.healthFaults(`${url}/readyz`);
  if (live === undefined || ready === undefined) return [warning('health', `no answer from ${url}`)];
  const faults = [
    ...live.slice(0, MAX_LINES).map((line) => problem('health', `${line}: restart it`)),
    ...ready.slice(0, MAX_LINES).map((line) => warning('health', `not ready: ${line}`)),
  ];
  return faults.length > 0 ? faults : [ok('health', 'it lives, and is ready')];
}
