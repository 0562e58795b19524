/**
 * Which nodes are excluded, for how long, and how one is used again. Binary and by fixed rules: finer weights drawn from a client's
 * own evidence would be a mark by which its packets could be told from those of others.
 * @module
 */

import type { MonotonicMs } from '../../core/units.ts';
import { laterMs } from '../../core/units.ts';
import type { PathNode } from './loop-evidence.ts';
import { FIRST_TERM_MS, MAX_TERM_MS, maxExcluded, RETURNS_TO_LIFT, REVISION_MS } from './thresholds.ts';

interface Exclusion {
  readonly node: PathNode;
  readonly sinceMs: MonotonicMs;
  readonly untilMs: MonotonicMs;
  /** Loops over it that returned since the last that was lost. */
  returnsInRow: number;
}

interface PastTerm {
  readonly termMs: number;
  readonly endedMs: number;
}

export class Exclusions {
  readonly #current = new Map<PathNode, Exclusion>();
  /** Last terms, so that the next is longer; forgotten after twice the longest term. */
  readonly #past = new Map<PathNode, PastTerm>();

  get nodes(): ReadonlySet<PathNode> {
    return new Set(this.#current.keys());
  }

  has(node: PathNode): boolean {
    return this.#current.has(node);
  }

  /** Excludes `node` unless its layer of `layerSize` mixes cannot spare another. */
  add(node: PathNode, layerSize: number, nowMs: MonotonicMs): boolean {
    const already = [...this.#current.keys()].filter((other) => other.layer === node.layer).length;
    if (this.has(node) || already >= maxExcluded(layerSize)) return false;
    const last = this.#past.get(node);
    const termMs = last === undefined ? FIRST_TERM_MS : Math.min(2 * last.termMs, MAX_TERM_MS);
    this.#current.set(node, { node, sinceMs: nowMs, untilMs: laterMs(nowMs, termMs), returnsInRow: 0 });
    return true;
  }

  /** Whether `node` was excluded so lately that loops which return late may undo it. */
  isRevisable(node: PathNode, nowMs: MonotonicMs): boolean {
    const exclusion = this.#current.get(node);
    return exclusion !== undefined && nowMs - exclusion.sinceMs < REVISION_MS;
  }

  /** A loop over an excluded node came back or was lost. True when it has shown that it works again. */
  recordLoop(node: PathNode, returned: boolean): boolean {
    const exclusion = this.#current.get(node);
    if (exclusion === undefined) return false;
    exclusion.returnsInRow = returned ? exclusion.returnsInRow + 1 : 0;
    return exclusion.returnsInRow >= RETURNS_TO_LIFT;
  }

  /** Ends the exclusion of `node`. One that was a mistake leaves no record. */
  lift(node: PathNode, nowMs: MonotonicMs, mistaken = false): void {
    const exclusion = this.#current.get(node);
    if (exclusion === undefined) return;
    this.#current.delete(node);
    if (!mistaken) this.#past.set(node, { termMs: exclusion.untilMs - exclusion.sinceMs, endedMs: nowMs });
  }

  /** Those whose term is over. */
  due(nowMs: MonotonicMs): PathNode[] {
    for (const [node, { endedMs }] of this.#past) if (nowMs - endedMs > 2 * MAX_TERM_MS) this.#past.delete(node);
    return [...this.#current.values()].filter(({ untilMs }) => untilMs <= nowMs).map(({ node }) => node);
  }

  /** The consensus changed: forgets nodes that left, and lets the longest excluded in where too few would be left. */
  fit(stays: (node: PathNode) => boolean, layerSize: (layer: number) => number): PathNode[] {
    for (const node of this.#past.keys()) if (!stays(node)) this.#past.delete(node);
    for (const node of this.#current.keys()) if (!stays(node)) this.#current.delete(node);
    const lifted: PathNode[] = [];
    for (const layer of [1, 2, 3]) {
      const excluded = [...this.#current.keys()].filter((node) => node.layer === layer);
      for (const node of excluded.slice(0, Math.max(0, excluded.length - maxExcluded(layerSize(layer))))) {
        this.#current.delete(node);
        lifted.push(node);
      }
    }
    return lifted;
  }
}
