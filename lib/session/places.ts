/**
 * The places among which a proxy spreads packets and replies: a fixed number, each with one requester and the same weight,
 * whatever is asked for.
 *
 * The law changes in one case: when a port is asked for that no requester in use lets through and another one does, that
 * one gets a place too, and keeps it.
 * @module
 */
import type { NodeEntry } from '../directory/index.ts';
import { summaryAllows } from '../port-list.ts';
import { pick, type Rng } from '../rng.ts';

/** A share of the law. */
export interface Place {
  requester: NodeEntry;
  /** A requester that closed a session at once is not asked again before this. */
  notBeforeMs: number;
}

export interface PlacesOptions {
  readonly rng: Rng;
  /** Which requesters may be used. */
  readonly requesters: () => readonly NodeEntry[];
  /** Over how many of them packets and replies are spread, as far as there are so many. */
  readonly spread: number;
}

/** Requesters in use at a time. */
export const MAX_SPREAD = 8;
/** Requesters whose policy closes one of these are used only when there are no others. */
const USUAL_PORTS: readonly number[] = [80, 443];

export class Places {
  readonly #options: PlacesOptions;
  #all: Place[] = [];
  #spread: number;

  constructor(options: PlacesOptions) {
    this.#options = options;
    this.#spread = options.spread;
  }

  get all(): readonly Place[] {
    return this.#all;
  }

  /** A place by the law: whatever there is to send. */
  draw(): Place | undefined {
    return pick(this.#options.rng, this.#all);
  }

  /** False when `requester` does not let `port` through, and another one of those listed does. */
  suits(requester: NodeEntry, port: number): boolean {
    const listed = this.#options.requesters();
    const { exitPolicy } = listed.find(({ id }) => id === requester.id) ?? requester;
    return summaryAllows(exitPolicy, port) || listed.every((node) => !summaryAllows(node.exitPolicy, port));
  }

  /** Those whose requesters let `port` through, a new one if none of them does; all when nobody does. */
  suitingFor(port: number): readonly Place[] {
    const listed = this.#options.requesters();
    const closed = listed.filter(({ exitPolicy }) => !summaryAllows(exitPolicy, port));
    const fitting = this.#all.filter(({ requester }) => closed.every(({ id }) => id !== requester.id));
    if (fitting.length > 0) return fitting;
    const open = listed.filter((node) => !closed.includes(node));
    const requester = this.#all.length < MAX_SPREAD ? pick(this.#options.rng, open) : undefined;
    if (requester === undefined || this.#all.length === 0) return this.#all;
    const place = newPlace(requester);
    this.#all.push(place);
    this.#spread = this.#all.length;
    return [place];
  }

  /**
   * Places keep their requesters while those are listed. Without any, the old ones stay: cover goes on as it can. Returns
   * the places that are no more.
   */
  followList(): readonly Place[] {
    const usable = this.#options.requesters();
    if (usable.length === 0) return [];
    const kept = this.#all.filter(({ requester }) => usable.some((node) => node.id === requester.id));
    const wanted = Math.min(this.#spread, usable.length);
    while (kept.length < wanted) {
      const unused = usable.filter((node) => kept.every(({ requester }) => requester.id !== node.id));
      const usual = unused.filter(({ exitPolicy }) => USUAL_PORTS.every((port) => summaryAllows(exitPolicy, port)));
      const requester = pick(this.#options.rng, usual.length > 0 ? usual : unused);
      if (requester === undefined) break;
      kept.push(newPlace(requester));
    }
    const before = this.#all;
    this.#all = kept.slice(0, wanted);
    return before.filter((place) => !this.#all.includes(place));
  }
}

function newPlace(requester: NodeEntry): Place {
  return { requester, notBeforeMs: Number.NEGATIVE_INFINITY };
}
