import type { MachineCosts } from '../../cli/localnet/capacity.ts';

/** As measured on a machine whose downloads are fastest at 200:500 with two processors; with one it just keeps 50:100. */
export const TWO_PROCESSORS: MachineCosts = {
  processors: 2,
  scalarMs: 0.0275,
  createMs: 0.33,
  createSurbMs: 0.196,
  useSurbMs: 0.023,
  unwrapMs: 0.089,
  openReplyMs: 0.093,
};
