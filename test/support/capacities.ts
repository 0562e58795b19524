/**
 * Descriptors of a network with what its nodes say that they carry, and the numbers of clients that follow.
 */
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import { admitClients, type Consensus, type Descriptor } from '../../lib/directory/index.ts';
import { EPOCH, network, nodes } from './loop-reports.ts';
import { descriptorOf, draft, keys } from './signed-documents.ts';

export const exit = descriptorOf(network, 50, draft('requester', [EPOCH, EPOCH + 1]), EPOCH * 60_000 - 10_000);

/** Three nodes in each stage that carry `capacity`, and an exit; `changed` by the number of the node (`nodes`). */
export function threePerStage(capacity: number, changed: Readonly<Record<number, object>> = {}): Descriptor[] {
  const all = nodes(3).map((node) => ({ ...node, capacity }));
  const numbers = [0, 10, 20, 30].flatMap((place) => [0, 1, 2].map((index) => place + index));
  return [...all.map((node, i): Descriptor => ({ ...node, ...changed[numbers[i] as number] })), exit];
}

/** By gateway. `candidates`: nodes about to be marked. */
export function numbersOf(
  descriptors: readonly Descriptor[],
  last?: Pick<Consensus, 'nodes'>,
  candidates: readonly number[] = [],
) {
  const lossy = new Set(candidates.map((n) => keys(n).id));
  const { maxClients } = admitClients(descriptors, lossy, DEFAULT_PARAMS, last);
  return [30, 31, 32].map((n) => maxClients.get(keys(n).id));
}
