/**
 * Whether an authority or a gateway is behind: it has not given the consensus in force, which was had from elsewhere. It may withhold
 * it, or somebody before it, or it was withheld from itself. Pure. What counts is what is held: when nobody has a newer one, nobody
 * is behind.
 * @module
 */
import type { IdentityHex } from '../../core/bytes.ts';
import { oneLine } from '../../core/errors.ts';
import { epochStartMs, keyGraceMs } from '../../core/params.ts';
import { type EpochNumber, laterMs, type UnixMs } from '../../core/units.ts';

/** A source that is behind. */
export interface LaggingSource {
  readonly kind: 'authority' | 'gateway';
  /** URL of an authority, name of a gateway. */
  readonly name: string;
  /** Of the newest consensus that it gave; null when it gave none. */
  readonly epoch: EpochNumber | null;
  /** How far that is behind the one in force; null when it gave none. */
  readonly epochsBehind: number | null;
  /** What it did instead, in one line. */
  readonly problem: string;
}

/** Others choose part of the text. */
const MAX_PROBLEM_LETTERS = 200;

/** Where consensuses come from: an authority, or a gateway over one link. */
export class ConsensusSource {
  #given: EpochNumber | undefined;
  #problem = 'it has handed on none over its link';

  constructor(
    readonly kind: LaggingSource['kind'],
    readonly id: string,
    readonly name: string,
    /** Since when it could have given one. */
    readonly sinceMs: UnixMs,
  ) {}

  /** Of the newest consensus that it gave. */
  get given(): EpochNumber | undefined {
    return this.#given;
  }

  get problem(): string {
    return this.#problem;
  }

  /** It gave this consensus, signed by the authorities, or confirmed that it has it. */
  gave(epoch: EpochNumber): void {
    if (this.#given === undefined || epoch > this.#given) this.#given = epoch;
  }

  /** It gave no consensus that could be used, or one of another epoch. */
  failed(problem: string, instead?: EpochNumber): void {
    this.#problem = oneLine(problem, MAX_PROBLEM_LETTERS);
    if (instead !== undefined) this.gave(instead);
  }
}

/** A gateway, as people know it; names are not unique. */
export interface GatewayName {
  readonly id: IdentityHex;
  readonly name: string;
}

export class SourceWatch {
  readonly #authorities = new Map<string, ConsensusSource>();
  /** Epochs that authorities were asked for when they were due, and did not give. */
  readonly #refused = new Map<ConsensusSource, EpochNumber>();
  readonly #gateways = new Set<ConsensusSource>();

  constructor(readonly epochMs: number) {}

  authorityGave(url: string, epoch: EpochNumber): void {
    this.#authority(url).gave(epoch);
  }

  /** Asked for `epoch`, it gave none, or `instead` another. */
  authorityFailed(url: string, epoch: EpochNumber, nowMs: UnixMs, problem: string, instead?: EpochNumber): void {
    const authority = this.#authority(url);
    authority.failed(problem, instead);
    if (nowMs >= this.#dueMs(epoch)) this.#refused.set(authority, epoch);
  }

  /** A link to a gateway is up. `before`: the same gateway over an earlier link. */
  gatewayUp({ id, name }: GatewayName, nowMs: UnixMs, before?: ConsensusSource): ConsensusSource {
    const gateway = new ConsensusSource('gateway', id, name, nowMs);
    if (before?.id === id && before.given !== undefined) gateway.gave(before.given);
    this.#gateways.add(gateway);
    return gateway;
  }

  gatewayDown(gateway: ConsensusSource): void {
    this.#gateways.delete(gateway);
  }

  /** The sources behind the consensus in force; from Δ after its turn on they should have given it. */
  lagging(inForce: EpochNumber | undefined, nowMs: UnixMs): LaggingSource[] {
    if (inForce === undefined) return [];
    const sources = [...this.#authorities.values(), ...this.#gateways];
    return sources
      .filter((source) => (source.given ?? -1) < this.#owed(source, inForce, nowMs))
      .map(({ kind, name, given, problem }) => ({
        kind,
        name,
        epoch: given ?? null,
        epochsBehind: given === undefined ? null : inForce - given,
        problem,
      }));
  }

  /** The epoch whose consensus this source should have given by now; -1 when it owes none. */
  #owed(source: ConsensusSource, inForce: EpochNumber, nowMs: UnixMs): number {
    if (source.kind === 'authority') {
      const refused = this.#refused.get(source) ?? -1;
      return refused <= inForce ? refused : -1;
    }
    if (nowMs < laterMs(source.sinceMs, keyGraceMs(this.epochMs))) return -1;
    return nowMs < this.#dueMs(inForce) ? inForce - 1 : inForce;
  }

  /** Whoever has it must have given it by then. */
  #dueMs(epoch: EpochNumber): UnixMs {
    return laterMs(epochStartMs(epoch, this.epochMs), keyGraceMs(this.epochMs));
  }

  #authority(url: string): ConsensusSource {
    const authority = this.#authorities.get(url) ?? new ConsensusSource('authority', url, url, 0 as UnixMs);
    this.#authorities.set(url, authority);
    return authority;
  }
}
