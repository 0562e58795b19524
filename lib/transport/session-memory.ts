/**
 * What a session draws on its process's memory budget, in whose name: all of a session counts together.
 * @module
 */
import type { MemoryAccount, MemoryBudget, MemoryKind } from '../core/memory-budget.ts';

/** For options: nothing where memory is not counted. */
export function sessionMemory(budget: MemoryBudget | undefined, owner?: unknown): { readonly memory?: SessionMemory } {
  return budget === undefined ? {} : { memory: new SessionMemory(budget, owner) };
}

export class SessionMemory {
  /** `owner`: undefined where every stream stands for itself. */
  constructor(
    private readonly budget: MemoryBudget,
    private readonly owner: unknown,
  ) {}

  /** An account of a stream or of the session; `shed` lets go of what it counts. */
  account(kind: MemoryKind, shed?: () => void): MemoryAccount {
    return this.budget.account(kind, shed, this.owner);
  }

  /** Whether a further stream may begin. */
  get admitsStream(): boolean {
    return this.budget.admits('streams');
  }
}
