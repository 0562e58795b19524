/**
 * `scale`: whether a packet costs the same with one as with a thousand of what there may be many of: streams of a proxy,
 * clients of a gateway, nodes of the network.
 * @module
 */
import type { Figure } from '../harness/figure.ts';
import type { Run, RunTerms } from '../harness/paired.ts';
import { clientFigures } from './clients.ts';
import { consensusFigures } from './consensus.ts';
import { nodeFigures } from './nodes.ts';
import { stoppedFigures, streamFigures } from './streams.ts';

export interface ScaleTerms extends RunTerms {
  readonly seconds: number;
}

export function scaleRun({ quick, seconds }: ScaleTerms): Run {
  const terms = {
    seconds: quick ? 1 : seconds,
    counts: quick ? [1, 5] : [1, 10, 100, 1000],
    nodes: quick ? [6] : [6, 60, 600],
    stoppedSeconds: quick ? 1 : 60,
    quick,
  };
  return async (build): Promise<Figure[]> => [
    ...nodeFigures(terms),
    ...consensusFigures(terms.nodes, quick),
    ...(await streamFigures(build, terms)),
    ...(await stoppedFigures(build, terms)),
    ...(await clientFigures(build, terms)),
  ];
}
