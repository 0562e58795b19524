/**
 * The ring in which packets flow: layers 1, 2 and 3, the gateways, and (for the loops of nodes alone) layer 1 again.
 * @module
 */

/** What a node's position in the ring follows from. */
interface RingNode {
  readonly role: string;
  readonly layer?: number;
}

/** Positions in the ring. */
export const RING_SIZE = 4;

/** The position of a mix of layer 1, 2 or 3 (0, 1, 2) or of a gateway (3); undefined of a requester. */
export function ringIndexOf(node: RingNode): number | undefined {
  if (node.role === 'gateway') return RING_SIZE - 1;
  return node.layer === undefined ? undefined : node.layer - 1;
}

/** Mixes of layer 1, 2 and 3 and gateways, each in the order given. */
export function ringOf<Node extends RingNode>(nodes: Iterable<Node>): Node[][] {
  const ring: Node[][] = Array.from({ length: RING_SIZE }, () => []);
  for (const node of nodes) {
    const index = ringIndexOf(node);
    if (index !== undefined) ring[index]?.push(node);
  }
  return ring;
}

/** How many of `size` nodes at one position may be marked as lossy: fewer than half. */
export function mostLossy(size: number): number {
  return Math.max(0, Math.ceil(size / 2) - 1);
}

export function isLossy(node: { readonly lossy?: true } | object): boolean {
  return 'lossy' in node && node.lossy === true;
}
