/**
 * Sends loops into a running network by a client of its own and takes their times from the recording relay before its
 * gateway: the clocks of the client play no part in them.
 * @module
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../lib/core/clock.ts';
import { packetBytes } from '../../lib/core/params.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import type { NodeEntry, Topology } from '../../lib/directory/index.ts';
import type { RouteDrawer } from '../../lib/endpoint/routes.ts';
import type { NetworkView, Sealer } from '../../lib/endpoint/sealer.ts';
import type { Components } from '../../lib/runtime/components.ts';
import { gammaKeyOf } from '../../lib/sphinx/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { built } from './built.ts';
import type { RecordedNetwork } from './recorder.ts';

/** A loop that came back. */
export interface TimedLoop {
  /** From its leaving the client's machine to its return, seen at the relay. */
  readonly tookMs: number;
  /** Sum of the delays in its header. */
  readonly drawnMs: number;
}

/** Within what a gateway lets a client of the standard class send. */
const RATE = 50;
const RING_SLOTS = 16;
/** The last ones are waited for as long as this. */
const PATIENCE_MS = 3_000;
const START_TIMEOUT_MS = 30_000;

/** Sends `count` loops over the first gateway, at fifty per second. */
export async function timeLoops(dist: string, network: RecordedNetwork, count: number): Promise<TimedLoop[]> {
  const directory = await built<typeof import('../../lib/directory/index.ts')>(dist, 'lib/directory/index.js');
  const { ClientLink, createIdentity } = await built<typeof import('../../lib/link/index.ts')>(
    dist,
    'lib/link/index.js',
  );
  const components: Components = {
    clock: systemClock,
    rng: systemRng,
    crypto: createCrypto('fastest'),
    log: silentLog,
    metrics: new Metrics(),
  };
  const file = await directory.loadNetworkFile(network.networkFile);
  const client = new directory.DirectoryClient({ network: file, components });
  await client.start();
  await until('there is a consensus', START_TIMEOUT_MS, () => client.topology() !== undefined);
  const topology = client.topology() as Topology;
  const gateway = topology.gateways[0] as NodeEntry;
  const identity = await createIdentity(systemRng);
  const known = new Set(network.clients());
  const link = ClientLink.open({
    identity,
    gateway,
    networkId: directory.networkId(file, components.crypto),
    client: { trafficClass: 'standard', clocked: false },
    packetBytes: packetBytes(topology.params.payloadBytes),
    keyExchange: 'any',
    log: silentLog,
  });
  try {
    const loops = new LoopSource(await makeSealer(dist, components, identity.publicKey, { topology, gateway }));
    const lane = link.addLane({ name: 'loop', ratePerSecond: 0, contentSlots: RING_SLOTS, idleSlots: 1 });
    const feed = () => {
      while (loops.made < count && lane.contentRoom() > 0) loops.push((hop, packet) => lane.pushContent(hop, packet));
    };
    link.onPacket((packet) => loops.take(packet));
    link.onRoom(feed);
    feed();
    await until('the loops have a link', START_TIMEOUT_MS, () => link.state === 'up');
    lane.setRate(RATE);
    await until(
      'the loops have left',
      (1500 * count) / RATE + START_TIMEOUT_MS,
      () => lane.stats().sentContent >= count,
    );
    await sleep(PATIENCE_MS);
    const recorded = network.clients().find((one) => !known.has(one));
    if (recorded === undefined) throw new Error('the loops did not pass a relay');
    // The first frame each way is the hello, of the same size.
    return loops.timed(recorded.up.slice(1), recorded.down.slice(1));
  } finally {
    await link.stop();
    await client.stop();
  }
}

async function makeSealer(
  dist: string,
  { clock, crypto, rng }: Components,
  address: Uint8Array,
  view: NetworkView,
): Promise<Sealer> {
  const sphinx = await built<typeof import('../../lib/sphinx/index.ts')>(dist, 'lib/sphinx/index.js');
  const sealers = await built<{ Sealer: typeof Sealer }>(dist, 'lib/endpoint/sealer.js');
  const routes = await built<{ RouteDrawer: typeof RouteDrawer }>(dist, 'lib/endpoint/routes.js');
  return new sealers.Sealer({
    sphinx: new sphinx.Sphinx(crypto, rng),
    drawer: new routes.RouteDrawer(rng),
    rng,
    clock,
    address,
    view,
  });
}

/** Makes loops and knows them again; frames of a lane leave in the order of their making. */
class LoopSource {
  readonly #drawnMs: number[] = [];
  readonly #expected = new Map<ReturnType<typeof gammaKeyOf>, number>();
  /** Numbers of the loops that came back, in the order in which they came. */
  readonly #returned: (number | undefined)[] = [];

  constructor(readonly sealer: Sealer) {}

  get made(): number {
    return this.#drawnMs.length;
  }

  push(send: (firstHop: Uint8Array, packet: Uint8Array) => boolean): void {
    const loop = this.sealer.loop();
    if (loop === undefined) throw new Error('the network has no route for a loop');
    this.#expected.set(loop.recovery.key, this.made);
    this.#drawnMs.push(loop.delayMs);
    send(loop.firstHop, loop.packet);
  }

  take(packet: Uint8Array): void {
    this.#returned.push(this.#expected.get(gammaKeyOf(packet)));
  }

  timed(departedMs: readonly number[], arrivedMs: readonly number[]): TimedLoop[] {
    return this.#returned.flatMap((number, i) => {
      const [departed, arrived] = [departedMs[number ?? -1], arrivedMs[i]];
      if (number === undefined || departed === undefined || arrived === undefined) return [];
      return [{ tookMs: arrived - departed, drawnMs: this.#drawnMs[number] as number }];
    });
  }
}

async function until(what: string, timeoutMs: number, condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await sleep(50);
  }
}
