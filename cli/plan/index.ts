/**
 * `mixsocks plan`: how many nodes a number of users takes, of what size, and what they hide.
 * @module
 */
import { loadConfig } from '../../lib/config/config.ts';
import { DEFAULT_PARAMS, type TrafficClass } from '../../lib/core/params.ts';
import { loadCrypto } from '../../lib/crypto/index.ts';
import type { MachineCosts } from '../localnet/capacity.ts';
import { measureMachine } from '../localnet/machine.ts';
import type { Environment, Flags } from '../role-config.ts';
import { PlanConfig } from './options.ts';
import { type Plan, planFor, type RolePlan } from './plan.ts';

/** Measures this machine, and prints the plan for machines like it. */
export async function runPlan(flags: Flags, env: Environment): Promise<number> {
  const { users, class: className, mixingTarget, json } = loadConfig(PlanConfig, { flags, env });
  const traffic = DEFAULT_PARAMS.classes[className] as TrafficClass;
  const costs = measureMachine({ packetSize: DEFAULT_PARAMS.payloadBytes }, await loadCrypto('fastest'));
  const plan = planFor({ users, traffic, params: DEFAULT_PARAMS, costs, mixingTarget });
  process.stdout.write(json ? `${JSON.stringify({ ...plan, costs }, null, 2)}\n` : planText(plan, className, costs));
  return 0;
}

/** A plan as a page of text. `className`: the traffic class of the users. `costs`: of the machine that the plan is for. */
export function planText(plan: Plan, className: string, costs: MachineCosts): string {
  const { anonymity, mixesPerLayer, meanDelayMs, targetReached, user } = plan;
  const perUser = `${megabits(user.outBitsPerSecond)} up, ${megabits(user.inBitsPerSecond)} down, ${volume(user.monthlyBytes)} a month`;
  const target = targetReached === false ? ' (the mixing target is not reached at any delay up to this)' : '';
  const lines = [
    `${count(plan.users)} users of class ${className}: ${count(plan.nodes)} nodes, and an authority or more`,
    '',
    row('', 'number', 'packets/s', 'Mbit/s in', 'out', 'a month', 'processors', 'memory'),
    roleRow(`mixes, 3 × ${count(mixesPerLayer)}`, plan.mixes),
    roleRow('gateways', plan.gateways),
    roleRow('exits', plan.exits),
    '  each; links only: what exits exchange with sites comes on top',
    `  each user: ${perUser}, ${user.processors.toFixed(2)} of a processor`,
    '',
    `mean delay ${meanDelayMs.toFixed(0)} ms at each mix${target}`,
    `  pool of a mix          ${count(anonymity.poolPackets)} packets, ${anonymity.singleMixBits.toFixed(1)} bits`,
    `  end to end             ${anonymity.endToEndBits.toFixed(1)} bits; to exits ${anonymity.toRequesterBits.toFixed(1)} bits, one of ${count(anonymity.crowdPackets)} packets`,
    `  sender of a packet     ${anonymity.senderBits.toFixed(1)} of ${Math.log2(plan.users).toFixed(1)} bits`,
    `  ε between two senders  ${anonymity.epsilon === null ? 'none: one user is not hidden' : anonymity.epsilon.toFixed(3)}`,
    '',
    `consensus ${volume(plan.consensusBytes)}, ${count(plan.linksOfMix)} links at a mix of layer 1, ${count(plan.usersPerGateway)} users a gateway`,
    ...plan.beyond.map((line) => `BEYOND A BOUND  ${line}`),
    ...(plan.beyond.length > 0 ? ['docs/PLANNING.md says what carries such a network'] : []),
    '',
    `for machines like this one: unwrapping a packet ${costs.unwrapMs.toFixed(3)} ms, making one ${costs.createMs.toFixed(3)} ms, X25519 ${costs.scalarMs.toFixed(3)} ms`,
  ];
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

function roleRow(name: string, role: RolePlan): string {
  return row(
    name,
    count(role.count),
    count(role.packetsPerSecond),
    (role.inBitsPerSecond / 1e6).toFixed(1),
    (role.outBitsPerSecond / 1e6).toFixed(1),
    volume(role.monthlyBytes),
    role.processors.toFixed(2),
    volume(role.memoryBytes),
  );
}

const row = (name: string, ...cells: readonly string[]): string =>
  name.padEnd(22) + cells.map((cell) => cell.padStart(11)).join('');

const count = (value: number): string =>
  value < 10 ? String(Number(value.toFixed(1))) : Math.round(value).toLocaleString('en-US');
const megabits = (bits: number): string => `${(bits / 1e6).toFixed(1)} Mbit/s`;

function volume(bytes: number): string {
  const units = ['kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes / 1000;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ${units[unit]}`;
}
