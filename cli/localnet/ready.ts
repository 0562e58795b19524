/**
 * How a local network says that it is ready.
 * @module
 */
import { access, constants, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { MixError, systemReason } from '../../lib/core/errors.ts';
import { HOST, listenHost, type PlannedNode } from './plan.ts';

/** The ready file: other programs rely on these fields. */
export interface ReadyFile {
  readonly socks: string;
  readonly status: string;
  readonly network: string;
  readonly nodes: readonly ReadyNode[];
}

export interface ReadyNode {
  readonly role: string;
  readonly name: string;
  readonly layer?: number;
  readonly pid: number;
  /** Where its peers or users connect; for a requester, which nobody connects to, its metrics. */
  readonly listen: string;
  /** Empty for a proxy, whose identity is fresh at every start. */
  readonly identity: string;
  readonly dir: string;
  readonly argv: readonly string[];
  readonly metrics: string;
}

export function readyNode(node: PlannedNode, pid: number): ReadyNode {
  const { role, name, layer, ports, identity, dir, argv } = node;
  const listen = `${listenHost(node)}:${role === 'requester' ? ports.metrics : ports.listen}`;
  return {
    role,
    name,
    ...(layer === undefined ? {} : { layer }),
    pid,
    listen,
    identity: identity ?? '',
    dir,
    argv,
    metrics: `http://${HOST}:${ports.metrics}/metrics`,
  };
}

/** Removes what an earlier network left, which would lie. Throws CONFIG when the file could not be written later. */
export async function clearReadyFile(file: string): Promise<void> {
  const path = resolve(file);
  try {
    await access(dirname(path), constants.W_OK);
    await rm(path, { force: true });
  } catch (error) {
    throw new MixError('CONFIG', `cannot write the ready file ${path}: ${systemReason(error)}`, error);
  }
}

/** Writes the ready file, whole or not at all. */
export async function writeReadyFile(file: string, ready: ReadyFile): Promise<void> {
  const path = resolve(file);
  const draft = `${path}.${process.pid}.draft`;
  try {
    await writeFile(draft, `${JSON.stringify(ready, null, 2)}\n`);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw new MixError('CONFIG', `cannot write the ready file ${path}: ${systemReason(error)}`, error);
  }
}

/** What a person needs now; the first word is a promise to programs that read along. */
export function readyText({ socks, status }: ReadyFile): string {
  const [host, port] = socks.split(':');
  return [
    `ready: SOCKS5 on ${socks}, status on ${status}/status.json`,
    `  curl      curl -x socks5h://${socks} http://example.org/`,
    `  Firefox   Settings, Network Settings, Manual: SOCKS Host ${host}, Port ${port}, SOCKS v5, Proxy DNS when using SOCKS v5`,
    `  Chromium  chromium --proxy-server=socks5://${socks}`,
    'Ctrl-C stops everything.',
  ].join('\n');
}
