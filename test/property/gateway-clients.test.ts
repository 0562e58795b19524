import fc from 'fast-check';
import t from 'tap';
import { type ClientPort, Clients } from '../../gateway/clients.ts';
import { addressKeyOf, type IdentityHex } from '../../lib/bytes.ts';

const LIFE_MS = 100;
const idOf = (n: number) => n.toString(16).padStart(64, '0') as IdentityHex;

class Port implements ClientPort {
  readonly peer: IdentityHex;
  readonly sent: number[] = [];
  constructor(n: number) {
    this.peer = idOf(n);
  }
  send(bytes: Uint8Array): boolean {
    this.sent.push(Buffer.from(bytes).readUInt32BE(0));
    return true;
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
      const limits = { maxClients: 3, maxRequesters: 1, mailboxPackets: 3, mailboxTotalPackets: 5 };
      let dropped = 0;
      const clients = new Clients({
        limits,
        isRequester: (id) => id === idOf(0),
        rateOf: () => ({ packetsPerSecond: 1, burst: 1 }),
        mailboxLifeMs: () => LIFE_MS,
        onDrop: () => {
          dropped += 1;
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
          clients.expire(nowMs);
        } else if (one.kind === 'connect') {
          if (!clients.admits(idOf(one.who))) continue;
          const port = new Port(one.who);
          all.push(port);
          ports.set(one.who, port);
          clients.connect(port, nowMs);
        } else if (one.kind === 'leave') {
          const port = ports.get(one.who);
          if (port !== undefined) clients.disconnect(port, nowMs);
          ports.delete(one.who);
        } else {
          const packet = Buffer.alloc(4);
          packet.writeUInt32BE(given++);
          const outcome = clients.deliver(addressKeyOf(idOf(one.who)), packet, nowMs);
          if (outcome !== 'sent' && outcome !== 'kept') dropped += 1;
        }
        if (clients.connected !== ports.size || ports.size > limits.maxClients + limits.maxRequesters)
          throw new Error('connected');
        if (clients.mailboxPackets > limits.mailboxTotalPackets) throw new Error('space');
      }
      const sent = all.flatMap((port) => port.sent);
      if (new Set(sent).size !== sent.length) throw new Error('a packet was sent twice');
      for (const port of all)
        if (port.sent.some((n, i) => i > 0 && n < (port.sent[i - 1] as number))) throw new Error('order');
      if (sent.length + clients.mailboxPackets + dropped !== given) throw new Error('a packet is unaccounted for');
    }),
    { numRuns: 500 },
  );
  t.end();
});
