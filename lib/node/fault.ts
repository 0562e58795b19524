/**
 * Fault injection, for experiments: a node that loses, delays, repeats or damages what it sends. It looks at nothing in a
 * packet, so that all kinds of packets fare alike.
 * @module
 */
import type { Counter } from 'prom-client';
import * as z from 'zod';
import { nearestName } from '../config/nearest-name.ts';
import { MixError } from '../core/errors.ts';
import type { Rng } from '../core/rng.ts';
import type { Components } from '../runtime/components.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** What befalls a packet that leaves; probabilities are independent of each other. */
export interface FaultPlan {
  /** Probability that it is lost. */
  readonly drop: number;
  /** By how much it leaves later. */
  readonly delayMs: number;
  /** Probability that it leaves twice. */
  readonly duplicate: number;
  /** Probability that one of its bits is flipped, for each copy. */
  readonly corrupt: number;
}

export const NO_FAULT: FaultPlan = { drop: 0, delayMs: 0, duplicate: 0, corrupt: 0 };
export const MAX_FAULT_DELAY_MS = 60_000;

const KEYS = new Map<string, keyof FaultPlan>([
  ['drop', 'drop'],
  ['delay-ms', 'delayMs'],
  ['duplicate', 'duplicate'],
  ['corrupt', 'corrupt'],
]);

/** Reads `drop=F,delay-ms=N,duplicate=F,corrupt=F`, any part of it. Throws MixError CONFIG. */
export function parseFault(text: string): FaultPlan {
  const plan = { ...NO_FAULT };
  for (const part of text.split(',')) {
    const [, name = part, amount = ''] = /^\s*([^=]*?)\s*=\s*(.*?)\s*$/.exec(part) ?? [];
    const key = KEYS.get(name);
    if (key === undefined) throw new MixError('CONFIG', `unknown fault '${name}'${hint(name)}`);
    plan[key] = parseAmount(name, key, amount);
  }
  return plan;
}

function parseAmount(name: string, key: keyof FaultPlan, text: string): number {
  const most = key === 'delayMs' ? MAX_FAULT_DELAY_MS : 1;
  const amount = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (amount <= most) return amount;
  throw new MixError('CONFIG', `${name} is a number from 0 to ${most}, not '${text}'`);
}

function hint(name: string): string {
  const nearest = nearestName(name, KEYS.keys());
  return nearest === undefined ? `: there are ${[...KEYS.keys()].join(', ')}` : `; did you mean ${nearest}?`;
}

/** The plan as `parseFault` reads it. */
export function faultText(plan: FaultPlan): string {
  const parts = [...KEYS].filter(([, key]) => plan[key] > 0).map(([name, key]) => `${name}=${plan[key]}`);
  return parts.length === 0 ? 'drop=0' : parts.join(',');
}

/** A config key that holds a plan as text. */
export const faultOption = z
  .string()
  .superRefine((text, context) => {
    try {
      parseFault(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
    }
  })
  .optional()
  .describe(
    'EXPERIMENTS ONLY: inject faults into packets that leave, drop=F,delay-ms=N,duplicate=F,corrupt=F (F: a probability)',
  );

export class FaultInjector {
  readonly #injected: Counter<'kind'>;

  constructor(
    private readonly plan: FaultPlan,
    private readonly rng: Rng,
    metrics: Metrics,
  ) {
    this.#injected = metrics.counter(
      'faults_injected_total',
      'Faults injected on purpose into packets that leave, by fault',
      ['kind'],
    );
    for (const kind of ['drop', 'delay', 'duplicate', 'corrupt']) this.#injected.inc({ kind }, 0);
  }

  /** How much later everything leaves. */
  get delayMs(): number {
    return this.plan.delayMs;
  }

  /** What leaves instead of `packet`: nothing, it or two of it, each perhaps damaged. Takes ownership of it. */
  inject(packet: Uint8Array): readonly Uint8Array[] {
    const { drop, delayMs, duplicate, corrupt } = this.plan;
    if (this.#happens('drop', drop)) return [];
    const copies = this.#happens('duplicate', duplicate) ? [packet, new Uint8Array(packet)] : [packet];
    for (const copy of copies) {
      if (this.#happens('corrupt', corrupt)) this.#flipBit(copy);
      if (delayMs > 0) this.#injected.inc({ kind: 'delay' });
    }
    return copies;
  }

  #happens(kind: string, probability: number): boolean {
    if (probability === 0 || this.rng.uniform() >= probability) return false;
    this.#injected.inc({ kind });
    return true;
  }

  #flipBit(packet: Uint8Array): void {
    const at = this.rng.int(packet.byteLength);
    packet[at] = (packet[at] ?? 0) ^ (1 << this.rng.int(8));
  }
}

/** The injector of a node's option `fault`, with a warning in the log; none without the option. */
export function faultsOf(
  fault: string | undefined,
  { log, metrics, rng }: Pick<Components, 'log' | 'metrics' | 'rng'>,
): { faults?: FaultInjector } {
  if (fault === undefined) return {};
  log.warn({ fault }, 'FAULTS ON PURPOSE: this node injects faults into what it sends, for experiments only');
  return { faults: new FaultInjector(parseFault(fault), rng, metrics) };
}
