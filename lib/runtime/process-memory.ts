/**
 * The memory budget of this process: its size, and what is shown of it.
 * @module
 */
import { totalmem } from 'node:os';
import { type Clock, systemClock } from '../core/clock.ts';
import { defaultBudgetBytes, MemoryBudget, type MemoryKind } from '../core/memory-budget.ts';
import type { Metrics } from '../telemetry/metrics.ts';

const MIB = 2 ** 20;

/** A quarter of what the process may use. */
export function machineBudgetBytes(): number {
  return defaultBudgetBytes(process.constrainedMemory?.(), totalmem());
}

/** A budget of `budgetMiB` MiB, or of the default, that reviews itself on `clock` and is among `metrics`. */
export function processMemory(budgetMiB: number | undefined, clock: Clock, metrics: Metrics): MemoryBudget {
  const memory = new MemoryBudget(budgetMiB === undefined ? machineBudgetBytes() : budgetMiB * MIB, clock);
  memory.watch(clock);
  showMemory(memory, metrics);
  return memory;
}

let shared: MemoryBudget | undefined;

/** The one budget of all clients inside a program. */
export function clientMemory(): MemoryBudget {
  if (shared === undefined) {
    shared = new MemoryBudget(machineBudgetBytes(), systemClock);
    shared.watch(systemClock);
  }
  return shared;
}

function showMemory(memory: MemoryBudget, metrics: Metrics): void {
  const byKind = (read: (use: MemoryBudget['kinds'][number]) => number) => () =>
    Object.fromEntries(memory.kinds.map((use) => [use.kind, read(use)])) as Record<MemoryKind, number>;
  metrics.gaugeOf('memory_budget_bytes', 'Memory that queues may take together', () => memory.limitBytes);
  metrics.gaugeOf('memory_used_bytes', 'Memory that queues take, as counted', () => memory.usedBytes);
  const refused = byKind(({ refused }) => refused);
  metrics.counterOf(
    'memory_refused_total',
    'Newcomers refused for want of memory, by what they asked for',
    'kind',
    refused,
  );
  const shed = byKind(({ shed }) => shed);
  metrics.counterOf(
    'memory_shed_total',
    'Slow owners that were made to let go of memory, by what it was',
    'kind',
    shed,
  );
}
