/**
 * The requesters (exits) that a proxy has in use. Each has the same share of packets and replies, whatever is asked for.
 *
 * Their number is fixed, but for one case: when no exit in use lets a port through and another requester does, that one
 * comes into use too, and stays.
 * @module
 */

import type { IdentityHex } from '../../core/bytes.ts';
import { pick, type Rng } from '../../core/rng.ts';
import type { MonotonicMs } from '../../core/units.ts';
import type { NodeEntry } from '../../directory/index.ts';
import { summaryAllows } from '../../net/port-list.ts';
import type { Log } from '../../telemetry/log.ts';
import type { CloseReason } from '../../transport/types.ts';
import { EXIT_SAMPLE_SIZE, ExitSample } from './exit-sample.ts';

/** A requester in use. */
export interface Exit {
  readonly requester: NodeEntry;
  /** Whose sample it is of: what any exit is good for, or a port. */
  readonly policy: number | 'usual';
  /** After a session that it closed at once, no other is started before this. */
  notBeforeMs: number;
  /** How many checks in a row found its replies overdue. */
  overdueChecks: number;
  /** Whether a reply has come since the last check. */
  replied: boolean;
}

/** After this many checks in a row without an overdue reply, over a link that is up, an exit is unresponsive. */
export const UNRESPONSIVE_AFTER_CHECKS = 5;
/** After so many, and again in each further period of the above, packets go to the exit through another gateway of it. */
export const CHANGE_GATEWAY_AFTER_CHECKS = 3;

/** After so many, another exit of the sample is used: a requester that restarts is back before, and so is the way to it. */
export const GONE_AFTER_CHECKS = 30;

/** New streams wait for it, or go to another exit in use. */
export function isUnresponsive({ overdueChecks }: Exit): boolean {
  return overdueChecks >= UNRESPONSIVE_AFTER_CHECKS;
}

/** New streams are refused, where no other exit can be used. */
export function isGone({ overdueChecks }: Exit): boolean {
  return overdueChecks >= GONE_AFTER_CHECKS;
}

/** Those of `exits` that answer; all when none does. */
export function responsiveOnes(exits: readonly Exit[]): readonly Exit[] {
  const responsive = exits.filter((exit) => !isUnresponsive(exit));
  return responsive.length > 0 ? responsive : exits;
}

/** Exits that have become unresponsive with the last check, and gone. */
export type Silences = Readonly<Record<'silent' | 'gone', readonly Exit[]>>;

/** The check of a second; `isOverdue` says whether a reply of an exit is. */
export function checkExits(exits: readonly Exit[], isOverdue: (exit: Exit) => boolean): Silences {
  for (const exit of exits) {
    exit.overdueChecks = isOverdue(exit) && !exit.replied ? exit.overdueChecks + 1 : 0;
    exit.replied = false;
  }
  const after = (checks: number) => exits.filter(({ overdueChecks }) => overdueChecks === checks);
  return { silent: after(UNRESPONSIVE_AFTER_CHECKS), gone: after(GONE_AFTER_CHECKS) };
}

/** Whether the gateway through which the exit is reached may be the reason why nothing comes. */
export function isToReachAnew({ overdueChecks }: Exit): boolean {
  return overdueChecks % UNRESPONSIVE_AFTER_CHECKS === CHANGE_GATEWAY_AFTER_CHECKS;
}

export interface ExitSetOptions {
  readonly rng: Rng;
  readonly log: Pick<Log, 'warn'>;
  readonly nowMs: () => MonotonicMs;
  /** Which requesters may be used. */
  readonly requesters: () => readonly NodeEntry[];
  /** Over how many of them packets and replies are spread, as far as there are so many. */
  readonly spread: number;
}

/** Requesters in use at a time. */
export const MAX_SPREAD = 8;
/** A requester that was found to do one of these is used for `AVOID_MS` only when its sample has no other. */
export const ACCUSATIONS: Readonly<Partial<Record<CloseReason, string>>> = {
  hoarding: 'the requester keeps reply blocks back: it is avoided for an hour if there is another',
  flooding: 'the requester sends more replies than it was asked for: it is avoided for an hour if there is another',
};
export const AVOID_MS = 3_600_000;
/** The same for one that has refused a session, or does not answer. */
export const REST_MS = 60_000;
/** Ports with a sample of their own, since the usual exits do not let them through. */
export const MAX_PORT_SAMPLES = 64;
/** Requesters whose policy closes one of these are used only when there are no others. */
const USUAL_PORTS: readonly number[] = [80, 443];

export class ExitSet {
  /** For what any exit is good for, and for single ports that those do not let through. */
  readonly #samples = new Map<number | 'usual', ExitSample>();
  readonly #restsUntilMs = new Map<IdentityHex, number>();
  /** Had no session since they last refused, or stopped to answer. */
  readonly #failing = new Set<IdentityHex>();
  #all: Exit[] = [];
  #spread: number;

  constructor(private readonly options: ExitSetOptions) {
    this.#spread = options.spread;
  }

  get all(): readonly Exit[] {
    return this.#all;
  }

  /** Uses this requester no more for an hour, as long as its sample has another. Takes effect with `followList`. */
  avoid({ id }: NodeEntry): void {
    this.#restsUntilMs.set(id, this.options.nowMs() + AVOID_MS);
  }

  /** It has refused a session, or does not answer: another of its sample is used. Takes effect with `followList`. */
  failed({ id }: NodeEntry): void {
    const isNew = !this.#failing.has(id);
    this.#failing.add(id);
    const untilMs = this.options.nowMs() + REST_MS;
    if (isNew || !this.#rests(id)) this.#restsUntilMs.set(id, Math.max(untilMs, this.#restsUntilMs.get(id) ?? untilMs));
  }

  /** It has a session. */
  worked({ id }: NodeEntry): void {
    this.#failing.delete(id);
  }

  /** One of them, all equally likely, whatever there is to send; undefined when there is none. */
  draw(): Exit | undefined {
    return pick(this.options.rng, this.#all);
  }

  /** False when `requester` does not let `port` through, and another one of those listed does. */
  suits(requester: NodeEntry, port: number): boolean {
    const listed = this.options.requesters();
    const { exitPolicy } = listed.find(({ id }) => id === requester.id) ?? requester;
    return summaryAllows(exitPolicy, port) || listed.every((node) => !summaryAllows(node.exitPolicy, port));
  }

  /** Those that let `port` through, a new one if none of them does; all when no requester does. */
  suitingFor(port: number): readonly Exit[] {
    const closed = this.options.requesters().filter(({ exitPolicy }) => !summaryAllows(exitPolicy, port));
    const fitting = this.#all.filter(({ requester }) => closed.every(({ id }) => id !== requester.id));
    if (fitting.length > 0) return fitting;
    if (this.#all.length === 0 || this.#all.length >= MAX_SPREAD) return this.#all;
    if (!this.#samples.has(port) && this.#samples.size > MAX_PORT_SAMPLES) return this.#all;
    const exit = this.#another(port, this.#all);
    if (exit === undefined) return this.#all;
    this.#all.push(exit);
    this.#spread = this.#all.length;
    return [exit];
  }

  /**
   * To be called once a second, and when an exit has failed. Exits stay in use while they are listed and work; others come from their
   * samples. When none is listed the old ones stay: cover goes on as it can. Returns those that are no longer in use.
   */
  followList(): readonly Exit[] {
    const listed = this.options.requesters();
    if (listed.length === 0) return [];
    this.#review(listed);
    const isListed = ({ id }: NodeEntry) => listed.some((node) => node.id === id);
    const next = this.#all.filter(({ requester }) => isListed(requester));
    for (const [i, exit] of next.entries()) {
      if (!this.#rests(exit.requester.id)) continue;
      next[i] = this.#another(exit.policy, next) ?? this.#soonest(exit, next) ?? exit;
    }
    const wanted = Math.min(this.#spread, listed.length);
    while (next.length < wanted) {
      const exit = this.#another('usual', next) ?? this.#another('usual', next, true);
      if (exit === undefined) break;
      next.push(exit);
    }
    const before = this.#all;
    this.#all = next.slice(0, wanted);
    return before.filter((exit) => !this.#all.includes(exit));
  }

  #review(listed: readonly NodeEntry[]): void {
    const { nowMs, log } = this.options;
    for (const [id, untilMs] of this.#restsUntilMs) if (untilMs <= nowMs()) this.#restsUntilMs.delete(id);
    for (const id of this.#failing) if (listed.every((node) => node.id !== id)) this.#failing.delete(id);
    for (const [policy, sample] of this.#samples) {
      const grown = sample.review(this.#candidates(policy), (id) => this.#failing.has(id), nowMs());
      if (grown) log.warn({}, 'no requester of the sample has had a session for an hour: one more may be used');
    }
  }

  #rests(id: IdentityHex): boolean {
    return (this.#restsUntilMs.get(id) ?? Number.NEGATIVE_INFINITY) > this.options.nowMs();
  }

  /** One of the sample that is not `inUse`, and does not rest unless `resting`. */
  #another(policy: Exit['policy'], inUse: readonly Exit[], resting = false): Exit | undefined {
    const isFree = ({ id }: NodeEntry) =>
      inUse.every(({ requester }) => requester.id !== id) && (resting || !this.#rests(id));
    const free = this.#sampleOf(policy).filter(isFree);
    const usual = policy === 'usual' ? free.filter(isUsual) : free;
    const requester = pick(this.options.rng, usual.length > 0 ? usual : free);
    return requester === undefined ? undefined : newExit(requester, policy);
  }

  #sampleOf(policy: Exit['policy']): NodeEntry[] {
    const sample =
      this.#samples.get(policy) ?? new ExitSample(this.options.rng, Math.max(EXIT_SAMPLE_SIZE, this.options.spread));
    this.#samples.set(policy, sample);
    return [...sample.of(this.#candidates(policy))];
  }

  /** All rest: the one of the sample that has rested longest, if that is longer than `exit` has. One that restarted is back. */
  #soonest({ policy, requester }: Exit, inUse: readonly Exit[]): Exit | undefined {
    const untilMs = ({ id }: NodeEntry) => this.#restsUntilMs.get(id) ?? Number.NEGATIVE_INFINITY;
    const resting = this.#sampleOf(policy).filter(({ id }) => inUse.every((one) => one.requester.id !== id));
    const soonest = resting.sort((a, b) => untilMs(a) - untilMs(b))[0];
    if (soonest === undefined || untilMs(soonest) >= untilMs(requester)) return undefined;
    return newExit(soonest, policy);
  }

  /** Those that let the port through; for any, those that let the usual ports through where they are enough. */
  #candidates(policy: Exit['policy']): readonly NodeEntry[] {
    const listed = this.options.requesters();
    if (policy !== 'usual') return listed.filter(({ exitPolicy }) => summaryAllows(exitPolicy, policy));
    const usual = listed.filter(isUsual);
    return usual.length >= this.options.spread ? usual : listed;
  }
}

const newExit = (requester: NodeEntry, policy: Exit['policy']): Exit => ({
  requester,
  policy,
  notBeforeMs: Number.NEGATIVE_INFINITY,
  overdueChecks: 0,
  replied: false,
});

const isUsual = ({ exitPolicy }: NodeEntry) => USUAL_PORTS.every((port) => summaryAllows(exitPolicy, port));
