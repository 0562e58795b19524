/**
 * A directory authority: descriptors in, one signed consensus per epoch out.
 * @module
 */
import { every } from '../lib/core/clock.ts';
import { asMixError } from '../lib/core/errors.ts';
import { keyGraceMs, packetBytes } from '../lib/core/params.ts';
import { httpTransport } from '../lib/directory/client/http-transport.ts';
import {
  authorityHost,
  epochMsOf,
  hostsOf,
  type NetworkFile,
  networkId,
  saveNetworkFile,
  Verifier,
} from '../lib/directory/index.ts';
import { loadIdentity, type NodeIdentity } from '../lib/link/index.ts';
import { warnIfUnbounded } from '../lib/net/connection-bounds.ts';
import { sourceOf } from '../lib/net/connection-table.ts';
import { HostSources } from '../lib/net/host-sources.ts';
import { serveMetricsPage } from '../lib/net/metrics-page.ts';
import type { Components, Running } from '../lib/runtime/components.ts';
import { type Health, RoleHealth } from '../lib/telemetry/health.ts';
import { Admission } from './admission.ts';
import { Api } from './api.ts';
import { Archive } from './archive.ts';
import { attemptBy, refusalBy } from './attempt.ts';
import { Authority, type AuthorityOptions } from './authority.ts';
import type { DirectoryConfig } from './config.ts';
import { MemberFiles, Members } from './members/member-files.ts';
import { joinRules, Membership } from './members/membership.ts';
import { existingNetwork, listenAddress, networkParams, networkPath, newNetwork, publicUrl } from './network.ts';
import { Reachability } from './reachability.ts';
import { authorityFaults } from './readiness.ts';
import { type RunningServer, SERVER_LIMITS, serveApi } from './server.ts';
import { DiskRecords } from './voting/disk-records.ts';
import { Peers } from './voting/peers.ts';

export { DirectoryConfig } from './config.ts';

export interface RunningDirectory extends Running {
  /** Base URL of the HTTP API. */
  readonly url: string;
  readonly metricsUrl: string;
  readonly health: Health;
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
  let isMember = (_source: string) => false; // until the descriptors are read
  // The port comes first: a new network.json names it. Until the authority is open, the answer is 503.
  const server = await serveApi(
    () => api,
    listenAddress(config, existing, identity.id),
    log,
    (status) => {
      requests.inc({ status: String(status) });
    },
    { ...SERVER_LIMITS, connectionsPerSource: config.maxConnectionsPerSource },
    (source) => isMember(source),
    components.memory,
  );
  warnIfUnbounded(config.maxConnectionsPerSource, log);
  try {
    const network = existing ?? newNetwork(config, identity.id, publicUrl(config, server.port));
    const verifier = new Verifier(network, components.crypto);
    const { clock, crypto } = components;
    const membership = new Membership(rules, crypto);
    const members = new Members({ membership, files: new MemberFiles(config.dir), clock, log });
    const { maxNodes, minCapacity } = config;
    const admission = new Admission({ verifier, membership, maxNodes, minCapacity, nowMs: () => clock.nowMs() });
    const others = network.authorities.filter(({ id }) => id !== identity.id);
    const otherSources = new HostSources(others.map(authorityHost), clock);
    isMember = memberSources(admission, otherSources);
    const reachability = config.checkReachability ? newReachability(config, components, identity, verifier) : undefined;
    const parts = { verifier, admission, members, ...(reachability === undefined ? {} : { reachability }) };
    const authority = openAuthority(config, components, identity, parts);
    await authority.open();
    if (membership.isClosed) {
      log.warn({}, `nobody can join yet: mixsocks directory token create --dir ${config.dir} makes a join token`);
    }
    await authority.tick();
    if (existing === undefined) await saveNetworkFile(networkPath(config), network);
    api = newApi(components, authority, admission);
    countNodes(components, authority, admission);
    otherSources.start();
    return await running(config, components, { server, authority, network, identity, otherSources });
  } catch (error) {
    await server.close();
    throw error;
  }
}

function openAuthority(
  config: DirectoryConfig,
  { clock, crypto, log }: Components,
  identity: NodeIdentity,
  parts: Pick<AuthorityOptions, 'verifier' | 'admission' | 'members' | 'reachability'>,
): Authority {
  return new Authority({
    ...parts,
    archive: new Archive(config.dir),
    params: networkParams(config, parts.verifier.network),
    minimums: {
      mixesPerLayer: config.minMixesPerLayer,
      gateways: config.minGateways,
      requesters: config.minRequesters,
    },
    identitySeed: identity.seed,
    ...(parts.verifier.network.authorities.length > 1 ? { votingRecords: new DiskRecords(config.dir) } : {}),
    clock,
    crypto,
    log: log.child({ part: 'directory' }),
  });
}

function newReachability(
  { allowPrivate }: DirectoryConfig,
  { clock, crypto, rng, log, metrics }: Components,
  identity: NodeIdentity,
  { network }: Verifier,
): Reachability {
  const tries = metrics.counter('directory_tries_total', 'Tries to reach nodes by outcome', ['result']);
  const terms = { networkId: networkId(network, crypto), packetBytes: packetBytes(network.payloadBytes) };
  const own = network.authorities.find(({ id }) => id === identity.id);
  return new Reachability({
    attempt: attemptBy({ identity, ...terms, clock }),
    refusalOf: refusalBy(own === undefined ? '' : authorityHost(own), allowPrivate),
    epochMs: epochMsOf(network),
    ...{ clock, rng },
    log: log.child({ part: 'directory' }),
    onTry: (result) => tries.inc({ result }),
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

function countNodes({ metrics, clock }: Components, authority: Authority, admission: Admission): void {
  metrics.gaugeOf('directory_descriptors', 'Descriptors held', () => admission.held.size);
  metrics.gaugeOf('directory_unreachable', 'Nodes that are held and not listed, for they were not reached', () => {
    return authority.unreachable().size;
  });
  metrics.gaugeOf('directory_members', 'Nodes that have a seat, those that are away included', () => {
    return admission.options.membership.size;
  });
  metrics.gaugeOf('directory_consensus_epoch', 'Epoch of the consensus in force, -1 without', () => {
    return authority.current()?.consensus.epoch ?? -1;
  });
  metrics.gaugeOf(
    'directory_epochs_signed_ahead',
    'Epochs until it signs again, since its clock was ahead; 0 if it does',
    () => {
      return authority.signedAhead.epochsLeft(clock.wallMs());
    },
  );
  metrics.gaugeOf('directory_consensus_nodes', 'Nodes in the consensus in force', () => {
    return authority.current()?.consensus.nodes.length ?? 0;
  });
}

async function running(
  config: DirectoryConfig,
  components: Components,
  parts: {
    server: RunningServer;
    authority: Authority;
    network: NetworkFile;
    identity: NodeIdentity;
    otherSources: HostSources;
  },
): Promise<RunningDirectory> {
  const { clock, log, metrics } = components;
  const { server, authority, network, identity, otherSources } = parts;
  const health = new RoleHealth(clock, 'signing', () => {
    const epoch = authority.current()?.consensus.epoch;
    const signedAhead = authority.signedAhead.until;
    return authorityFaults({ epoch, epochMs: authority.epochMs, wallMs: clock.wallMs(), signedAhead });
  });
  const metricsServer = await serveMetricsPage({ config, metrics, health, log });
  const failed = (error: unknown) => log.error({ problem: asMixError(error).message }, 'no consensus could be made');
  const tick = () => authority.tick().catch(failed);
  const timer = every(clock, tickMs(authority.epochMs), () => {
    void tick().finally(() => health.worked()); // what fails does not hang
  });
  const { voting } = authority;
  const others = network.authorities.filter(({ id }) => id !== identity.id);
  const peers = voting && new Peers({ network, others, voting, transport: httpTransport(), components, tick });
  const url = network.authorities.find(({ id }) => id === identity.id)?.url ?? publicUrl(config, server.port);
  log.info({ network: network.name, identity: identity.id, url }, 'directory ready');
  return {
    url,
    metricsUrl: metricsServer.url,
    health,
    network,
    networkFile: networkPath(config),
    async stop() {
      health.stop();
      timer.cancel();
      otherSources.stop();
      await peers?.stop();
      await server.close();
      await metricsServer.close();
      authority.options.reachability?.stop();
      await authority.settle();
    },
  };
}

/** How often it looks whether something is due, also where nobody announces; a fraction of the time in which it is. */
export function tickMs(epochMs: number): number {
  return Math.min(5_000, Math.max(100, keyGraceMs(epochMs) / 16));
}

/** Whether a source is that of a node whose descriptor is held, or of an authority. */
function memberSources(
  admission: Pick<Admission, 'held' | 'revision'>,
  authorities: Pick<HostSources, 'has'>,
): (source: string) => boolean {
  let sources: ReadonlySet<string> = new Set();
  let revision = -1;
  return (source) => {
    if (revision !== admission.revision) {
      const nodes = [...admission.held.values()].flatMap(({ descriptor }) => hostsOf(descriptor));
      sources = new Set(nodes.map(sourceOf));
      revision = admission.revision;
    }
    return sources.has(source) || authorities.has(source);
  };
}
