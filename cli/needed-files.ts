/**
 * Files and connections that a role may have open at once by its configuration.
 * @module
 */
import { SERVER_LIMITS } from '../directory/server.ts';
import { openFileLimit, raise } from './open-files.ts';
import type { RoleName } from './roles.ts';

/** Links to nodes, files, and connections that are not accepted yet. */
const OTHER_FILES = 512;

/** The options that bound connections; each role has some of them. */
export interface ConnectionOptions {
  readonly maxClients?: number;
  readonly maxRequesters?: number;
  readonly maxConnections?: number;
  readonly maxStreams?: number;
}

export function neededFiles(role: RoleName, config: ConnectionOptions): number {
  const { maxClients = 0, maxRequesters = 0, maxStreams = 0, maxConnections = 0 } = config;
  const byRole: Readonly<Record<RoleName, number>> = {
    mixnode: 0,
    gateway: maxClients + maxRequesters,
    requester: 2 * maxStreams, // a UDP association has a socket for each address family
    proxy: 2 * maxConnections, // and here one beside its connection
    directory: SERVER_LIMITS.connections,
  };
  return OTHER_FILES + byRole[role];
}

/** What a role says at its start where its configuration allows more connections than the system does; undefined where it does not. */
export function filesWarning(
  role: RoleName,
  config: ConnectionOptions,
  limit: number | undefined = openFileLimit(),
): string | undefined {
  const needed = neededFiles(role, config);
  if (limit === undefined || limit >= needed) return undefined;
  return `this process may have ${limit} files open, and its configuration allows connections for ${needed}: when they run out, connections fail; ${raise(needed)}`;
}
