/**
 * Many clients of one gateway, each from an address of its own in 127.0.0.0/8, with loops of their own.
 * @module
 */

import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeIdentity } from '../../lib/link/index.ts';
import type { GammaKey, SphinxHop } from '../../lib/sphinx/index.ts';
import type { Build } from '../harness/build.ts';
import { type Figure, failure, figure } from '../harness/figure.ts';
import { until } from '../harness/localnet.ts';
import { type LinkModules, linkModules } from '../harness/modules.ts';
import { NodeKeys } from '../harness/node-keys.ts';
import { processSeconds, residentBytes } from '../harness/processor.ts';
import { RestartedNetwork } from '../harness/restarted.ts';
import { inScope, progress, type Scope } from '../harness/scope.ts';

const MIXES = ['mix-1-1', 'mix-2-1', 'mix-3-1'];
const GATEWAY = 'gateway-1';
/** Loops per second of each client, which are all that its class has: so the gateway may admit thousands. */
const CLIENT_RATE = 0.5;
const QUICK_RATE = 5;
/** With fewer, what the gateway needs for itself hides what a packet costs. */
const MIN_PACKETS = 500;
const CONNECT_TIMEOUT_MS = 120_000;
/** Handshakes under way at a time. */
const DIALS_AT_ONCE = 16;
const QUEUE_FRAMES = 64;
const STALL_TIMEOUT_MS = 30_000;
const RETURN_MS = 10_000;

export interface ClientTerms {
  readonly counts: readonly number[];
  readonly seconds: number;
  readonly quick: boolean;
}

/** The gateway's processor time and memory with more and more clients, and per packet what it needs beyond its rest. */
export function clientFigures(build: Build, { counts, seconds, quick }: ClientTerms): Promise<Figure[]> {
  return inScope(async (scope) => {
    const modules = await linkModules(build);
    const rate = quick ? QUICK_RATE : CLIENT_RATE;
    // Without proxy and requester, whose traffic is not what is measured.
    const same = () => ({});
    const network = await RestartedNetwork.start(scope, build, {
      flags: ['--mixes-per-layer', '1', '--gateways', '1'],
      changes: {
        'directory-1': () => ({ mainRate: 0, replyRate: 0, dropRate: 0, loopRate: rate }),
        ...Object.fromEntries([...MIXES, GATEWAY].map((name) => [name, same])),
      },
    });
    const crowd = new Crowd(scope, modules, network);
    await crowd.listen();
    const pid = network.pidOf(GATEWAY);
    const atRest = await used(pid, () => sleep(1000 * seconds));
    const figures: Figure[] = [];
    for (const clients of counts) {
      const terms = { clients };
      progress(`scale: ${clients} clients`);
      await crowd.grow(clients);
      let loops = { sent: 0, returned: 0 };
      const busy = await used(pid, async () => {
        loops = await crowd.run(seconds, rate);
      });
      if (crowd.size < clients) figures.push(failure('scale.clients', 'clients', crowd.fault, terms));
      figures.push(
        figure('scale.clients.processor', 'ms/s', 1000 * busy, terms),
        figure('scale.clients.memory', 'MB', residentBytes(pid) / 1e6, terms),
      );
      // In a short run a single client may have sent none.
      if (loops.sent > 0) figures.push(figure('scale.clients.returned', 'ratio', loops.returned / loops.sent, terms));
      const packets = loops.sent + loops.returned;
      const extraMicros = 1e6 * (busy - atRest) * seconds;
      if (packets >= MIN_PACKETS) figures.push(figure('scale.clients.packet', 'us', extraMicros / packets, terms));
    }
    return figures;
  });
}

/** Seconds of processor time per second that a process needs meanwhile. */
async function used(pid: number, work: () => Promise<unknown>): Promise<number> {
  const before = processSeconds(pid);
  const startMs = performance.now();
  await work();
  return (1000 * (processSeconds(pid) - before)) / (performance.now() - startMs);
}

interface Client {
  readonly identity: NodeIdentity;
  send(nextHop: Uint8Array, packet: Uint8Array): void;
}

/** The clients: they send loops through the mixes, which come back over the gateway. */
class Crowd {
  readonly #clients: Client[] = [];
  readonly #keys: NodeKeys;
  readonly #sphinx: InstanceType<LinkModules['sphinx']['Sphinx']>;
  #relayPort = 0;
  /** Loops on their way, by what their makers know them again by. */
  readonly #travelling = new Set<GammaKey>();
  #returned = 0;
  /** Why the first client that has no link has none. */
  fault = '';

  constructor(
    readonly scope: Scope,
    readonly modules: LinkModules,
    readonly network: RestartedNetwork,
  ) {
    const libraries = modules.crypto.createCrypto('fastest');
    this.#sphinx = new modules.sphinx.Sphinx(libraries, modules.rng);
    this.#keys = new NodeKeys(network.consensusOf(GATEWAY));
  }

  get size(): number {
    return this.#clients.length;
  }

  /** A relay to the gateway that gives each connection an address of its own. */
  async listen(): Promise<void> {
    const { listen } = this.network.node(GATEWAY);
    const [host = '', port] = listen.split(':');
    let connections = 0;
    const relay = createServer((inward) => {
      const number = connections++;
      const localAddress = `127.${1 + (number >> 16)}.${(number >> 8) & 255}.${1 + (number % 250)}`;
      const outward = connect({ host, port: Number(port), localAddress, noDelay: true });
      inward.setNoDelay(true).pipe(outward).pipe(inward);
      inward.on('error', () => outward.destroy()).on('close', () => outward.destroy());
      outward.on('error', () => inward.destroy()).on('close', () => inward.destroy());
      this.scope.teardown(() => inward.destroy());
    });
    relay.listen(0, '127.0.0.1');
    await once(relay, 'listening');
    this.scope.teardown(() => relay.close());
    this.#relayPort = (relay.address() as AddressInfo).port;
  }

  /** Connects clients until there are `count`, or one can not. */
  async grow(count: number): Promise<void> {
    while (this.size < count && this.fault === '') {
      const wanted = Math.min(DIALS_AT_ONCE, count - this.size);
      const made = await Promise.all(Array.from({ length: wanted }, () => this.#connect()));
      this.#clients.push(...made.flatMap((one) => (one === undefined ? [] : [one])));
    }
  }

  async #connect(): Promise<Client | undefined> {
    const { modules } = this;
    const gateway = this.network.node(GATEWAY);
    const network = await modules.directory.loadNetworkFile(this.network.ready.network);
    const identity = await modules.link.createIdentity(modules.rng);
    let client: Client | undefined;
    let ended = '';
    const dial = modules.dialClient({
      identity,
      target: { id: gateway.identity as NodeIdentity['id'], host: '127.0.0.1', port: this.#relayPort },
      terms: {
        networkId: modules.directory.networkId(network, modules.crypto.createCrypto('fastest')),
        packetBytes: this.#makeLoop(identity).packet.byteLength,
      },
      clock: modules.clock,
      queueFrames: QUEUE_FRAMES,
      stallTimeoutMs: STALL_TIMEOUT_MS,
      handshakeTimeoutMs: CONNECT_TIMEOUT_MS,
      onUp: (frames) => {
        client = { identity, send: (nextHop, packet) => frames.send(Buffer.concat([nextHop, packet])) };
      },
      onFrame: (frame) => {
        if (this.#travelling.delete(modules.sphinx.gammaKeyOf(frame))) this.#returned += 1;
      },
      onDown: (reason) => {
        ended = reason;
      },
    });
    this.scope.teardown(() => dial.close('closed'));
    await until('a client is connected', CONNECT_TIMEOUT_MS, () => client !== undefined || ended !== '');
    if (client === undefined) this.fault ||= `a client was refused: ${ended}`;
    return client;
  }

  /** Sends for some seconds, `rate` loops a second from each; resolves with how many went up and came down. */
  async run(seconds: number, rate: number): Promise<{ sent: number; returned: number }> {
    const returnedBefore = this.#returned;
    const { rng } = this.modules;
    const endMs = performance.now() + 1000 * seconds;
    const meanMs = 1000 / (rate * Math.max(1, this.size));
    let sent = 0;
    for (let dueMs = performance.now(); ; sent++) {
      dueMs -= meanMs * Math.log(1 - rng.uniform());
      if (dueMs > endMs) break;
      if (dueMs > performance.now() + 1) await sleep(dueMs - performance.now());
      const client = this.#clients[Math.floor(rng.uniform() * this.size)];
      if (client === undefined) break;
      const { packet, key, firstHop } = this.#makeLoop(client.identity);
      this.#travelling.add(key);
      client.send(firstHop, packet);
    }
    await sleep(Math.max(0, endMs - performance.now()));
    await until('loops are back', RETURN_MS, () => this.#returned - returnedBefore >= sent).catch(() => {});
    return { sent, returned: this.#returned - returnedBefore };
  }

  #makeLoop(identity: NodeIdentity) {
    const route = [...MIXES, GATEWAY].map((name): SphinxHop => {
      const { identity } = this.network.node(name);
      const publicKey = this.#keys.keyOf(identity);
      return { address: Buffer.from(identity, 'hex'), publicKey, delayNs: name === GATEWAY ? 0 : 15e6 };
    });
    const self = { address: identity.publicKey };
    const request = { route, self, message: new Uint8Array(0), payloadBytes: this.#keys.payloadBytes };
    const { packet, recovery } = this.#sphinx.createLoop(request);
    return { packet, key: recovery.key, firstHop: route[0]?.address ?? self.address };
  }
}
