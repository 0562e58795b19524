/**
 * Which nodes of a local network harm packets, and how: `--fault NAME:drop=F,…`, for experiments.
 * @module
 */

import { nearestName } from '../../lib/config/nearest-name.ts';
import { MixError } from '../../lib/core/errors.ts';
import { faultText, parseFault } from '../../lib/node/fault.ts';
import type { NodeSlot } from './plan.ts';

/** Only these forward packets; other roles take no faults. */
const ROLES: readonly string[] = ['mixnode', 'gateway'];
const GROUPS: Readonly<Record<string, string>> = { mixes: 'mix-*', gateways: 'gateway-*' };

/** The fault of each node that has one, as its config says it; of two for one node the later counts. Throws CONFIG. */
export function faultsOf(given: readonly string[], slots: readonly NodeSlot[]): ReadonlyMap<string, string> {
  const faults = new Map<string, string>();
  for (const text of rejoined(given)) {
    const [, name = '', plan] = /^([^:]*):(.*)$/s.exec(text) ?? [];
    if (plan === undefined) throw new MixError('CONFIG', `--fault: '${text}' is not NAME:drop=F,…`);
    const fault = faultText(readable(text, plan));
    for (const node of nodesCalled(name.trim(), slots)) faults.set(node, fault);
  }
  return faults;
}

/** In the environment, faults are one list that commas separate, like the parts of a fault: a name begins a new one. */
function rejoined(given: readonly string[]): string[] {
  const whole: string[] = [];
  for (const part of given) {
    const last = whole.at(-1);
    if (last === undefined || part.includes(':')) whole.push(part);
    else whole[whole.length - 1] = `${last},${part}`;
  }
  return whole;
}

function readable(text: string, plan: string) {
  try {
    return parseFault(plan);
  } catch (error) {
    throw new MixError('CONFIG', `--fault ${text}: ${error instanceof Error ? error.message : error}`, error);
  }
}

/** `name` may have stars, or be the name of a group. */
function nodesCalled(name: string, slots: readonly NodeSlot[]): string[] {
  const pattern = (GROUPS[name] ?? name).replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
  const called = slots.filter((slot) => new RegExp(`^${pattern}$`).test(slot.name));
  const usable = called.filter(({ role }) => ROLES.includes(role)).map((slot) => slot.name);
  if (usable.length > 0) return usable;
  if (called.length > 0) throw new MixError('CONFIG', `--fault: only mixes and gateways take faults, not ${name}`);
  const known = [...slots.filter(({ role }) => ROLES.includes(role)).map((slot) => slot.name), ...Object.keys(GROUPS)];
  const nearest = nearestName(name, known);
  throw new MixError(
    'CONFIG',
    `--fault: no node is called '${name}'${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
  );
}
