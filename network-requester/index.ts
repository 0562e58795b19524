/**
 * The network-requester: sessions of the mixnet on one side, sites on the other.
 * @module
 */

import { asMixError } from '../lib/core/errors.ts';
import { sayKeyExchange } from '../lib/link/index.ts';
import { serveMetricsPage } from '../lib/net/metrics-page.ts';
import type { Components, Running } from '../lib/runtime/components.ts';
import type { Health } from '../lib/telemetry/health.ts';
import { egressLimits, type RequesterConfig } from './config.ts';
import { SystemResolver } from './dns/resolver.ts';
import { Egress } from './egress/egress.ts';
import { RequesterMixnet } from './mixnet.ts';
import { ExitPolicy } from './policy/exit-policy.ts';
import { loadRules, reloadRules } from './policy/policy-file.ts';

export { RequesterConfig } from './config.ts';

export interface RunningRequester extends Running {
  readonly identity: string;
  readonly metricsUrl: string;
  readonly health: Health;
  /** Whether sessions can come. */
  readonly ready: () => boolean;
  /** Reads the exit policy again, and announces it; absent when it is in no file. */
  readonly reload?: () => void;
  /** Takes no more streams, and waits for those that are open; `stop` is to follow. */
  readonly drain: () => Promise<void>;
}

/**
 * Starts a requester. Resolves when it has its keys and its metrics page; it joins the network in the background.
 * Throws MixError CONFIG, IDENTITY or LISTEN.
 */
export async function startRequester(config: RequesterConfig, components: Components): Promise<RunningRequester> {
  const { clock, log, metrics } = components;
  const { allowPrivate, exitPolicyFile } = config;
  sayKeyExchange(config.linkKeyExchange, log);
  const rules = exitPolicyFile === undefined ? [] : loadRules(exitPolicyFile);
  const policy = new ExitPolicy({ clock, allowPrivate, rules, listedAddresses: config.ownAddresses });
  const { nameServers, dnsTimeoutMs } = config;
  const mixnet = await RequesterMixnet.start(config, components, policy);
  const paidBy = (session: string) => mixnet.hub?.paidRate(session) ?? 0;
  const resolver = new SystemResolver({ clock, nameServers, limits: { timeoutMs: dnsTimeoutMs }, paidBy });
  const egress = new Egress({
    components,
    allowPrivate,
    allowUdp: config.allowUdp,
    policy,
    limits: egressLimits(config),
    resolver,
    paidBy,
  });
  metrics.gaugeOf('requester_sessions', 'Sessions of proxies.', () => mixnet.hub?.stats().sessions ?? 0);
  const { health } = mixnet;
  const page = await serveMetricsPage({ config, metrics, health, log }).catch(async (error: unknown) => {
    await mixnet.stop();
    throw error;
  });
  mixnet.serve(egress.accept).then(
    () => log.info({}, 'requester is connected'),
    (error: unknown) => log.error({ reason: asMixError(error).message }, 'the requester cannot join the network'),
  );
  if (allowPrivate) log.warn({}, 'private and loopback addresses are let through');
  return {
    identity: mixnet.identity,
    metricsUrl: `${page.url}/metrics`,
    health,
    ready: () => mixnet.ready,
    ...(exitPolicyFile === undefined
      ? {}
      : {
          reload: () => {
            if (reloadRules(exitPolicyFile, policy, log)) mixnet.announceNow();
          },
        }),
    drain: async () => {
      log.info({}, 'draining: streams that are open go on, new ones go to other exits');
      await mixnet.drain(config.drainTimeoutMs);
    },
    stop: async () => {
      egress.stop();
      await mixnet.stop();
      await page.close();
    },
  };
}
