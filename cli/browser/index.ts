/**
 * `mixsocks browser`: an installed browser with a fresh profile that uses the proxy and nothing else.
 * @module
 */
import { loadConfig } from '../../lib/config/config.ts';
import { MixError } from '../../lib/core/errors.ts';
import { describePlace, type Login, loginOf, ownLogin } from '../proxy-use/address.ts';
import { type ProxyInUse, proxyInUse } from '../proxy-use/proxy-in-use.ts';
import type { Environment, Flags } from '../role-config.ts';
import { ProxyRelay } from '../run/relay.ts';
import { StopSignals } from '../stop-signal.ts';
import type { LaunchPlan } from './browser.ts';
import { checkPolicies, type FoundBrowser, findBrowser } from './find.ts';
import { BrowserConfig, checkOptions, splitWords, wantedBrowser } from './options.ts';
import { BrowserProcess, environmentFor } from './process.ts';
import { fillRunFolder, makeRunFolder, noteProcess, removeRunFolder } from './profile.ts';

const LOOPBACK = '127.0.0.1';

/** Opens a browser; resolves with the exit code when it is closed and its profile removed. */
export async function runBrowser(words: readonly string[], flags: Flags, env: Environment): Promise<number> {
  requireOrdinaryUser();
  const config = loadConfig(BrowserConfig, { flags, env });
  const { url, options } = splitWords(words);
  const found = findBrowser(wantedBrowser(config), env);
  checkOptions(options, found.browser);
  checkPolicies(found.browser);
  requireDisplay(options, env);
  const login = config.identity === undefined ? undefined : loginOf(config.identity);
  const signals = new StopSignals();
  const proxy = await Promise.race([proxyInUse(config, env, say), signals.first]);
  if (proxy === undefined) return 0; // a proxy of ours ends with us
  try {
    return await open(found, { proxy, login: login ?? proxy.login ?? ownLogin('browser'), url, options }, signals, env);
  } finally {
    await proxy.stop();
  }
}

interface Use extends Pick<LaunchPlan, 'url' | 'options'> {
  readonly proxy: ProxyInUse;
  readonly login: Login;
}

async function open(
  { browser, path }: FoundBrowser,
  use: Use,
  signals: StopSignals,
  env: Environment,
): Promise<number> {
  const { proxy, login, url, options } = use;
  const relay = new ProxyRelay({ place: proxy.place, login });
  const port = await relay.serve({ host: LOOPBACK, port: 0 });
  const folder = await makeRunFolder();
  try {
    const plan: LaunchPlan = { ...folder, relay: { host: LOOPBACK, port }, url, options };
    await fillRunFolder(folder, browser, plan);
    const launch = { browser, path, args: browser.args(plan), env: environmentFor(browser, env, folder.temporary) };
    const running = new BrowserProcess(launch);
    await noteProcess(folder, running.pid);
    signals.onSignal(() => void running.stop());
    proxy.gone.catch((error: Error) => say(`the proxy is gone, and no page can be loaded any more: ${error.message}`));
    try {
      await running.checkCommandLine();
      say(`${browser.name} is open; everything goes through the proxy at ${describePlace(proxy.place)}`);
      const failure = await running.ended;
      if (failure !== undefined) throw failure;
      return 0;
    } finally {
      await running.stop();
    }
  } finally {
    relay.stop();
    await removeRunFolder(folder);
  }
}

/** Sandboxes of browsers are made for ordinary users: as root they have to be switched off. */
function requireOrdinaryUser(): void {
  if (process.geteuid === undefined) throw new MixError('ENVIRONMENT', 'mixsocks browser needs Linux or macOS');
  if (process.geteuid() !== 0) return;
  throw new MixError('ENVIRONMENT', 'a browser has no sandbox as root: run mixsocks browser as an ordinary user');
}

function requireDisplay(options: readonly string[], env: Environment): void {
  const drawn = options.every((option) => !option.startsWith('--headless'));
  if (!drawn || process.platform !== 'linux' || env.DISPLAY || env.WAYLAND_DISPLAY) return;
  throw new MixError('ENVIRONMENT', 'there is no display: neither DISPLAY nor WAYLAND_DISPLAY is set');
}

function say(line: string): void {
  process.stderr.write(`mixsocks browser: ${line}\n`);
}
