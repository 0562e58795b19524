/**
 * Ports that a test gives up and takes again, or wants nobody to take.
 * @module
 */
import { freePorts } from '../../cli/localnet/ports.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { noteDestination } from './destinations.ts';

/**
 * A port of `host` that is free whenever this process does not listen on it. One that the system gave (port 0) is not: as soon as it is
 * closed, the system may give it to another process, or to a connection as its source.
 */
export async function reservedPort(host = '127.0.0.1'): Promise<number> {
  const [port = 0] = await freePorts(host, 1, systemRng);
  return port;
}

/** A destination on loopback that refuses connections. */
export async function closedPort(): Promise<number> {
  const port = await reservedPort();
  noteDestination(port);
  return port;
}
