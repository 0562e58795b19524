/**
 * The links of a node where its options say: on all addresses, with one set of limits.
 * @module
 */
import { type LinkListener, type ListenOptions, listenLinks } from '../link/index.ts';
import { type HostPort, parseListen } from '../net/address.ts';
import type { NodeOptions } from './config.ts';
import { listenAgain } from './remembered-port.ts';

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
