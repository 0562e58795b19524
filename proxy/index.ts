/**
 * The proxy: the front door for applications on one side, the mixnet on the other, and a page about both.
 * @module
 */
import type { Components, Running } from '../lib/components.ts';
import { frontLimits, type ProxyConfig } from './config.ts';
import { listenersOf, startFront } from './front.ts';
import { isRemote, parseListenAddress, requireMeant } from './listener.ts';
import { ProxyMixnet } from './mixnet.ts';
import { Readiness } from './readiness.ts';
import { startStatusServer } from './status.ts';
import { slotsMissed, statusOf } from './status-of.ts';

export { ProxyConfig } from './config.ts';
export type { Status } from './status.ts';

export interface RunningProxy extends Running {
  /** `host:port` of the SOCKS port: of the first, if there are several. */
  readonly socks: string;
  /** Where applications are served, all of it. */
  readonly listens: readonly string[];
  readonly statusUrl: string;
  readonly metricsUrl: string;
  /** Whether a SOCKS request made now would find a way. */
  readonly ready: () => boolean;
}

/**
 * Starts a proxy. Resolves when it listens; requests fail truthfully until there is a way through the network. Throws
 * MixError CONFIG or LISTEN.
 */
export async function startProxy(config: ProxyConfig, components: Components): Promise<RunningProxy> {
  const { clock, log, metrics } = components;
  const startedMs = clock.nowMs();
  const frontOptions = frontOptionsOf(config);
  // What is wrong there shows before anything is started.
  listenersOf(frontOptions);
  const pageAddress = parseListenAddress(config.statusListen);
  requireMeant(pageAddress, config.allowRemote);
  const mixnet = await ProxyMixnet.start(config, components);
  const parts: Running[] = [mixnet];
  const stop = async () => {
    for (const part of parts.reverse()) await part.stop();
  };
  try {
    const front = await startFront({ ...frontOptions, opener: mixnet, components });
    parts.push(front);
    metrics.gaugeOf('proxy_slots_missed', 'Ticks of own clocks for which no packet stood ready', () =>
      slotsMissed(mixnet),
    );
    const replies = mixnet.replyMeter(clock);
    const status = () => statusOf({ config, components, mixnet, front, replies, startedMs });
    parts.push({ stop: async () => replies.stop() });
    const page = await startStatusServer({ listen: config.statusListen, status, metrics, clock, log });
    parts.push({ stop: () => page.close() });
    if (isRemote(pageAddress))
      log.warn({}, 'the status page can be reached from other machines: anyone there may read it');
    log.info({ socks: front.listens, status: page.url }, 'proxy is running');
    const readiness = new Readiness({ clock, log, obstacle: () => mixnet.obstacle() });
    parts.push({ stop: async () => readiness.stop() });
    return {
      socks: front.listen,
      listens: front.listens,
      statusUrl: page.url,
      metricsUrl: `${page.url}/metrics`,
      ready: () => mixnet.ready,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function frontOptionsOf(config: ProxyConfig) {
  const { socksListen: listen, allowRemote, allowPrivate, safeSocks, extendedErrors } = config;
  return { listen, allowRemote, allowPrivate, safeSocks, extendedErrors, limits: frontLimits(config) };
}
