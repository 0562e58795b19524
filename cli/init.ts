/**
 * `mixsocks init ROLE`, and `mixsocks ROLE --init`: makes the folder of a role. Never touches a folder that holds one.
 * @module
 */

import { constants, existsSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type ConfigSchema, loadConfig, withAbsolutePaths } from '../lib/config/config.ts';
import { MixError, systemCode, systemReason } from '../lib/core/errors.ts';
import { makeFolder } from '../lib/core/folders.ts';
import { systemRng } from '../lib/core/rng.ts';
import { loadNetworkFile } from '../lib/directory/index.ts';
import { createIdentity, hasIdentity, saveIdentity } from '../lib/link/index.ts';
import { CONFIG_FILE, type Environment, type Flags, fallbacks, folderOf, NETWORK_FILE } from './role-config.ts';
import type { Role } from './roles.ts';

/** Nodes that the token is good for which an authority gets with its folder. */
const FIRST_TOKEN_USES = 16;

/** Makes the folder `--dir`, prints the identity and the next steps. Throws CONFIG if there is a role in it already. */
export async function initRole(role: Role, flags: Flags, env: Environment): Promise<void> {
  const made = await makeRole(role, flags, env);
  process.stdout.write(lines([...madeLines(made), 'Next:', ...nextSteps(made).map((step) => `  ${step}`)]));
}

/** Makes the folder where it holds no role yet, and prints its identity and the join token; else does nothing. */
export async function initMissingRole(role: Role, flags: Flags, env: Environment): Promise<void> {
  if (await holdsRole(folderOf(flags, env, role.name))) return;
  process.stdout.write(lines(madeLines(await makeRole(role, flags, env))));
}

async function holdsRole(dir: string): Promise<boolean> {
  return existsSync(join(dir, CONFIG_FILE)) || (await hasIdentity(dir));
}

async function makeRole(role: Role, flags: Flags, env: Environment): Promise<Made> {
  const dir = folderOf(flags, env, role.name);
  const { schema } = await role.load();
  const config = checkedConfig(schema, flags, env, dir);
  if (await holdsRole(dir)) throw new MixError('CONFIG', `${dir} holds a role already; it is left as it is`);
  const given = typeof config.networkFile === 'string' ? resolve(config.networkFile) : undefined;
  const network = join(dir, NETWORK_FILE);
  const copy = given !== undefined && given !== network;
  if (copy) await loadNetworkFile(given);
  try {
    makeFolder(dir);
  } catch (error) {
    asConfigError(`cannot make ${dir}`)(error);
  }
  if (copy) await copyFile(given, network, constants.COPYFILE_EXCL).catch(asConfigError(`cannot write ${network}`));
  const id = role.hasIdentity ? await makeIdentity(dir) : undefined;
  await writeConfig(role, dir, schema, { ...withAbsolutePaths(config), networkFile: NETWORK_FILE });
  const isAuthority = role.name === 'directory' && id !== undefined;
  const facts = isAuthority ? await authorityFacts(dir, id, config) : { line: undefined, token: [] };
  return { role, dir, id, ...facts, hasNetwork: existsSync(network), hasToken: config.joinToken !== undefined };
}

/** The config as the role will load it, so that what is wrong shows now. */
function checkedConfig(schema: ConfigSchema, flags: Flags, env: Environment, dir: string): Record<string, unknown> {
  return loadConfig(schema, { flags: { ...flags, dir }, env, fallbacks: fallbacks(dir) });
}

/** Of an authority: how others that make a network with it name it, and two lines about its first join token. */
async function authorityFacts(
  dir: string,
  id: string,
  config: Record<string, unknown>,
): Promise<Pick<Made, 'line' | 'token'>> {
  const { authorityLine } = await import('./directory/network.ts');
  const { DirectoryConfig } = await import('../directory/config.ts');
  const line = authorityLine(id, DirectoryConfig.parse(config));
  const { allow, openToAll } = config;
  // One that nobody may join is none: without another rule it gets a token for a first network.
  if (openToAll === true || (Array.isArray(allow) && allow.length > 0)) return { line, token: [] };
  const { createToken, termsLine } = await import('./directory/tokens.ts');
  const { NODE_ROLES } = await import('../directory/members/member-files.ts');
  const { DEFAULT_EXPIRY } = await import('./tokens.ts');
  const made = await createToken(dir, { uses: FIRST_TOKEN_USES, roles: [...NODE_ROLES], expires: DEFAULT_EXPIRY });
  return { line, token: [`join token ${made.token}`, `  for ${termsLine(made.terms)}; it is shown this once`] };
}

async function makeIdentity(dir: string): Promise<string> {
  const identity = await createIdentity(systemRng);
  await saveIdentity(dir, identity);
  return identity.id;
}

/** Writes what differs from the schema's defaults: those may get better with a new version. It may hold a token. */
async function writeConfig(
  { name: role }: Role,
  dir: string,
  schema: ConfigSchema,
  config: Record<string, unknown>,
): Promise<void> {
  const { dir: _dir, ...rest } = withoutDefaults(schema, config);
  const path = join(dir, CONFIG_FILE);
  await writeFile(path, `${JSON.stringify({ role, ...rest }, null, 2)}\n`, { flag: 'wx', mode: 0o600 }).catch(
    asConfigError(`cannot write ${path}`),
  );
}

/** What the file system refuses is a matter of the folder that was given, not a defect. */
function asConfigError(what: string): (error: unknown) => never {
  return (error) => {
    const code = systemCode(error);
    const why = code === 'EEXIST' ? 'it is there already, and left as it is' : systemReason(error);
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
  /** Of an authority whose URL is known: ID@URL. */
  readonly line: string | undefined;
  readonly hasNetwork: boolean;
  /** Lines about the first join token of an authority. */
  readonly token: readonly string[];
  /** Whether a node has one. */
  readonly hasToken: boolean;
}

function madeLines({ dir, id, line, token }: Made): string[] {
  const named = line === undefined ? [] : [`authority ${line}`];
  return [`made ${dir}`, ...(id === undefined ? [] : [`identity ${id}`]), ...named, ...token];
}

function nextSteps({ role, dir, line, token, hasNetwork, hasToken }: Made): string[] {
  const steps: string[] = [];
  if (role.name === 'directory') {
    if (token.length > 0) steps.push('give the join token to those who run nodes, for --join-token of mixsocks init');
    steps.push(`mixsocks directory token create --dir ${dir} makes others, token --help says more`);
    if (!hasNetwork) steps.push(`start it; it makes ${join(dir, NETWORK_FILE)}, which everyone who joins needs`);
    if (!hasNetwork && line !== undefined) {
      steps.push(
        `or, with others: mixsocks directory network --dir ${dir} ${line} ID@URL …, the same at each, then start it`,
      );
    }
  } else {
    if (!hasNetwork) steps.push(`copy the network's network.json to ${join(dir, NETWORK_FILE)}`);
    if (role.hasIdentity && !hasToken) {
      steps.push(
        'set "joinToken" in config.json to one from who runs the authority, or have the identity allowed there',
      );
    }
  }
  steps.push(`mixsocks ${role.name} --dir ${dir}`);
  return steps;
}

const lines = (texts: readonly string[]): string => texts.map((text) => `${text}\n`).join('');
