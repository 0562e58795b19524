/**
 * `mixsocks plan`: how many nodes a number of users takes, of what size, and what they hide.
 * @module
 */
import { loadConfig } from '../../lib/config/config.ts';
import { DEFAULT_PARAMS, type TrafficClass } from '../../lib/core/params.ts';
import { loadCrypto } from '../../lib/crypto/index.ts';
import { measureMachine } from '../localnet/machine.ts';
import type { Environment, Flags } from '../role-config.ts';
import { PlanConfig } from './options.ts';
import { planFor } from './plan.ts';
import { planText } from './text.ts';

/** Measures this machine, and prints the plan for machines like it. */
export async function runPlan(flags: Flags, env: Environment): Promise<number> {
  const { users, class: className, mixingTarget, json } = loadConfig(PlanConfig, { flags, env });
  const traffic = DEFAULT_PARAMS.classes[className] as TrafficClass;
  const costs = measureMachine({ packetSize: DEFAULT_PARAMS.payloadBytes }, await loadCrypto('fastest'));
  const plan = planFor({ users, traffic, params: DEFAULT_PARAMS, costs, mixingTarget });
  process.stdout.write(json ? `${JSON.stringify({ ...plan, costs }, null, 2)}\n` : planText(plan, className, costs));
  return 0;
}
