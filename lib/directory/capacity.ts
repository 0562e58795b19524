/**
 * What a mix or gateway publishes of its capacity and of what it sheds: in steps, so that a descriptor says what a machine is
 * good for and little of its load (docs/PROTOCOL.md section 4.8). All in whole numbers.
 * @module
 */
import { z } from 'zod';

/** Packets per second, the most that a descriptor can say. */
export const MAX_CAPACITY = 1_000_000;
/** Capacities that there are, ascending: each is a quarter more than the one before, rounded down, or one more. */
export const CAPACITY_STEPS: readonly number[] = stepsTo(MAX_CAPACITY);
/** Shares of packets that were shed, per cent. */
export const SHED_STEPS: readonly number[] = [0, 1, 2, 5, 10, 20, 50, 100];

/** Clients that a gateway may admit, the most that a consensus can say. */
export const MAX_CLIENTS = 1_000_000;

const capacity = z.int().refine((value) => CAPACITY_STEPS.includes(value), 'expected one of the steps of capacity');

/** In a descriptor: packets per second that it carries, and what it has shed of them lately, per cent. */
export const publishedCapacity = {
  capacity: capacity.exactOptional(),
  shed: z.literal(SHED_STEPS, `expected one of ${SHED_STEPS.join(', ')}`).exactOptional(),
};
/** In a mix's descriptor: packets per second that it holds for mixing, in the same steps, or 0. */
export const publishedArrivals = {
  arrivalsPerSecond: z
    .int()
    .refine((value) => value === 0 || CAPACITY_STEPS.includes(value), 'expected 0 or one of the steps of capacity')
    .exactOptional(),
};
const shedding = SHED_STEPS.slice(1);
/** In a consensus: what a node sheds, if anything. */
export const listedShed = {
  shed: z.literal(shedding, `expected one of ${shedding.join(', ')}`).exactOptional(),
};
/** In a consensus: how many clients a gateway may admit, counted as of class standard. */
export const listedMaxClients = { maxClients: z.int().min(0).max(MAX_CLIENTS).exactOptional() };
/** Of the network: mixes and gateways that carry fewer packets per second are not listed. */
export const minCapacity = z.int().min(0).max(MAX_CAPACITY);

/** The greatest of `steps` (ascending) that is at most `value`; the least one for what is below all. */
export function stepAtMost(steps: readonly number[], value: number): number {
  return steps.findLast((step) => step <= value) ?? (steps[0] as number);
}

function stepsTo(most: number): number[] {
  const steps: number[] = [];
  for (let step = 1; step <= most; step = Math.max(step + 1, Math.floor((5 * step) / 4))) steps.push(step);
  return steps;
}

/** Whether a node carries `least` packets per second, as far as the network asks: nothing is asked of requesters. */
export function hasCapacity(node: { readonly role: string; readonly capacity?: number }, least: number): boolean {
  return node.role === 'requester' || (node.capacity ?? 0) >= least;
}
