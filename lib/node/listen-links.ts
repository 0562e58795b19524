/**
 * The links of a node where its options say: on all addresses, with one set of limits. Where the options allow any port, those of last time
 * are tried first: after a restart the consensus still names them.
 * @module
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MixError } from '../core/errors.ts';
import { readTextFile } from '../core/text-file.ts';
import { type LinkListener, type ListenOptions, listenLinks } from '../link/index.ts';
import { type HostPort, parseListen } from '../net/address.ts';
import type { NodeOptions } from './config.ts';

type Options = Pick<NodeOptions, 'dir' | 'listen' | 'linkQueuePackets' | 'maxConnectionsPerSource'>;

/** Throws MixError CONFIG or LISTEN, which names the address. */
export function listenForLinks(
  { dir, listen, linkQueuePackets: queueFrames, maxConnectionsPerSource }: Options,
  terms: Omit<ListenOptions, 'host' | 'port' | 'also' | 'limits'>,
): Promise<LinkListener> {
  const limits = { queueFrames, maxConnectionsPerSource };
  return listenAgain(dir, listen.map(parseListen), ([first, ...also]) =>
    listenLinks({ ...terms, ...(first as HostPort), also, limits }),
  );
}

const PORT_FILE = 'listen-port';

/** In the order of the listeners; empty when there are none. */
function rememberedPorts(dir: string): number[] {
  try {
    const ports = readTextFile(join(dir, PORT_FILE)).trim().split('\n').map(Number);
    return ports.every((port) => Number.isInteger(port) && port > 0 && port <= 65_535) ? ports : [];
  } catch {
    return [];
  }
}

/** Calls `listen` with `wanted`, ports that are 0 exchanged for those of last time, or as it is if one of those is taken. */
export async function listenAgain<T extends { readonly addresses: readonly HostPort[] }>(
  dir: string,
  wanted: readonly HostPort[],
  listen: (addresses: readonly HostPort[]) => Promise<T>,
): Promise<T> {
  const isAny = wanted.some(({ port }) => port === 0);
  const remembered = isAny ? rememberedPorts(dir) : [];
  const last = wanted.map(({ host, port }, index) => ({ host, port: port || (remembered[index] ?? 0) }));
  let listener: T;
  try {
    listener = await listen(last);
  } catch (error) {
    if (portsOf(last) === portsOf(wanted) || !(error instanceof MixError) || error.code !== 'LISTEN') throw error;
    listener = await listen(wanted);
  }
  const taken = portsOf(listener.addresses);
  if (isAny && taken !== portsOf(last)) rememberPorts(join(dir, PORT_FILE), taken);
  return listener;
}

function rememberPorts(path: string, ports: string): void {
  const fresh = `${path}.new`;
  rmSync(fresh, { force: true });
  writeFileSync(fresh, ports, { mode: 0o600, flag: 'wx' });
  renameSync(fresh, path);
}

/** A line for each. */
function portsOf(addresses: readonly HostPort[]): string {
  return addresses.map(({ port }) => `${port}\n`).join('');
}
