/**
 * `idle`: what a network costs that nobody uses, by role, at default rates.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Figure, figure } from './harness/figure.ts';
import { Localnet, measureRoles, STANDARD } from './harness/localnet.ts';
import type { Run, RunTerms } from './harness/paired.ts';
import { proportionalBytes, residentBytes, transferredBytes } from './harness/processor.ts';

/** Compilers, rings and stocks have settled. */
const SETTLE_MS = 10_000;

export interface IdleTerms extends RunTerms {
  readonly seconds: number;
}

export function idleRun({ quick, seconds }: IdleTerms): Run {
  return async (build, scope) => {
    const network = await Localnet.start(scope, build, STANDARD);
    await sleep(quick ? 0 : SETTLE_MS);
    const [proxy] = network.nodesOf('proxy');
    const transferred = () => transferredBytes(proxy?.pid ?? 0);
    const before = transferred();
    const used = measureRoles(network);
    const startMs = performance.now();
    await sleep(1000 * (quick ? 1 : seconds));
    const elapsed = (performance.now() - startMs) / 1000;
    const after = transferred();
    return [
      ...roleFigures(network, used(), elapsed),
      figure('idle.proxy.up', 'kB/s', (after.written - before.written) / 1000 / elapsed),
      figure('idle.proxy.down', 'kB/s', (after.read - before.read) / 1000 / elapsed),
    ];
  };
}

/** Of one process of each role in the mean, and of the network as a whole. */
function roleFigures(network: Localnet, used: ReadonlyMap<string, number>, elapsed: number): Figure[] {
  const figures: Figure[] = [];
  let [allSeconds, allBytes, allOwn] = [0, 0, 0];
  for (const [role, seconds] of used) {
    const nodes = network.nodesOf(role);
    const bytes = nodes.reduce((sum, { pid }) => sum + residentBytes(pid), 0);
    const own = nodes.reduce((sum, { pid }) => sum + proportionalBytes(pid), 0);
    const percent = (100 * seconds) / elapsed / nodes.length;
    figures.push(figure('idle.processor', '% of a core', percent, { role }));
    figures.push(figure('idle.memory', 'MB', bytes / 1e6 / nodes.length, { role }));
    figures.push(figure('idle.memory.own', 'MB', own / 1e6 / nodes.length, { role }));
    allSeconds += seconds;
    allBytes += bytes;
    allOwn += own;
  }
  const role = 'all together';
  figures.push(figure('idle.processor', '% of a core', (100 * allSeconds) / elapsed, { role }));
  figures.push(figure('idle.memory', 'MB', allBytes / 1e6, { role }));
  return [...figures, figure('idle.memory.own', 'MB', allOwn / 1e6, { role })];
}
