/**
 * The consensus as a node lives in it: the present one, and for Δ after a turn the one before, because packets that
 * were routed by it are still on their way.
 * @module
 */
import type { Clock, Timer } from '../clock.ts';
import type { Topology } from '../directory/index.ts';
import type { LoopOrigin } from '../mixing/index.ts';
import { keyGraceMs } from '../params.ts';
import { type Neighbours, neighboursOf } from './neighbours.ts';

export interface SurroundingsOptions {
  readonly origin: LoopOrigin;
  readonly clock: Clock;
  readonly onChange: (neighbours: Neighbours) => void;
}

export class Surroundings {
  #topology: Topology | undefined;
  #neighbours: Neighbours;
  #forget: Timer | undefined;

  constructor(readonly options: SurroundingsOptions) {
    this.#neighbours = neighboursOf([], options.origin);
  }

  /** The newest consensus; undefined before the first. It stays when it expires: links are kept for the next. */
  get topology(): Topology | undefined {
    return this.#topology;
  }

  get neighbours(): Neighbours {
    return this.#neighbours;
  }

  update(topology: Topology): void {
    const before = this.#topology;
    if (before === topology) return;
    this.#topology = topology;
    this.#forget?.cancel();
    this.#apply(before === undefined ? [topology] : [before, topology]);
    if (before === undefined) return;
    this.#forget = this.options.clock.after(keyGraceMs(topology.params.epochMs), () => this.#apply([topology]));
  }

  stop(): void {
    this.#forget?.cancel();
  }

  #apply(topologies: readonly Topology[]): void {
    this.#neighbours = neighboursOf(topologies, this.options.origin);
    this.options.onChange(this.#neighbours);
  }
}
