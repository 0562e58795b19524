/**
 * The proxy: the front door for applications on one side, the mixnet on the other, and a page about both.
 * @module
 */

import { join } from 'node:path';
import { ProxyMixnet } from '../lib/access/mixnet.ts';
import { slotsMissed, statusOf } from '../lib/access/status/status-of.ts';
import { Diagnosis } from '../lib/access/troubles/diagnosis.ts';
import { loadNetworkFile } from '../lib/directory/index.ts';
import type { Components, Running } from '../lib/runtime/components.ts';
import type { Health } from '../lib/telemetry/health.ts';
import { frontLimits, type ProxyConfig } from './config.ts';
import { listenersOf, startFront } from './front/front.ts';
import { isRemote, type ListenAddress, parseListenAddress, requireMeant } from './front/listener.ts';
import { Readiness } from './readiness.ts';
import { startStatusServer } from './status/server.ts';

export type { Status } from '../lib/access/status/status.ts';
export { ProxyConfig } from './config.ts';

export interface RunningProxy extends Running {
  /** `host:port` of the SOCKS port: of the first, if there are several. */
  readonly socks: string;
  /** Where applications are served, all of it. */
  readonly listens: readonly string[];
  readonly statusUrl: string;
  readonly metricsUrl: string;
  readonly health: Health;
  /** Whether a SOCKS request made now would find a way. */
  readonly ready: () => boolean;
}

/** Where a proxy of this configuration listens. Throws CONFIG when it may not. */
export function listenAddresses(config: ProxyConfig): { front: ListenAddress[]; page: ListenAddress } {
  const front = listenersOf(frontOptionsOf(config)).map(({ address }) => address);
  const page = parseListenAddress(config.statusListen);
  requireMeant(page, config.allowRemote);
  return { front, page };
}

/**
 * Starts a proxy. Resolves when it listens; requests fail truthfully until there is a way through the network. Throws
 * MixError CONFIG or LISTEN.
 */
export async function startProxy(config: ProxyConfig, components: Components): Promise<RunningProxy> {
  const { clock, log, metrics } = components;
  const startedMs = clock.nowMs();
  const frontOptions = frontOptionsOf(config);
  const pageAddress = listenAddresses(config).page; // what is wrong there shows before anything is started
  const mixnet = await joinNetwork(config, components);
  const parts: Running[] = [mixnet];
  const stop = async () => {
    for (const part of parts.reverse()) await part.stop();
  };
  try {
    const diagnosis = new Diagnosis(mixnet);
    const { situation } = diagnosis;
    const front = await startFront({ ...frontOptions, opener: mixnet, components, situation });
    parts.push(front);
    metrics.totalOf('proxy_slots_missed_total', 'Ticks of own clocks for which no packet stood ready', () =>
      slotsMissed(mixnet),
    );
    const replies = mixnet.replyMeter(() => diagnosis.look(front.troubles, clock.nowMs()));
    replies.start();
    const status = () =>
      statusOf({ config, components, mixnet, socks: front.listen, streams: front.streams(), replies, startedMs });
    parts.push({ stop: async () => replies.stop() });
    const readiness = new Readiness({ clock, log, obstacle: () => mixnet.obstacle() });
    const { health } = readiness;
    const page = await startStatusServer({
      listen: config.statusListen,
      hosts: config.statusHosts,
      status,
      metrics,
      health,
      clock,
      log,
    });
    parts.push({ stop: () => page.close() });
    if (isRemote(pageAddress))
      log.warn({}, 'the status page can be reached from other machines: anyone there may read it');
    log.info({ socks: front.listens, status: page.url }, 'proxy is running');
    readiness.start();
    parts.push({ stop: async () => readiness.stop() });
    return {
      socks: front.listen,
      listens: front.listens,
      statusUrl: page.url,
      metricsUrl: `${page.url}/metrics`,
      health,
      ready: () => mixnet.ready,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function joinNetwork(config: ProxyConfig, components: Components): Promise<ProxyMixnet> {
  const network = await loadNetworkFile(config.networkFile ?? join(config.dir, 'network.json'));
  return ProxyMixnet.join(network, config, components, {
    cacheFile: join(config.dir, 'consensus.json'),
    guardFile: join(config.dir, 'guards.json'),
    accessFile: join(config.dir, 'access.key'),
  });
}

/** What of the configuration the front takes. */
export function frontOptionsOf(config: ProxyConfig) {
  const { socksListen: listen, allowRemote, allowPrivate, safeSocks, extendedErrors, preferNoAuth } = config;
  return { listen, allowRemote, allowPrivate, safeSocks, extendedErrors, preferNoAuth, limits: frontLimits(config) };
}
