/**
 * `mixsocks init ROLE`: makes the folder of a role and says what to do next. Never touches a folder that holds one.
 * @module
 */
import { constants, existsSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { toHex } from '../lib/bytes.ts';
import { type ConfigSchema, loadConfig, withAbsolutePaths } from '../lib/config.ts';
import { loadNetworkFile } from '../lib/directory/index.ts';
import { MixError, systemCode } from '../lib/errors.ts';
import { createIdentity, hasIdentity, saveIdentity } from '../lib/link/index.ts';
import { systemRng } from '../lib/rng.ts';
import { CONFIG_FILE, type Environment, fallbacks, folderOf, NETWORK_FILE } from './role-config.ts';
import type { Role } from './roles.ts';

/** Makes the folder `--dir`, prints the identity and the next steps. Throws CONFIG if there is a role in it already. */
export async function initRole(role: Role, flags: Readonly<Record<string, unknown>>, env: Environment): Promise<void> {
  const dir = folderOf(flags, env, role.name);
  const { schema } = await role.load();
  const config = withJoinToken(role, checkedConfig(schema, flags, env, dir));
  if (existsSync(join(dir, CONFIG_FILE)) || (await hasIdentity(dir))) {
    throw new MixError('CONFIG', `${dir} holds a role already; it is left as it is`);
  }
  const given = typeof config.networkFile === 'string' ? resolve(config.networkFile) : undefined;
  const network = join(dir, NETWORK_FILE);
  const copy = given !== undefined && given !== network;
  if (copy) await loadNetworkFile(given);
  await mkdir(dir, { recursive: true, mode: 0o700 }).catch(asConfigError(`cannot make ${dir}`));
  if (copy) await copyFile(given, network, constants.COPYFILE_EXCL).catch(asConfigError(`cannot write ${network}`));
  const id = role.hasIdentity ? await makeIdentity(dir) : undefined;
  await writeConfig(dir, schema, { ...withAbsolutePaths(config), networkFile: NETWORK_FILE });
  process.stdout.write(
    nextSteps({ role, dir, id, hasNetwork: existsSync(network), hasToken: config.joinToken !== undefined }),
  );
}

/** The config as the role will load it, so that what is wrong shows now. */
function checkedConfig(
  schema: ConfigSchema,
  flags: Readonly<Record<string, unknown>>,
  env: Environment,
  dir: string,
): Record<string, unknown> {
  return loadConfig(schema, { flags: { ...flags, dir }, env, fallbacks: fallbacks(dir) });
}

/** An authority that nobody may join is none: without another rule it gets a token of its own. */
function withJoinToken(role: Role, config: Record<string, unknown>): Record<string, unknown> {
  const { joinToken, allow, openToAll } = config;
  const open = joinToken !== undefined || openToAll === true || (Array.isArray(allow) && allow.length > 0);
  return role.name !== 'directory' || open ? config : { ...config, joinToken: toHex(systemRng.bytes(32)) };
}

async function makeIdentity(dir: string): Promise<string> {
  const identity = await createIdentity(systemRng);
  await saveIdentity(dir, identity);
  return identity.id;
}

/** Writes what differs from the schema's defaults: those may get better with a new version. It may hold a token. */
async function writeConfig(dir: string, schema: ConfigSchema, config: Record<string, unknown>): Promise<void> {
  const { dir: _dir, ...rest } = withoutDefaults(schema, config);
  const path = join(dir, CONFIG_FILE);
  await writeFile(path, `${JSON.stringify(rest, null, 2)}\n`, { flag: 'wx', mode: 0o600 }).catch(
    asConfigError(`cannot write ${path}`),
  );
}

/** What the file system refuses is a matter of the folder that was given, not a defect. */
function asConfigError(what: string): (error: unknown) => never {
  return (error) => {
    const code = systemCode(error);
    const why = code === 'EEXIST' ? 'it is there already, and left as it is' : (code ?? error);
    throw new MixError('CONFIG', `${what}: ${why}`, error);
  };
}

function withoutDefaults(schema: ConfigSchema, config: Record<string, unknown>): Record<string, unknown> {
  const isDefault = ([key, value]: [string, unknown]) => {
    const parsed = schema.shape[key] as { safeParse(value: unknown): { success: boolean; data?: unknown } };
    const unset = parsed.safeParse(undefined);
    return unset.success && JSON.stringify(unset.data) === JSON.stringify(value);
  };
  return Object.fromEntries(Object.entries(config).filter((entry) => !isDefault(entry)));
}

interface Made {
  readonly role: Role;
  readonly dir: string;
  readonly id: string | undefined;
  readonly hasNetwork: boolean;
  readonly hasToken: boolean;
}

function nextSteps({ role, dir, id, hasNetwork, hasToken }: Made): string {
  const steps: string[] = [];
  if (role.name === 'directory') {
    if (hasToken) steps.push(`give the join token to those who run nodes: "joinToken" in ${join(dir, CONFIG_FILE)}`);
    if (!hasNetwork) steps.push(`start it; it makes ${join(dir, NETWORK_FILE)}, which everyone who joins needs`);
  } else {
    if (!hasNetwork) steps.push(`copy the network's network.json to ${join(dir, NETWORK_FILE)}`);
    if (role.hasIdentity && !hasToken) {
      steps.push(
        'set "joinToken" in config.json to that of the network, or have the identity allowed by its authorities',
      );
    }
  }
  steps.push(`mixsocks ${role.name} --dir ${dir}`);
  const head = id === undefined ? [`made ${dir}`] : [`made ${dir}`, `identity ${id}`];
  return `${[...head, 'Next:', ...steps.map((step) => `  ${step}`)].join('\n')}\n`;
}
