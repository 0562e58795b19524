/**
 * The options that say which proxy a command uses, and what follows from them.
 * @module
 */
import { z } from 'zod';
import { loadConfig } from '../../lib/config/config.ts';
import { ProxyConfig } from '../../proxy/config.ts';
import { type Environment, loadRoleConfig } from '../role-config.ts';

/** Of every command that uses a proxy. */
export const proxyOptions = {
  proxy: z
    .string()
    .optional()
    .describe('proxy to use: host:port, unix:/path or socks5h://user:password@host:port (default: that of --dir)'),
  dir: z
    .string()
    .optional()
    .describe('folder of the proxy, as mixsocks init proxy makes it: its config.json says where it listens'),
  identity: z
    .string()
    .optional()
    .describe('name that keeps these connections apart from others: the same as the login NAME:x'),
};

/** Of commands that start a proxy where none runs. */
export const startOptions = {
  networkFile: z
    .string()
    .optional()
    .describe('network.json of a network: a proxy of this command alone is started for it'),
};

/** Of `mixsocks run`. */
export const RunConfig = z.strictObject({
  ...proxyOptions,
  ...startOptions,
  sealed: z
    .boolean()
    .default(false)
    .describe('Linux: give the command a network of its own in which there is the proxy and nothing else'),
  direct: z
    .array(z.string())
    .default([])
    .describe('hosts that programs may connect to without the proxy (NO_PROXY); by default none, localhost included'),
});

/**
 * How the proxy of `dir` is configured, or without a folder, what environment and defaults say. Throws CONFIG. Where it listens
 * is what counts: a proxy without a folder is one that runs already.
 */
export function configuredProxy(dir: string | undefined, env: Environment): ProxyConfig {
  if (dir !== undefined) return loadRoleConfig('proxy', ProxyConfig, { dir }, env);
  return loadConfig(ProxyConfig, { flags: {}, env, fallbacks: { dir: '.' } });
}
