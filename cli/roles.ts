/**
 * The roles as the command line knows them. What a role may be configured with is loaded only when its command is used, and its code
 * when it starts.
 * @module
 */
import type { z } from 'zod';
import type { ConfigSchema } from '../lib/config/config.ts';
import type { Components, Running } from '../lib/runtime/components.ts';
import type { Health } from '../lib/telemetry/health.ts';

export const ROLE_NAMES = ['proxy', 'mixnode', 'gateway', 'requester', 'directory'] as const;
export type RoleName = (typeof ROLE_NAMES)[number];

/** Commands beside a role, behind its name. */
export const COMMANDS_BESIDE: Readonly<Record<string, readonly string[]>> = {
  directory: ['token', 'expel', 'network', 'audit'],
  gateway: ['invite'],
};

/** Whether the command line is one beside a role, and not the role itself. */
export function isCommandBeside([name = '', ...words]: readonly string[]): boolean {
  return COMMANDS_BESIDE[name]?.some((command) => words.includes(command)) ?? false;
}

/** A role that runs. */
export interface RunningRole extends Running {
  /** What the line `listening …` says behind that word. */
  readonly listening: string;
  readonly health: Health;
  /** Takes no more work, and ends what it has as far as there is time; `stop` is to follow. */
  drain?(): Promise<void>;
  /** Reads again what can change while the role runs; what SIGHUP means to it. */
  reload?(): void;
}

/** The keys of a role's config that the command line itself uses. */
export interface CommonConfig {
  readonly dir: string;
  readonly name: string;
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  readonly crypto: 'fastest' | 'noble';
  /** Of roles that dial others. */
  readonly outboundAddress?: string | undefined;
  readonly memoryBudgetMiB?: number;
}

/** A role whose options are loaded. */
export interface LoadedRole {
  readonly schema: ConfigSchema;
  /** Loads the role's code, and starts it on a config that `schema` has parsed. */
  start(config: unknown, components: Components): Promise<RunningRole>;
}

export interface Role {
  readonly name: RoleName;
  readonly summary: string;
  /** Whether it has an identity in its folder; a proxy's is fresh at every start. */
  readonly hasIdentity: boolean;
  readonly example: string;
  load(): Promise<LoadedRole>;
}

/** Ties a schema to the function that takes its output, which `code` loads, so that the config needs no cast elsewhere. */
function role<Schema extends ConfigSchema, Started extends Omit<RunningRole, 'listening'>>(
  facts: Pick<Role, 'name' | 'summary' | 'example'>,
  schemaOf: () => Promise<Schema>,
  code: () => Promise<(config: z.infer<Schema>, components: Components) => Promise<Started>>,
  listening: (running: Started) => string,
): Role {
  const load = async (): Promise<LoadedRole> => {
    const schema = await schemaOf();
    const start: LoadedRole['start'] = async (config, components) => {
      const startRole = await code();
      const running = await startRole(schema.parse(config) as z.infer<Schema>, components);
      const { health, drain, reload } = running;
      const further = { ...(drain === undefined ? {} : { drain }), ...(reload === undefined ? {} : { reload }) };
      return { listening: listening(running), health, ...further, stop: () => running.stop() };
    };
    return { schema, start };
  };
  return { ...facts, hasIdentity: facts.name !== 'proxy', load };
}

export const ROLES: readonly Role[] = [
  role(
    {
      name: 'proxy',
      summary: 'the SOCKS5 front for your applications',
      example: 'mixsocks proxy --dir ~/.mixsocks --socks-listen 127.0.0.1:1080',
    },
    async () => (await import('../proxy/config.ts')).ProxyConfig,
    async () => (await import('../proxy/index.ts')).startProxy,
    ({ listens, statusUrl }) => `${listens.join(', ')}, status ${statusUrl}`,
  ),
  role(
    {
      name: 'mixnode',
      summary: 'a mix of one of the three layers',
      example: 'mixsocks mixnode --dir /var/lib/mixsocks/mix --listen 0.0.0.0:4001 --advertise 192.0.2.1:4001',
    },
    async () => (await import('../mixnode/config.ts')).MixnodeConfig,
    async () => (await import('../mixnode/index.ts')).startMixnode,
    ({ listen, metricsUrl }) => `${listen}, metrics ${metricsUrl}`,
  ),
  role(
    {
      name: 'gateway',
      summary: 'the always-on door of proxies and requesters',
      example: 'mixsocks gateway --dir /var/lib/mixsocks/gateway --listen 0.0.0.0:4000 --advertise 192.0.2.1:4000',
    },
    async () => (await import('../gateway/config.ts')).GatewayConfig,
    async () => (await import('../gateway/index.ts')).startGateway,
    ({ listen, metricsUrl }) => `${listen}, metrics ${metricsUrl}`,
  ),
  role(
    {
      name: 'requester',
      summary: 'the exit: connects to the sites',
      example: 'mixsocks requester --dir /var/lib/mixsocks/requester',
    },
    async () => (await import('../network-requester/config.ts')).RequesterConfig,
    async () => (await import('../network-requester/index.ts')).startRequester,
    ({ metricsUrl }) => `nowhere but for metrics: ${metricsUrl}`,
  ),
  role(
    {
      name: 'directory',
      summary: "an authority: signs the list of the network's nodes",
      example:
        'mixsocks directory --dir /var/lib/mixsocks/directory --listen 0.0.0.0:8080 --advertise http://192.0.2.1:8080',
    },
    async () => (await import('../directory/config.ts')).DirectoryConfig,
    async () => (await import('../directory/index.ts')).startDirectory,
    ({ url, metricsUrl }) => `${url}, metrics ${metricsUrl}`,
  ),
];
