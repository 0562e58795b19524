/**
 * What is checked: the folder of a role, and the configuration that the role would run with.
 * @module
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DirectoryConfig } from '../../directory/config.ts';
import type { GatewayConfig } from '../../gateway/config.ts';
import { readJsonObject } from '../../lib/config/config.ts';
import { MixError } from '../../lib/core/errors.ts';
import { hasIdentity, type NodeIdentity } from '../../lib/link/index.ts';
import type { Components } from '../../lib/runtime/components.ts';
import type { RequesterConfig } from '../../network-requester/config.ts';
import type { ProxyConfig } from '../../proxy/config.ts';
import { CONFIG_FILE } from '../role-config.ts';
import { ROLES, type Role, type RoleName } from '../roles.ts';
import { type Finding, ok } from './finding.ts';

type Keys<Config, Names extends keyof Config> = Partial<Pick<Config, Names>>;
type NodeKeys = 'networkFile' | 'advertise' | 'metricsListen' | 'joinToken' | 'replayMemoryMiB' | 'memoryBudgetMiB';

/** The keys that checks look at; each role has some of them. */
export interface CheckedConfig
  extends Keys<GatewayConfig, NodeKeys | 'clients' | 'maxClients' | 'maxRequesters'>,
    Keys<ProxyConfig, 'statusListen' | 'invitation' | 'maxConnections'>,
    Keys<RequesterConfig, 'exitPolicyFile' | 'maxStreams'> {
  readonly name: string;
  /** Of a mix. */
  readonly layer?: 1 | 2 | 3;
  /** Several of a mix or gateway. */
  readonly listen?: string | readonly string[];
}

export interface Subject {
  readonly role: RoleName;
  readonly dir: string;
  readonly config: CheckedConfig;
  /** Undefined for a proxy, and where the key file cannot be used. */
  readonly identity: NodeIdentity | undefined;
  /** What the process that holds the folder says of itself; undefined when none does. */
  readonly holder: string | undefined;
  readonly components: Components;
}

/**
 * The role of `dir`: what its config file or the process that holds it says; of a folder of an earlier version, what only one role has
 * in it. Throws CONFIG when that is not enough.
 */
export async function roleOfFolder(dir: string, asked: string | undefined, holder: string | undefined): Promise<Role> {
  const config = tolerantly(() => readJsonObject(join(dir, CONFIG_FILE)));
  const named = 'role' in config ? String(config.role) : undefined;
  const name = asked ?? named ?? /^\w+/.exec(holder ?? '')?.[0] ?? (await guessed(dir, config));
  const role = ROLES.find((one) => one.name === name);
  if (role !== undefined) return role;
  const names = ROLES.map((one) => one.name).join(', ');
  if (name === undefined) throw new MixError('CONFIG', `${dir} does not say its role: give --role, one of ${names}`);
  throw new MixError('CONFIG', `'${name}' is no role of a folder: expected ${names}`);
}

async function guessed(dir: string, config: object): Promise<string | undefined> {
  if ('layer' in config) return 'mixnode';
  if (existsSync(join(dir, 'tokens'))) return 'directory';
  if (existsSync(join(dir, CONFIG_FILE)) && !(await hasIdentity(dir))) return 'proxy';
  return undefined;
}

/** A file that cannot be read is found by the check of the configuration. */
function tolerantly(read: () => object): object {
  try {
    return read();
  } catch {
    return {};
  }
}

/** What a schema cannot see: settings that do not fit together, and files that they name. Throws CONFIG, as the role would at its start. */
export async function checkSettings({ role, config, dir }: Subject): Promise<Finding[]> {
  switch (role) {
    case 'mixnode':
    case 'gateway': {
      const { advertisedAddresses } = await import('../../lib/node/advertise.ts');
      advertisedAddresses({ listen: [config.listen ?? []].flat(), advertise: config.advertise }, []);
      break;
    }
    case 'directory': {
      const { joinRules } = await import('../../directory/members/membership.ts');
      const { publicUrl } = await import('../../directory/network.ts');
      joinRules(config as unknown as DirectoryConfig);
      publicUrl(config as unknown as DirectoryConfig, 1);
      break;
    }
    case 'requester': {
      const { loadRules } = await import('../../network-requester/policy/policy-file.ts');
      if (config.exitPolicyFile !== undefined) loadRules(config.exitPolicyFile);
      break;
    }
    case 'proxy': {
      const { listenAddresses } = await import('../../proxy/index.ts');
      listenAddresses(config as unknown as ProxyConfig);
      break;
    }
  }
  return [ok('config', `the configuration of the ${role} in ${dir} is in order`)];
}
