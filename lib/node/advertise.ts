/**
 * The address that a node's descriptor names.
 * @module
 */
import { isIP } from 'node:net';
import { MixError } from '../core/errors.ts';
import { type HostPort, parseListen } from '../net/address.ts';
import type { NodeOptions } from './config.ts';

/**
 * `advertise` if it is given, else the address of `listen`; port 0 stands for the port that was bound. Throws MixError
 * CONFIG when others could not dial it.
 */
export function advertisedAddress(options: Pick<NodeOptions, 'advertise' | 'listen'>, boundPort: number): HostPort {
  const { host, port } = parseListen(options.advertise ?? options.listen);
  if (isIP(host) === 0 || host === '0.0.0.0' || /^[0:]+$/.test(host)) {
    throw new MixError('CONFIG', `'${host}' cannot be dialled by others: give --advertise with an IP address and port`);
  }
  return { host, port: port === 0 ? boundPort : port };
}
