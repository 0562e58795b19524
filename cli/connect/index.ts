/**
 * `mixsocks connect HOST PORT`: standard input and output as one connection through the proxy, for ssh's ProxyCommand and
 * programs that start a command in place of a connection.
 * @module
 */
import { constants } from 'node:os';
import { z } from 'zod';
import { loadConfig } from '../../lib/config/config.ts';
import { ERRORS, MixError } from '../../lib/core/errors.ts';
import { parseDestination } from '../../lib/net/destination.ts';
import { breakOff } from '../../lib/relay/break-off.ts';
import { describePlace, loginOf, type ProxyAddress, parseProxyAddress, reachable } from '../proxy-use/address.ts';
import { configuredProxy, proxyOptions } from '../proxy-use/options.ts';
import type { Environment, Flags } from '../role-config.ts';
import { joinStandardStreams } from './standard-streams.ts';
import { openTunnel } from './tunnel.ts';

export const ConnectConfig = z.strictObject(proxyOptions);

/** Signals that end the process; they break the connection off, since an end would look like a complete transfer. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Connects to the host and port of `words`, and copies until both directions have ended; rejects with a MixError. */
export async function connectCommand(words: readonly string[], flags: Flags, env: Environment): Promise<number> {
  const [host, port] = [hostOf(words[0] ?? ''), portOf(words[1] ?? '')];
  const config = loadConfig(ConnectConfig, { flags, env });
  const { place, login } = addressOf(config.proxy, config.dir, env);
  const tunnel = await openTunnel({
    place,
    login: config.identity === undefined ? login : loginOf(config.identity),
    host,
    port,
  });
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      breakOff(tunnel.socket);
      process.exit(128 + constants.signals[signal]);
    });
  }
  await joinStandardStreams(tunnel, { input: process.stdin, output: process.stdout });
  return 0;
}

function addressOf(proxy: string | undefined, dir: string | undefined, env: Environment): ProxyAddress {
  if (proxy !== undefined) return parseProxyAddress(proxy, '--proxy');
  const place = reachable(configuredProxy(dir, env).socksListen[0] ?? '', 'socksListen');
  if (place.kind === 'unix' || place.port !== 0) return { place };
  throw new MixError('CONFIG', `socksListen is ${describePlace(place)}: name the port of the proxy with --proxy`);
}

function hostOf(text: string): string {
  const destination = parseDestination(text);
  if (destination !== undefined) return destination.host;
  throw new MixError('ADDRESS_TYPE', `'${text}': ${ERRORS.ADDRESS_TYPE.meaning}`);
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port > 0 && port <= 65_535) return port;
  throw new MixError('USAGE', `'${text}' is no port: write a number from 1 to 65535`);
}
