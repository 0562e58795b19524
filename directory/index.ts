/**
 * A directory authority: descriptors in, one signed consensus per epoch out.
 * @module
 */
import { every } from '../lib/clock.ts';
import type { Components, Running } from '../lib/components.ts';
import { type NetworkFile, Verifier } from '../lib/directory/index.ts';
import { asMixError } from '../lib/errors.ts';
import { serveLocalHttp } from '../lib/http.ts';
import { loadIdentity, type NodeIdentity } from '../lib/link/index.ts';
import type { Metrics } from '../lib/metrics.ts';
import { keyGraceMs } from '../lib/params.ts';
import { Admission, joinRules } from './admission.ts';
import { Api } from './api.ts';
import { Archive } from './archive.ts';
import { Authority } from './authority.ts';
import type { DirectoryConfig } from './config.ts';
import {
  existingNetwork,
  listenAddress,
  networkParams,
  networkPath,
  newNetwork,
  publicUrl,
  publishNetwork,
} from './network.ts';
import { type RunningServer, serveApi } from './server.ts';

export { DirectoryConfig } from './config.ts';

export interface RunningDirectory extends Running {
  /** Base URL of the HTTP API. */
  readonly url: string;
  readonly metricsUrl: string;
  readonly network: NetworkFile;
  /** Path of network.json. */
  readonly networkFile: string;
}

/**
 * Starts an authority on `config.dir`. Needs its identity there. Makes network.json for a network of this one authority
 * if the file is missing.
 */
export async function startDirectory(config: DirectoryConfig, components: Components): Promise<RunningDirectory> {
  const log = components.log.child({ part: 'directory' });
  const rules = joinRules(config);
  const identity = await loadIdentity(config.dir);
  const existing = await existingNetwork(config, identity.id);
  const requests = components.metrics.counter('directory_requests_total', 'Answers of the API', ['status']);
  let api: Api | undefined;
  // The port comes first: a new network.json names it. Until the authority is open, the answer is 503.
  const server = await serveApi(
    () => api,
    listenAddress(config, existing, identity.id),
    log,
    (status) => {
      requests.inc({ status: String(status) });
    },
  );
  try {
    const network = existing ?? newNetwork(config, identity.id, publicUrl(config, server.port));
    const verifier = new Verifier(network, components.crypto);
    const admission = new Admission(verifier, rules, config.maxNodes, components.crypto);
    const authority = openAuthority(config, components, identity, verifier, admission);
    await authority.open();
    await authority.tick();
    if (existing === undefined) await publishNetwork(config, network);
    api = newApi(components, authority, admission);
    countNodes(components.metrics, authority, admission);
    return await running(config, components, { server, authority, network, identity });
  } catch (error) {
    await server.close();
    throw error;
  }
}

function openAuthority(
  config: DirectoryConfig,
  { clock, crypto, log }: Components,
  identity: NodeIdentity,
  verifier: Verifier,
  admission: Admission,
): Authority {
  return new Authority({
    verifier,
    admission,
    archive: new Archive(config.dir),
    params: networkParams(config, verifier.network),
    minimums: {
      mixesPerLayer: config.minMixesPerLayer,
      gateways: config.minGateways,
      requesters: config.minRequesters,
    },
    identitySeed: identity.seed,
    clock,
    crypto,
    log: log.child({ part: 'directory' }),
  });
}

function newApi({ clock, metrics }: Components, authority: Authority, admission: Admission): Api {
  const announcements = metrics.counter('directory_announcements_total', 'Announcements by outcome', ['result']);
  return new Api({
    authority,
    admission,
    nowMs: () => clock.nowMs(),
    onAnnouncement: (result) => announcements.inc({ result }),
  });
}

function countNodes(metrics: Metrics, authority: Authority, admission: Admission): void {
  metrics.gaugeOf('directory_descriptors', 'Descriptors held', () => admission.held.size);
  metrics.gaugeOf('directory_consensus_epoch', 'Epoch of the consensus in force, -1 without', () => {
    return authority.current()?.consensus.epoch ?? -1;
  });
  metrics.gaugeOf('directory_consensus_nodes', 'Nodes in the consensus in force', () => {
    return authority.current()?.consensus.nodes.length ?? 0;
  });
}

async function running(
  config: DirectoryConfig,
  { clock, log, metrics }: Components,
  parts: { server: RunningServer; authority: Authority; network: NetworkFile; identity: NodeIdentity },
): Promise<RunningDirectory> {
  const { server, authority, network, identity } = parts;
  const metricsServer = await serveLocalHttp({
    listen: config.metricsListen,
    routes: { '/metrics': async () => ({ type: 'text/plain; version=0.0.4', body: await metrics.text() }) },
    log,
  });
  const timer = every(clock, tickMs(authority.epochMs), () => {
    authority.tick().catch((error) => log.error({ problem: asMixError(error).message }, 'no consensus could be made'));
  });
  const url = network.authorities.find(({ id }) => id === identity.id)?.url ?? publicUrl(config, server.port);
  log.info({ network: network.name, identity: identity.id, url }, 'directory ready');
  return {
    url,
    metricsUrl: metricsServer.url,
    network,
    networkFile: networkPath(config),
    async stop() {
      timer.cancel();
      await server.close();
      await metricsServer.close();
      await authority.settle();
    },
  };
}

/** How often it looks whether something is due; a fraction of the time in which it is. */
function tickMs(epochMs: number): number {
  return Math.min(5_000, Math.max(100, keyGraceMs(epochMs) / 16));
}
