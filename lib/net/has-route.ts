/**
 * Whether this machine has a route to an address.
 * @module
 */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

/** By the system's table of routes alone: nothing is sent, so that nobody outside can make the answer false. */
export function hasRoute(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const answer = (found: boolean) => {
      socket.close();
      resolve(found);
    };
    socket.once('error', () => answer(false));
    socket.once('connect', () => answer(true));
    socket.connect(9, address);
  });
}
