/**
 * A route of nodes with known secrets, and the walk of a packet along it.
 */

import type { Rng } from '../../lib/core/rng.ts';
import type { Crypto } from '../../lib/crypto/index.ts';
import type { DropReason, Final, Forward, Sphinx, SphinxHop, SphinxVersion } from '../../lib/sphinx/index.ts';

export interface TestNode extends SphinxHop {
  readonly secret: Uint8Array;
  readonly delayNs: number;
}

/** `hops` nodes with random keys, addresses and delays. */
export function makeRoute(crypto: Crypto, rng: Rng, hops: number): TestNode[] {
  return Array.from({ length: hops }, () => {
    const secret = rng.bytes(32);
    return { secret, publicKey: crypto.x25519Base(secret), address: rng.bytes(32), delayNs: rng.int(10 ** 12) };
  });
}

export type Step = Forward | Final | { readonly kind: 'dropped'; readonly reason: DropReason };

/** One node's work on `packet`, in place. */
export function unwrap(sphinx: Sphinx, secret: Uint8Array, packet: Uint8Array, version: SphinxVersion = 260): Step {
  const opened = sphinx.openHeader(secret, packet, version);
  return typeof opened === 'string' ? { kind: 'dropped', reason: opened } : sphinx.finish(opened, packet);
}

/** The results of all nodes in turn; ends early where one drops the packet. */
export function travel(
  sphinx: Sphinx,
  route: readonly TestNode[],
  packet: Uint8Array,
  version: SphinxVersion = 260,
): Step[] {
  const steps: Step[] = [];
  for (const node of route) {
    const step = unwrap(sphinx, node.secret, packet, version);
    steps.push(step);
    if (step.kind === 'dropped') break;
  }
  return steps;
}
