/**
 * A client that wants an exit for itself: it opens sessions without end, asks for the highest reply rate in each, answers every question, and sends as
 * many packets as its gateway lets through, full of real reply blocks. A program of its own: `hostile-client.ts DIST NETWORK-FILE`.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../lib/core/clock.ts';
import { type TrafficClass, uplinkRate } from '../../lib/core/params.ts';
import { systemRng } from '../../lib/core/rng.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import type { NodeEntry } from '../../lib/directory/index.ts';
import type { MixEndpoint } from '../../lib/endpoint/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { PROTOCOL_VERSION } from '../../lib/transport/limits.ts';
import { FRAME } from '../../lib/transport/wire/frames.ts';
import { NOBODY } from '../../lib/transport/wire/packet-builder.ts';
import { beginUplink, decodeDownlink } from '../../lib/transport/wire/payload.ts';
import { built } from '../probe/built.ts';

/** What a gateway lets a client send beyond its clocks (docs/PROTOCOL.md section 5.7). */
const ALLOWANCE = 1.1;
/** Replies per 1,000 s: the most that a session may ask for. */
const HIGHEST_RATE = 2_000_000;
/** Sessions that it sends on with, so that they keep their seats, beside new ones. */
const KEPT_SESSIONS = 40;
const BLOCKS_PER_PACKET = 16;
const BLOCK_LIFE_MS = 300_000;

/** A session of the hostile client, and what it gets from the exit. */
class HostileSession {
  readonly #id = systemRng.bytes(16);
  #number = 0;
  #challenge: Uint8Array | undefined;
  static replies = 0;

  receive(plaintext: Uint8Array): void {
    HostileSession.replies += 1;
    for (const frame of decodeDownlink(plaintext)?.frames ?? []) {
      if (frame.type === FRAME.CHALLENGE) this.#challenge = frame.bytes;
    }
  }

  packet(endpoint: MixEndpoint): Uint8Array {
    const builder = beginUplink(endpoint.topology.params.payloadBytes, this.#id, ++this.#number);
    if (this.#number === 1) builder.hello(NOBODY, PROTOCOL_VERSION, new Uint8Array(0), 1 << 20, 1 << 18);
    builder.rate(NOBODY, HIGHEST_RATE);
    if (this.#challenge !== undefined) builder.response(NOBODY, this.#challenge);
    const count = Math.min(BLOCKS_PER_PACKET, builder.surbRoom);
    const blocks = Array.from({ length: count }, () => endpoint.createSurb(this)).filter((one) => one !== undefined);
    builder.replyBlocks(NOBODY, 0, BLOCK_LIFE_MS, blocks);
    return builder.bytes;
  }
}

async function join(dist: string, networkFile: string): Promise<MixEndpoint> {
  const documents = await built<typeof import('../../lib/directory/index.ts')>(dist, 'lib/directory/index.js');
  const links = await built<typeof import('../../lib/link/index.ts')>(dist, 'lib/link/index.js');
  const endpoints = await built<typeof import('../../lib/endpoint/index.ts')>(dist, 'lib/endpoint/index.js');
  const crypto = createCrypto('fastest');
  const components = { clock: systemClock, rng: systemRng, crypto, log: silentLog, metrics: new Metrics() };
  const network = await documents.loadNetworkFile(networkFile);
  const directory = new documents.DirectoryClient({ network, components });
  await directory.start();
  while (directory.topology() === undefined) await sleep(100);
  const endpoint = new endpoints.MixEndpoint({
    components,
    identity: await links.createIdentity(systemRng),
    networkId: documents.networkId(network, crypto),
    directory,
    trafficClass: 'standard',
    keyExchange: 'any',
    usableGateways: ({ gateways }) => gateways,
  });
  endpoint.start();
  return endpoint;
}

function floods(endpoint: MixEndpoint): () => number {
  const { loopRate, dropRate } = endpoint.trafficClass as TrafficClass;
  const ratePerSecond = ALLOWANCE * uplinkRate(endpoint.trafficClass) - loopRate - dropRate;
  const lane = endpoint.addLane({ name: 'main', ratePerSecond, contentSlots: 8, idleSlots: 1 });
  const kept: HostileSession[] = [];
  let opened = 0;
  const session = () => {
    if (kept.length > 0 && systemRng.int(3) > 0) return kept[systemRng.int(kept.length)] as HostileSession;
    opened += 1;
    const fresh = new HostileSession();
    if (kept.push(fresh) > KEPT_SESSIONS) kept.shift();
    return fresh;
  };
  const feed = () => {
    while (lane.contentRoom() > 0) {
      const { requesters } = endpoint.topology;
      const requester = requesters[systemRng.int(requesters.length)] as NodeEntry;
      const sealed = endpoint.sealTo(requester, session().packet(endpoint));
      if (sealed === undefined || !lane.pushContent(sealed.firstHop, sealed.packet)) return;
    }
  };
  endpoint.addFeeder(feed);
  feed();
  return () => opened;
}

const [, , dist = '', networkFile = ''] = process.argv;
const endpoint = await join(dist, networkFile);
const opened = floods(endpoint);
process.stdout.write('floods\n');
setInterval(() => {
  process.stdout.write(`${JSON.stringify({ opened: opened(), replies: HostileSession.replies })}\n`);
}, 1000);
process.on('disconnect', () => process.exit(0));
