/**
 * The ring in which packets flow: layers 1, 2 and 3, the gateways, and (for the loops of nodes alone) layer 1 again.
 * @module
 */

/** What places a node in the ring. */
interface Placed {
  readonly role: string;
  readonly layer?: number;
}

/** Places in the ring. */
export const RING_PLACES = 4;

/** The place of a mix of layer 1, 2 or 3 (0, 1, 2) or of a gateway (3); undefined of a requester. */
export function placeOf(node: Placed): number | undefined {
  if (node.role === 'gateway') return RING_PLACES - 1;
  return node.layer === undefined ? undefined : node.layer - 1;
}

/** Mixes of layer 1, 2 and 3 and gateways, each in the order given. */
export function ringOf<Node extends Placed>(nodes: Iterable<Node>): Node[][] {
  const ring: Node[][] = Array.from({ length: RING_PLACES }, () => []);
  for (const node of nodes) {
    const place = placeOf(node);
    if (place !== undefined) ring[place]?.push(node);
  }
  return ring;
}

/** How many nodes of a place with `size` may be marked as lossy: fewer than half. */
export function mostLossy(size: number): number {
  return Math.max(0, Math.ceil(size / 2) - 1);
}

export function isLossy(node: { readonly lossy?: true } | object): boolean {
  return 'lossy' in node && node.lossy === true;
}
