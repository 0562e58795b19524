/**
 * A network of hosts, made with the commands of docs/HOSTING.md: four authorities of which three must sign, three mixes in each layer, two
 * gateways, two exits, and two proxies.
 * @module
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RoleName } from '../../cli/roles.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { loadNetworkFile, type NetworkFile, type VerifiedConsensus, Verifier } from '../../lib/directory/index.ts';
import { joinHostPort } from '../../lib/net/address.ts';
import { leaksIn } from '../support/destinations.ts';
import type { Scope } from '../support/localnet.ts';
import type { Host, Lan } from './lan.ts';
import { type Relay, startRelay } from './relay.ts';
import { command, HostedRole, PORTS } from './role.ts';

/** Long enough for the rounds of a voting on a busy machine, short enough to see ten turns. */
export const EPOCH_MS = 40_000;
export const AUTHORITIES = 4;
const PER_LAYER = 3;
const GATEWAYS = 2;
const EXITS = 2;
const PROXIES = 2;
/** How long an exit may wait for its streams to end: the test ends them. */
const DRAIN_MS = 600_000;
/** Nodes with a relay before them. */
const RELAYED = ['mix-3-3', 'gateway-2'];

/** What all authorities want. Two processors carry it. */
export const PARAMS = {
  'epoch-seconds': EPOCH_MS / 1000,
  'main-rate': 10,
  'reply-rate': 20,
  'loop-rate': 1,
  'drop-rate': 0.5,
  'node-loop-rate': 1,
  'min-mixes-per-layer': PER_LAYER,
  'min-gateways': GATEWAYS,
  'min-requesters': EXITS,
};

const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}-${i + 1}`);

export class HostedNetwork {
  readonly roles = new Map<string, HostedRole>();
  /** Before the nodes that announce them. */
  readonly relays: Relay[] = [];
  #token = '';

  private constructor(
    readonly t: Scope,
    readonly lan: Lan,
    readonly home: string,
    readonly nameServer: string,
  ) {
    mkdirSync(home, { recursive: true });
  }

  /** Starts everything, and waits until both proxies are ready. It ends with `t`, and then no log may name a destination. */
  static async start(t: Scope, lan: Lan, home: string, nameServer: string): Promise<HostedNetwork> {
    const network = new HostedNetwork(t, lan, home, nameServer);
    t.teardown(() => network.stop());
    await network.#makeAuthorities();
    const nodes = [
      ...[1, 2, 3].flatMap((layer) => numbered(`mix-${layer}`, PER_LAYER)),
      ...numbered('gateway', GATEWAYS),
      ...numbered('exit', EXITS),
    ];
    await inPairs(nodes, (name) => network.addNode(name));
    await inPairs(numbered('proxy', PROXIES), (name) => network.#addProxy(name));
    await network.untilReady(...numbered('proxy', PROXIES));
    return network;
  }

  role(name: string): HostedRole {
    const role = this.roles.get(name);
    if (role === undefined) throw new Error(`no host ${name}`);
    return role;
  }

  /** The names of all hosts of a role. */
  names(role: RoleName): string[] {
    return [...this.roles.values()].filter((one) => one.role === role).map(({ name }) => name);
  }

  async untilReady(...names: readonly string[]): Promise<void> {
    for (const name of names) await this.role(name).untilReady();
  }

  get networkFile(): string {
    return join(this.role('authority-1').dir, 'network.json');
  }

  /** The consensus that the authority `name` has for now; undefined without one. */
  async consensus(name = 'authority-1'): Promise<VerifiedConsensus['consensus'] | undefined> {
    const network: NetworkFile = await loadNetworkFile(this.networkFile);
    const id = this.role(name).identity;
    const url = network.authorities.find((one) => one.id === id)?.url;
    try {
      const reply = await fetch(`${url}/consensus`, { signal: AbortSignal.timeout(10_000) });
      return reply.ok
        ? new Verifier(network, createCrypto('fastest')).consensus(await reply.text()).consensus
        : undefined;
    } catch {
      return undefined;
    }
  }

  /** A new mix, gateway or exit on a host of its own; its name says which. Resolves when it listens. */
  async addNode(name: string): Promise<HostedRole> {
    const layer = /^mix-(\d)/.exec(name)?.[1];
    const role = layer !== undefined ? 'mixnode' : name.startsWith('gateway') ? 'gateway' : 'requester';
    const node = this.#add(role, name);
    const common = { 'network-file': this.networkFile, 'join-token': this.#token };
    if (role === 'requester') {
      await node.initAndStart({ ...common, 'name-servers': this.nameServer, 'drain-timeout-ms': DRAIN_MS });
      return node;
    }
    const listen = node.host.at(PORTS[role], layer === '2' ? 6 : 4); // mixes of the second layer are to be reached over IPv6
    const advertise = RELAYED.includes(name) ? { advertise: await this.#relayTo(node.host, PORTS[role]) } : {};
    await node.initAndStart({ ...common, listen, ...advertise, ...(layer && { layer }) });
    return node;
  }

  async #relayTo(host: Host, port: number): Promise<string> {
    const own = this.lan.ownAddress('relays');
    const relay = await startRelay(this.t, own, { host: host.address(), port });
    this.relays.push(relay);
    return joinHostPort(own, relay.port);
  }

  async #addProxy(name: string): Promise<void> {
    const proxy = this.#add('proxy', name);
    await proxy.initAndStart({ 'network-file': this.networkFile, 'allow-remote': true });
  }

  async #makeAuthorities(): Promise<void> {
    const names = numbered('authority', AUTHORITIES);
    const authorities = names.map((name) => this.#add('directory', name));
    await inPairs(authorities, (authority) => {
      const at = authority.host.at(PORTS.directory, authority.name === 'authority-4' ? 6 : 4);
      return authority.init({ listen: at, advertise: `http://${at}`, ...PARAMS });
    });
    const lines = authorities.map(({ made }) => /^authority (.*)$/m.exec(made)?.[1] ?? '');
    await inPairs(authorities, ({ dir }) => command(['directory', 'network', '--dir', dir, ...lines]));
    const [first, ...others] = authorities as [HostedRole, ...HostedRole[]];
    const token = ['directory', 'token', 'create', '--uses', '32'];
    const { stdout, stderr } = await command([...token, '--dir', first.dir]);
    this.#token = stdout.trim();
    const key = /--key ([0-9a-f]{64})/.exec(stderr)?.[1] ?? '';
    await inPairs(others, ({ dir }) => command([...token, '--key', key, '--dir', dir]));
    await inPairs(authorities, (authority) => authority.start());
  }

  #add(role: RoleName, name: string): HostedRole {
    const added = new HostedRole(role, this.lan.host(name), this.home);
    this.roles.set(name, added);
    return added;
  }

  async stop(): Promise<void> {
    const roles = [...this.roles.values()];
    await Promise.all(roles.map((role) => role.stop()));
    const own = roles.map(({ made, dir }) => `${made}\n${readFileSync(join(dir, 'config.json'), 'utf8')}`);
    const leaks = leaksIn(roles.map((role) => role.log(true)).join('\n'), own);
    if (leaks.length > 0) throw new Error(`a log tells where an application went:\n${leaks.join('\n')}`);
  }
}

/** Two at a time: each takes a second of a processor. */
async function inPairs<T>(all: readonly T[], run: (one: T) => Promise<unknown>): Promise<void> {
  const left = [...all];
  const worker = async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await run(one);
  };
  await Promise.all([worker(), worker()]);
}
