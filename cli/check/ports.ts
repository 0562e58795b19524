/**
 * The addresses that the role listens on: free, or held by the process that runs on the folder; and what that says of itself on its own
 * page, `/livez` and `/readyz`.
 * @module
 */
import type { ProxyConfig } from '../../proxy/config.ts';
import { describeAddress, type ListenAddress, parseListenAddress } from '../../proxy/front/listener.ts';
import { pageUrl } from '../proxy-use/address.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import type { Machine } from './machine.ts';
import type { Subject } from './subject.ts';

/** Lines of a page of health that are taken over. */
const MAX_LINES = 16;

const FAULTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use by another program: stop that, or choose another port',
  EACCES: 'this user may not use that port: choose one from 1024 on',
  EADDRNOTAVAIL: 'this machine does not have that address: listen on one that it has, or on 0.0.0.0',
};

/** Where the role listens, ports left to the system excepted. Throws CONFIG. */
async function listenAddressesOf({ role, config }: Subject): Promise<ListenAddress[]> {
  if (role === 'proxy') {
    const { listenAddresses } = await import('../../proxy/index.ts');
    const { front, page } = listenAddresses(config as unknown as ProxyConfig);
    return [...front, page].filter(isFixed);
  }
  const texts = [config.listen ?? [], config.metricsListen ?? []].flat();
  return texts.map(parseListenAddress).filter(isFixed);
}

const isFixed = (address: ListenAddress): boolean => address.kind === 'unix' || address.port !== 0;

export async function checkPorts(subject: Subject, machine: Machine): Promise<Finding[]> {
  const addresses = await listenAddressesOf(subject);
  return Promise.all(addresses.map((address) => checkPort(address, subject, machine)));
}

async function checkPort(address: ListenAddress, { holder }: Subject, machine: Machine): Promise<Finding> {
  const where = describeAddress(address);
  if (holder !== undefined) {
    if (await machine.isReachable(address)) return ok('ports', `${where} is served while ${holderText(holder)} runs`);
    return warning(
      'ports',
      `${holderText(holder)} runs, and nothing listens on ${where}: restart it if the configuration has changed`,
    );
  }
  if (address.kind === 'unix') {
    if (!(await machine.isReachable(address))) return ok('ports', `${where} is free`);
    return problem('ports', `${where}: another program listens there: stop that, or choose another path`);
  }
  const code = await machine.listenFault(address.host, address.port);
  if (code === undefined) return ok('ports', `${where} is free`);
  return problem('ports', `${where}: ${FAULTS[code] ?? code}`);
}

export const holderText = (holder: string): string => (holder === '' ? 'another process' : holder);

/** Of the role that runs. None where nothing runs, or where its port is left to the system. */
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
