/**
 * Attack: replay over a crash. Someone who can crash a mix, or wait for that, records what it gets, and sends it again to the process
 * that comes after: what leaves twice is the same packet, and shows its way.
 *
 * Defence: no packet leaves before its replay tag is in the journal on disk. Tags are written late, when a packet is to leave whose tag
 * is missing, so that packets in the pool of a dead process may come in again: they have not left. What remains: the journal outlives the
 * process, not a crash of the system; after that the keys are new.
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type AddressKey, addressKeyAt } from '../../lib/core/bytes.ts';
import { packetBytes } from '../../lib/core/params.ts';
import { exponential } from '../../lib/core/rng.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import {
  Arrivals,
  DelayQueue,
  DepartureTicks,
  FairPolicer,
  PacketPipeline,
  SphinxKeyRing,
} from '../../lib/mixing/index.ts';
import { NodeMetrics, PacketEngine } from '../../lib/node/index.ts';
import { Sphinx } from '../../lib/sphinx/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { epochNumber, monotonic, unix } from '../support/units.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const crypto = createCrypto('fastest');
const EPOCH_MS = 60_000;
const NOW_MS = unix(1000 * EPOCH_MS + EPOCH_MS / 2);
const PAYLOAD_BYTES = 2048;
const PACKETS = 24;
const MEAN_DELAY_MS = 15;
const MEAN_GAP_MS = 5;
/** When tags are written: as a node does it, or with the defence switched off. */
type Recording = (keys: SphinxKeyRing) => () => boolean;

function openKeys(dir: string): SphinxKeyRing {
  const options = { crypto, rng: seededRng(4), log: silentLog, epochMs: EPOCH_MS, mostPackets: () => 10_000 };
  return SphinxKeyRing.open({ ...options, dir, bootId: 'boot' }, NOW_MS);
}

function pipelineOf(keys: SphinxKeyRing): PacketPipeline {
  return new PacketPipeline({
    sphinx: new Sphinx(crypto, seededRng(5)),
    keys,
    packetBytes: packetBytes(PAYLOAD_BYTES),
  });
}

/** Packets through the node to hops whose addresses are their numbers. */
function makePackets(keys: SphinxKeyRing): Uint8Array[] {
  const rng = seededRng(6);
  const sphinx = new Sphinx(crypto, rng);
  const publicKey = keys.publicKey(epochNumber(1000), NOW_MS) as Uint8Array;
  const behind = crypto.x25519Base(rng.bytes(32));
  return Array.from({ length: PACKETS }, (_, number) => {
    const delayNs = Math.round(1e6 * exponential(rng, MEAN_DELAY_MS));
    return sphinx.createPacket({
      route: [
        { address: rng.bytes(32), publicKey, delayNs },
        { address: addressOf(number), publicKey: behind, delayNs: 0 },
      ],
      destination: addressOf(number),
      identifier: rng.bytes(16),
      message: new Uint8Array(0),
      payloadBytes: PAYLOAD_BYTES,
    });
  });
}

const addressOf = (number: number) => new Uint8Array(32).fill(number + 1);

/** What a crash leaves: the disk as it was, and the packets that had left. */
interface Crash {
  readonly dir: string;
  readonly left: readonly number[];
}

/** Runs a mix on a Poisson stream of packets; it may crash whenever one has come in or left. */
function crashes(t: Test, record: Recording): { packets: readonly Uint8Array[]; crashed: Crash[]; writes: number } {
  const dir = t.testdir();
  const keys = openKeys(join(dir, 'keys'));
  const packets = makePackets(keys);
  const rng = seededRng(7);
  const clock = new VirtualClock(NOW_MS);
  const policer = new FairPolicer<string>(10_000, monotonic(-1000));
  policer.setWeights(new Map([['neighbour', 1]]));
  const crashed: Crash[] = [];
  const left: number[] = [];
  const crash = () => {
    const copy = join(dir, `crash-${crashed.length}`);
    cpSync(join(dir, 'keys'), copy, { recursive: true });
    crashed.push({ dir: copy, left: [...left] });
  };
  let writes = 0;
  const flushTags = record(keys);
  const engine = new PacketEngine({
    clock,
    policer,
    arrivals: new Arrivals(packetBytes(PAYLOAD_BYTES)),
    pipeline: pipelineOf(keys),
    flushTags() {
      writes += 1;
      return flushTags();
    },
    loops: { receive: () => undefined },
    pool: new DelayQueue(),
    ticks: new DepartureTicks(rng),
    maxDelayMs: () => 10_000,
    behaviour: {
      endsPackets: false,
      nextHop: (next: AddressKey) => ({
        send() {
          left.push(Array.from(packets.keys()).findIndex((number) => addressKeyAt(addressOf(number), 0) === next));
          crash();
        },
      }),
    },
    metrics: new NodeMetrics(new Metrics()),
  });
  for (const packet of packets) {
    clock.advance(exponential(rng, MEAN_GAP_MS));
    engine.receive(packet.slice(), policer.link('neighbour'));
    crash();
  }
  clock.advance(20 * MEAN_DELAY_MS);
  engine.stop();
  return { packets, crashed, writes };
}

/** How many packets have left and are accepted again by the process that comes after a crash. */
function acceptedTwice(packets: readonly Uint8Array[], { dir, left }: Crash): number {
  const keys = openKeys(dir);
  const pipeline = pipelineOf(keys);
  const twice = left.filter((number) => pipeline.process((packets[number] as Uint8Array).slice(), NOW_MS) !== 'replay');
  keys.close();
  return twice.length;
}

const worst = (packets: readonly Uint8Array[], crashed: readonly Crash[]) =>
  Math.max(...crashed.map((one) => acceptedTwice(packets, one)));

t.test('whenever a mix crashes, nothing that has left it gets through again', async (t) => {
  const { packets, crashed, writes } = crashes(t, (keys) => () => keys.flush());
  t.equal(crashed.length, 2 * PACKETS, 'a crash after each arrival and each departure');
  t.equal(crashed.at(-1)?.left.length, PACKETS, 'all have left in the end');
  t.equal(worst(packets, crashed), 0);
  t.ok(writes < PACKETS / 2, `${writes} writes: one covers what waits in the pool`);
});

t.test('a mix that writes no tags lets everything through again', async (t) => {
  const { packets, crashed } = crashes(t, () => () => true);
  t.equal(worst(packets, crashed), PACKETS);
});

t.test('a mix that writes tags behind the departure, not before it, is rejected', async (t) => {
  const { packets, crashed } = crashes(t, (keys) => {
    let due = false;
    return () => {
      if (due) keys.flush(); // those of the departures before
      due = true;
      return true;
    };
  });
  t.ok(worst(packets, crashed) > 0);
});
