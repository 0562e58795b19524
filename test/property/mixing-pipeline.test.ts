import fc from 'fast-check';
import t from 'tap';
import { packetBytes } from '../../lib/core/params.ts';
import { createCrypto } from '../../lib/crypto/index.ts';
import { PacketPipeline, SphinxKeyRing } from '../../lib/mixing/index.ts';
import { Sphinx } from '../../lib/sphinx/index.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { epochNumber, unix } from '../support/units.ts';

const crypto = createCrypto('fastest');
const rng = seededRng(31);
const sphinx = new Sphinx(crypto, rng);
const payloadBytes = 2048;
const epochMs = 60_000;
const middleMs = 1000 * epochMs + epochMs / 2;
const HEADER_BYTES = 348;

t.test('whatever the network sends: no crash, and nothing but a good header is accepted, once', (t) => {
  const keys = SphinxKeyRing.open(
    { dir: t.testdir(), crypto, rng, log: silentLog, epochMs, bootId: 'boot', mostPackets: () => 10_000 },
    unix(middleMs),
  );
  const pipeline = new PacketPipeline({ sphinx, keys, packetBytes: packetBytes(payloadBytes) });
  const publicKey = keys.publicKey(epochNumber(1000), unix(middleMs)) as Uint8Array;
  const behind = { address: rng.bytes(32), publicKey: crypto.x25519Base(rng.bytes(32)), delayNs: 0 };
  const goodPacket = () =>
    sphinx.createPacket({
      route: [{ address: rng.bytes(32), publicKey, delayNs: 1e6 }, behind],
      destination: behind.address,
      identifier: rng.bytes(16),
      message: new Uint8Array(0),
      payloadBytes,
    });
  const flip = fc.record({
    kind: fc.constant('flip' as const),
    bit: fc.integer({ min: 0, max: 8 * packetBytes(payloadBytes) - 1 }),
  });
  const cut = fc.record({ kind: fc.constant('cut' as const), bytes: fc.integer({ min: 0, max: 3000 }) });
  const noise = fc.record({ kind: fc.constant('noise' as const), seed: fc.integer() });
  const outcome = (packet: Uint8Array) => {
    const result = pipeline.process(packet, unix(middleMs));
    return typeof result === 'string' ? result : result.kind;
  };
  fc.assert(
    fc.property(fc.oneof(flip, cut, noise), (change) => {
      const good = goodPacket();
      let packet = good.slice();
      if (change.kind === 'flip') {
        packet[change.bit >> 3] = (packet[change.bit >> 3] as number) ^ (1 << (change.bit & 7));
        const inHeader = change.bit < 8 * HEADER_BYTES;
        // Payloads have no MAC at a hop: a changed one goes on, and its endpoint notices.
        const expected = inHeader ? ['mac', 'point', 'version', 'routing'] : ['forward'];
        if (!expected.includes(outcome(packet))) throw new Error(`bit ${change.bit}`);
        if (outcome(good) !== (inHeader ? 'forward' : 'replay')) throw new Error('the packet itself');
        return;
      }
      if (change.kind === 'cut') packet = Buffer.alloc(change.bytes, packet);
      else seededRng(change.seed).fill(packet);
      const same = change.kind === 'cut' && change.bytes === good.byteLength;
      const reason = outcome(packet);
      if (!same && !['length', 'mac', 'point'].includes(reason)) throw new Error(reason);
    }),
    { numRuns: 600 },
  );
  t.end();
});
