import fc from 'fast-check';
import t from 'tap';
import type { ClientPort } from '../../gateway/client.ts';
import { Clients } from '../../gateway/clients.ts';
import { ConsensusFrames } from '../../gateway/consensus-frames.ts';
import { addressKeyOf, type IdentityHex } from '../../lib/core/bytes.ts';
import type { ClientTerms, SendResult } from '../../lib/link/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic } from '../support/units.ts';

/** Delivered to as packets come. */
const TERMS: ClientTerms = { trafficClass: 'standard', clocked: false };
const UNCLOCKED = {
  rng: seededRng(1),
  seats: { taken: () => 1, most: () => Number.POSITIVE_INFINITY },
  classRates: () => undefined,
  onTick: () => {},
  onSilent: () => {},
};
const LIFE_MS = 100;
const idOf = (n: number) => n.toString(16).padStart(64, '0') as IdentityHex;

class Port implements ClientPort {
  readonly client = TERMS;
  readonly peer: IdentityHex;
  readonly sent: number[] = [];
  constructor(n: number) {
    this.peer = idOf(n);
  }
  send(bytes: Uint8Array): SendResult {
    this.sent.push(Buffer.from(bytes).readUInt32BE(0));
    return 'sent';
  }
  sendPadding(): SendResult {
    return 'sent';
  }
  sendConsensus(): SendResult {
    return 'sent';
  }
  queued(): number {
    return 0;
  }
  close(): void {}
}

const who = fc.integer({ min: 0, max: 6 });
const step = fc.oneof(
  fc.record({ kind: fc.constant('connect' as const), who }),
  fc.record({ kind: fc.constant('leave' as const), who }),
  fc.record({ kind: fc.constant('deliver' as const), who }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 80 }) }),
);

t.test('every packet is sent, still kept, or counted as dropped; none twice, in order, all bounds held', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const limits = {
        maxClients: 3,
        maxRequesters: 1,
        mailboxPackets: 3,
        mailboxTotalPackets: 5,
        maxDeliveryRate: 1000,
      };
      let dropped = 0;
      let counted = 0;
      const clients = new Clients({
        limits,
        isRequester: (id) => id === idOf(0),
        ...UNCLOCKED,
        consensus: new ConsensusFrames(2413),
        rateOf: () => ({ packetsPerSecond: 1, burst: 1 }),
        mailboxLifeMs: () => LIFE_MS,
        onResult: (result) => {
          if (result === 'sent') counted += 1;
          else dropped += 1;
        },
      });
      const ports = new Map<number, Port>();
      const all: Port[] = [];
      let nowMs = 0;
      let given = 0;
      for (const one of steps) {
        nowMs += 1;
        if (one.kind === 'wait') {
          nowMs += one.ms;
          clients.upkeep(monotonic(nowMs));
        } else if (one.kind === 'connect') {
          if (clients.admits(idOf(one.who), TERMS) !== true) continue;
          const port = new Port(one.who);
          all.push(port);
          ports.set(one.who, port);
          clients.connect(port, monotonic(nowMs));
        } else if (one.kind === 'leave') {
          const port = ports.get(one.who);
          if (port !== undefined) clients.disconnect(port, monotonic(nowMs));
          ports.delete(one.who);
        } else {
          const packet = Buffer.alloc(4);
          packet.writeUInt32BE(given++);
          const client = clients.find(addressKeyOf(idOf(one.who)));
          if (client === undefined) dropped += 1;
          else client.send(packet, monotonic(nowMs));
        }
        if (clients.connected !== ports.size || ports.size > limits.maxClients + limits.maxRequesters)
          throw new Error('connected');
        if (clients.mailboxPackets > limits.mailboxTotalPackets) throw new Error('space');
      }
      const sent = all.flatMap((port) => port.sent);
      if (counted !== sent.length) throw new Error('a packet was sent and not counted, or counted and not sent');
      if (new Set(sent).size !== sent.length) throw new Error('a packet was sent twice');
      for (const port of all)
        if (port.sent.some((n, i) => i > 0 && n < (port.sent[i - 1] as number))) throw new Error('order');
      if (sent.length + clients.mailboxPackets + dropped !== given) throw new Error('a packet is unaccounted for');
    }),
    { numRuns: 500 },
  );
  t.end();
});
