/**
 * Ports of this machine, and addresses of its loopback.
 * @module
 */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { MixError } from '../../lib/core/errors.ts';
import type { Rng } from '../../lib/core/rng.ts';
import { listenError } from '../../lib/net/listening.ts';
import { hasAddress, listenFault } from '../../lib/net/own-address.ts';

/**
 * Below the range that systems take the source ports of connections from (32768 and up on Linux, 49152 elsewhere): a
 * port from there could be taken by a connection while its node is down.
 */
const FIRST_PORT = 10_240;
const LAST_PORT = 32_000;
const ATTEMPTS_PER_PORT = 100;

/**
 * `count` distinct ports of `host`, an address, that are free now. They are reserved for as long as this process lives: what is started on
 * one may be down for a while, and no other process that looks for ports here takes it meanwhile.
 */
export async function freePorts(host: string, count: number, rng: Rng): Promise<number[]> {
  const ports: number[] = [];
  for (let attempt = 0; ports.length < count && attempt < count * ATTEMPTS_PER_PORT; attempt++) {
    const port = FIRST_PORT + rng.int(LAST_PORT - FIRST_PORT);
    if (await reserve(host, port)) ports.push(port);
  }
  if (ports.length < count) throw new MixError('LISTEN', `cannot find ${count} free ports on ${host}`);
  return ports;
}

/** Throws LISTEN with one line when `port` of `host` cannot be had. Port 0 always can. */
export async function checkFree(host: string, port: number): Promise<void> {
  if (port === 0) return;
  const fault = await listenFault(host, port);
  if (fault !== undefined) throw listenError(fault, { host, port });
}

/** Holds the UDP port of the same number, which leaves the one of TCP to whoever the port is for. */
async function reserve(host: string, port: number): Promise<boolean> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4').unref();
  const held = await new Promise<boolean>((resolve) => {
    socket.on('error', () => resolve(false));
    socket.bind({ address: host, port, exclusive: true }, () => resolve(true));
  });
  if (held && (await listenFault(host, port)) === undefined) return true;
  socket.close();
  return false;
}

/**
 * For each of `names` an address of its own, out of a /24 that no other network of this machine is likely to use: so the bounds
 * of connections per source see nodes one by one, as on machines of their own. None where the system has 127.0.0.1 alone (macOS).
 */
export async function ownAddresses(
  names: readonly string[],
  rng: Rng,
  has: (address: string) => Promise<boolean> = hasAddress,
): Promise<Record<string, string>> {
  const prefix = `127.${64 + rng.int(128)}.${rng.int(256)}`;
  if (!(await has(`${prefix}.1`))) return {};
  return Object.fromEntries(names.map((name, index) => [name, `${prefix}.${index + 1}`]));
}
