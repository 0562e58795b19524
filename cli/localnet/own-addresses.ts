/**
 * Addresses of loopback for the nodes of a local network.
 * @module
 */
import type { Rng } from '../../lib/core/rng.ts';
import { hasAddress } from '../../lib/net/own-address.ts';

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
