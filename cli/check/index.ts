/**
 * `mixsocks check DIR`: looks at the folder of a role, at its configuration, its network and its machine, and says what to do. It changes
 * nothing, and may be used while the role runs.
 * @module
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { expandHome } from '../../lib/config/home-folder.ts';
import { type Clock, systemClock } from '../../lib/core/clock.ts';
import { MixError, systemReason } from '../../lib/core/errors.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { loadIdentity, type NodeIdentity } from '../../lib/link/index.ts';
import type { Components } from '../../lib/runtime/components.ts';
import { folderHolder } from '../../lib/runtime/folder-lock.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { type Environment, loadRoleConfig } from '../role-config.ts';
import type { Role, RoleName } from '../roles.ts';
import { checkAccess } from './access.ts';
import { checkAdvertised, checkNames, checkNeighbours } from './addresses.ts';
import { type CheckName, type Finding, findingsText, foundBy, ok } from './finding.ts';
import { checkFolder, checkTokens } from './folder.ts';
import { checkDisk, checkLimits } from './limits.ts';
import { checkListing, sphinxKeysIn } from './listing.ts';
import { type Machine, thisMachine } from './machine.ts';
import { askAuthorities, checkAuthorities, checkClock, checkThreshold, networkFault, networkOf } from './network.ts';
import { checkHealth, checkPorts, holderText } from './ports.ts';
import { type CheckedConfig, checkSettings, roleOfFolder, type Subject } from './subject.ts';

export interface CheckOptions {
  readonly role?: string;
  readonly json?: boolean;
}

export interface CheckResult {
  readonly dir: string;
  readonly role: RoleName;
  /** The process that holds the folder; null where none does. */
  readonly running: string | null;
  readonly findings: readonly Finding[];
}

/** Prints what is found; the exit code is 1 where there is a problem. Throws CONFIG when the folder or its role cannot be found. */
export async function runCheck(
  folder: string,
  { role, json = false }: CheckOptions,
  env: Environment,
): Promise<number> {
  const result = await checkRole(resolve(expandHome(folder, 'the folder')), role, env);
  process.stdout.write(json ? `${JSON.stringify(result, null, 2)}\n` : resultText(result));
  return result.findings.some(({ level }) => level === 'problem') ? 1 : 0;
}

function resultText({ dir, role, running, findings }: CheckResult): string {
  const state = running === null ? 'it does not run' : `held by ${holderText(running)}`;
  const problems = findings.filter(({ level }) => level === 'problem').length;
  const sum = problems === 0 ? 'no problem' : problems === 1 ? 'one problem' : `${problems} problems`;
  return `${role} in ${dir}, ${state}\n${findingsText(findings)}${sum}\n`;
}

/** Checks the folder `dir`. `asked`: its role, where it does not say that itself. */
export async function checkRole(
  dir: string,
  asked: string | undefined,
  env: Environment,
  { clock = systemClock, machine = thisMachine }: { clock?: Clock; machine?: Machine } = {},
): Promise<CheckResult> {
  requireFolder(dir);
  const holder = await folderHolder(dir);
  const role = await roleOfFolder(dir, asked, holder);
  const findings = await foundBy('folder', () => checkFolder(dir));
  const identity = role.hasIdentity ? await loaded('keys', findings, () => identityIn(dir)) : undefined;
  findings.push(...(await foundBy('tokens', () => checkTokens(role.name, dir))));
  const config = await loaded('config', findings, () => configIn(dir, role, env));
  if (config !== undefined) {
    const subject = { role: role.name, dir, config, identity, holder, components: quietComponents(clock) };
    findings.push(...(await checkSubject(subject, machine)));
  }
  return { dir, role: role.name, running: holder ?? null, findings: findings.filter(isFirstOfItsKind) };
}

/** Two checks may find the same fault. */
function isFirstOfItsKind(finding: Finding, index: number, all: readonly Finding[]): boolean {
  return all.findIndex(({ line }) => line === finding.line) === index;
}

function requireFolder(dir: string): void {
  try {
    if (statSync(dir).isDirectory()) return;
  } catch (error) {
    throw new MixError('CONFIG', `cannot use the folder ${dir}: ${systemReason(error)}`, error);
  }
  throw new MixError('CONFIG', `${dir} is not a folder`);
}

/** What `load` gives, with what is found about it; an error that it throws is a finding. */
async function loaded<T>(check: CheckName, findings: Finding[], load: () => Promise<[T, ...Finding[]]>) {
  let value: T | undefined;
  const run = async () => {
    const [given, ...found] = await load();
    value = given;
    return found;
  };
  findings.push(...(await foundBy(check, run)));
  return value;
}

async function identityIn(dir: string): Promise<[NodeIdentity, Finding]> {
  const identity = await loadIdentity(dir);
  sphinxKeysIn(dir);
  return [identity, ok('keys', `identity ${identity.id}`)];
}

async function configIn(dir: string, role: Role, env: Environment): Promise<[CheckedConfig]> {
  const { schema } = await role.load();
  return [loadRoleConfig(role.name, schema, { dir }, env) as unknown as CheckedConfig];
}

/** All that needs a configuration. */
async function checkSubject(subject: Subject, machine: Machine): Promise<Finding[]> {
  return [
    ...(await foundBy('config', () => checkSettings(subject))),
    ...(await checkNetwork(subject, machine)),
    ...(await foundBy('addresses', () => checkAdvertised(subject, machine))),
    ...(await foundBy('ports', () => checkPorts(subject, machine))),
    ...(await checkHealth(subject, machine)),
    ...checkDisk(subject, machine),
    ...checkLimits(subject, machine),
  ];
}

async function checkNetwork(subject: Subject, machine: Machine): Promise<Finding[]> {
  try {
    const network = await networkOf(subject);
    if (network === undefined) return [ok('network', 'network.json is made at the first start')];
    const names = await checkNames(network);
    const answers = await askAuthorities(network, subject);
    const nowMs = subject.components.clock.wallMs();
    const topology = answers.store.inForce(nowMs);
    return [
      ...checkThreshold(network),
      ...names,
      ...checkAuthorities(network, answers, subject),
      ...checkClock(answers, nowMs),
      ...(topology === undefined || subject.role === 'directory'
        ? []
        : await foundBy('listing', () => checkListing(subject, topology))),
      ...(topology === undefined ? [] : await foundBy('access', () => checkAccess(subject, topology))),
      ...(topology === undefined ? [] : await checkNeighbours(subject, topology, machine)),
    ];
  } catch (error) {
    return [networkFault(error)];
  }
}

function quietComponents(clock: Clock): Components {
  return { clock, rng: systemRng, crypto: createCrypto('fastest'), log: silentLog, metrics: new Metrics() };
}
