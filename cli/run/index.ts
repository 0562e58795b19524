/**
 * `mixsocks run -- COMMAND`: a command whose connections go through the proxy.
 * @module
 */
import { loadConfig } from '../../lib/config/config.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { MAIN } from '../child-process.ts';
import { type Login, loginOf, ownLogin, type ProxyPlace } from '../proxy-use/address.ts';
import { RunConfig } from '../proxy-use/options.ts';
import { proxyInUse } from '../proxy-use/proxy-in-use.ts';
import type { Environment, Flags } from '../role-config.ts';
import { runPlain, SignalRelay, whyUnusable } from './command.ts';
import { withProxy } from './environment.ts';
import { ProxyRelay } from './relay.ts';
import { runSealed } from './sealed/index.ts';
import { requireSealable } from './sealed/machine.ts';

const LOOPBACK = '127.0.0.1';

/** Where a proxy is looked for when nobody says where. */
const USUAL_PORT = 1080;

/** Runs `command`; resolves with its exit code. Rejects with a MixError when it was not started. */
export async function runCommand(command: readonly string[], flags: Flags, env: Environment): Promise<number> {
  const signals = new SignalRelay();
  const config = loadConfig(RunConfig, { flags, env });
  const login = config.identity === undefined ? undefined : loginOf(config.identity);
  if (config.sealed) requireSealable(env);
  const unusable = whyUnusable(command[0] ?? '', env);
  if (unusable !== undefined) {
    say(unusable.line);
    return unusable.code;
  }
  const proxy = await Promise.race([proxyInUse(config, env, say), signals.early]);
  if (typeof proxy === 'number') return proxy; // a proxy of ours ends with this process
  let over = false;
  proxy.gone.catch((error: Error) => over || say(`the proxy is gone, and connections fail: ${error.message}`));
  const relay = new ProxyRelay({ place: proxy.place, ...ownAddress(proxy.place) });
  const run = { command, env, signals, relay, place: proxy.place, direct: config.direct };
  try {
    const ready = { ...run, login: login ?? proxy.login ?? ownLogin('run') };
    return await (config.sealed ? sealed(ready) : plain(ready));
  } finally {
    over = true;
    relay.stop();
    await proxy.stop();
  }
}

interface Run {
  readonly command: readonly string[];
  readonly env: Environment;
  readonly signals: SignalRelay;
  readonly relay: ProxyRelay;
  readonly place: ProxyPlace;
  readonly login: Login;
  readonly direct: readonly string[];
}

const CONNECT = [process.execPath, MAIN, 'connect'];

async function plain({ command, env, signals, relay, place, login, direct }: Run): Promise<number> {
  // Hardly any program can use a unix socket.
  const port = place.kind === 'tcp' ? place.port : await relay.serve({ host: LOOPBACK, port: 0 });
  const host = place.kind === 'tcp' ? place.host : LOOPBACK;
  return runPlain(command, withProxy(env, { host, port, login, direct, connect: CONNECT }), signals, say);
}

async function sealed({ command, env, signals, relay, place, login, direct }: Run): Promise<number> {
  const port = place.kind === 'tcp' ? place.port : USUAL_PORT;
  const environment = withProxy(env, { host: LOOPBACK, port, login, direct, connect: CONNECT });
  const ports = [...new Set([port, USUAL_PORT])];
  return runSealed({ command, env: environment, ports, connect: CONNECT, relay, signals });
}

/**
 * What is relayed for a sealed command comes from an address of its own, so that programs without a login are kept apart too. All
 * of 127.0.0.0/8 is this machine on Linux.
 */
function ownAddress(place: ProxyPlace): { localAddress?: string } {
  if (place.kind === 'unix' || !place.host.startsWith('127.') || process.platform !== 'linux') return {};
  const [a = 0, b = 0, c = 0] = systemRng.bytes(3);
  return { localAddress: `127.${(a % 254) + 1}.${b}.${(c % 254) + 1}` };
}

function say(line: string): void {
  process.stderr.write(`mixsocks run: ${line}\n`);
}
