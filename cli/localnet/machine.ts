/**
 * What this machine does: the processor time of Sphinx operations, measured for a fraction of a second, and its processors.
 * @module
 */
import { systemRng } from '../../lib/core/rng.ts';
import { type Crypto, createCrypto } from '../../lib/crypto/index.ts';
import { processorMs, usableProcessors } from '../../lib/runtime/processors.ts';
import { leastMs, Sphinx, type SphinxHop, unwrapMs } from '../../lib/sphinx/index.ts';
import type { MachineCosts } from './capacity.ts';
import type { LocalnetConfig } from './config.ts';

/** Hops of a packet to an exit, the exit included; a reply block has one fewer before its maker. */
const HOPS = 5;
/** Runs that are timed together: the shortest takes little longer than a look at the clock is exact. */
const BATCH = 4;

/** Measures with the crypto (`network`) and the packet size of the network. */
export function measureMachine({ packetSize }: Pick<LocalnetConfig, 'packetSize'>, network: Crypto): MachineCosts {
  const fastest = createCrypto('fastest');
  const secret = systemRng.bytes(32);
  const point = fastest.x25519Base(secret);
  const terms = { crypto: network, rng: systemRng, payloadBytes: packetSize, nowMs: processorMs };
  return {
    processors: usableProcessors(),
    scalarMs: costOf(() => fastest.x25519(secret, point)),
    unwrapMs: unwrapMs('forward', terms),
    ...endpointCosts(new Sphinx(network, systemRng), packetSize),
  };
}

/** What the ends of a route do. */
function endpointCosts(
  sphinx: Sphinx,
  payloadBytes: number,
): Omit<MachineCosts, 'processors' | 'scalarMs' | 'unwrapMs'> {
  const address = systemRng.bytes(32);
  const publicKey = sphinx.crypto.x25519Base(systemRng.bytes(32));
  const self: SphinxHop = { address, publicKey, delayNs: 0 };
  const route = Array.from({ length: HOPS }, () => self);
  const message = new Uint8Array(payloadBytes);
  const request = { route, destination: address, identifier: systemRng.bytes(16), message, payloadBytes };
  const createSurb = () => sphinx.createSurb({ route: route.slice(1), self });
  const { surb, recovery } = createSurb();
  const { packet } = sphinx.useSurb(surb, message, payloadBytes);
  const work = new Uint8Array(packet.byteLength);
  return {
    createMs: costOf(() => sphinx.createPacket(request)),
    createSurbMs: costOf(createSurb),
    useSurbMs: costOf(() => sphinx.useSurb(surb, message, payloadBytes)),
    openReplyMs: costOf(() => {
      work.set(packet);
      sphinx.recover(recovery, work);
    }),
  };
}

function costOf(operation: () => unknown): number {
  const batch = () => {
    for (let i = 0; i < BATCH; i++) operation();
  };
  return leastMs(batch, processorMs) / BATCH;
}
