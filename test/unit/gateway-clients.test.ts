import t from 'tap';
import type { ClientPort, ClientRate } from '../../gateway/client.ts';
import { Clients, SILENT_SLOT_MS } from '../../gateway/clients.ts';
import type { ClientLimits } from '../../gateway/clients-options.ts';
import { ConsensusFrames } from '../../gateway/consensus-frames.ts';
import { clientPacketsPerSecond } from '../../gateway/index.ts';
import { addressKeyOf, type IdentityHex } from '../../lib/core/bytes.ts';
import { DEFAULT_PARAMS } from '../../lib/core/params.ts';
import type { ClientTerms, SendResult } from '../../lib/link/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { monotonic } from '../support/units.ts';

const idOf = (n: number) => n.toString(16).padStart(64, '0') as IdentityHex;
const packet = (n: number) => Uint8Array.of(n);
/** Delivered to as packets come. */
const TERMS: ClientTerms = { trafficClass: 'standard', clocked: false };
const UNCLOCKED = {
  rng: seededRng(1),
  seats: { taken: () => 1, most: () => Number.POSITIVE_INFINITY },
  classRates: () => undefined,
  onTick: () => {},
  onSilent: () => {},
};
const LIFE_MS = 60_000;

class FakePort implements ClientPort {
  readonly sent: number[] = [];
  closed = false;
  room = Number.POSITIVE_INFINITY;
  readonly client = TERMS;
  readonly peer: IdentityHex;
  constructor(n: number) {
    this.peer = idOf(n);
  }
  send(bytes: Uint8Array): SendResult {
    if (this.sent.length >= this.room) return 'link-queue-full';
    this.sent.push(bytes[0] as number);
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
  close(): void {
    this.closed = true;
  }
}

function testClients(limits: Partial<ClientLimits> = {}) {
  const results: string[] = [];
  const rates = new Map<IdentityHex, ClientRate>();
  const requesters = new Set<IdentityHex>();
  const clients = new Clients({
    limits: {
      maxClients: 3,
      maxRequesters: 2,
      mailboxPackets: 4,
      mailboxTotalPackets: 6,
      maxDeliveryRate: 1000,
      ...limits,
    },
    isRequester: (id) => requesters.has(id),
    ...UNCLOCKED,
    consensus: new ConsensusFrames(2413),
    rateOf: (id) => rates.get(id) ?? { packetsPerSecond: 10, burst: 2 },
    mailboxLifeMs: () => LIFE_MS,
    onResult: (result) => results.push(result),
  });
  const drops = () => results.filter((result) => result !== 'sent');
  /** Sends a packet to client `n`; what is known of it at once. */
  const deliver = (n: number, value: number, nowMs: number) => {
    const client = clients.find(addressKeyOf(idOf(n)));
    if (client === undefined) return 'unknown-client';
    const before = results.length;
    client.send(packet(value), monotonic(nowMs));
    return results.length === before ? 'kept' : results.at(-1);
  };
  return { clients, results, drops, rates, requesters, deliver };
}

t.test('packets go to the connected client and to nobody else', (t) => {
  const { clients, deliver } = testClients();
  const port = new FakePort(1);
  clients.connect(port, monotonic(0));
  t.equal(deliver(1, 5, 1), 'sent');
  t.equal(deliver(2, 6, 1), 'unknown-client');
  t.strictSame(port.sent, [5]);
  port.room = 1;
  t.equal(deliver(1, 7, 2), 'link-queue-full');
  t.end();
});

t.test('a client that is away for a moment gets what came meanwhile, in order', (t) => {
  const { clients, results, deliver } = testClients();
  const port = new FakePort(1);
  clients.connect(port, monotonic(0));
  clients.disconnect(port, monotonic(10));
  t.equal(clients.connected, 0);
  t.equal(deliver(1, 5, 20), 'kept');
  t.equal(deliver(1, 6, 30), 'kept');
  t.equal(clients.mailboxPackets, 2);
  t.strictSame(results, [], 'what is kept is not yet counted as sent');
  const again = new FakePort(1);
  clients.connect(again, monotonic(40));
  t.strictSame(again.sent, [5, 6]);
  t.strictSame(results, ['sent', 'sent']);
  t.equal(clients.mailboxPackets, 0);
  t.equal(deliver(1, 7, 50), 'sent');
  t.end();
});

t.test('the newest link of an identity wins; the end of the old one changes nothing', (t) => {
  const { clients, deliver } = testClients();
  const [old, young] = [new FakePort(1), new FakePort(1)];
  clients.connect(old, monotonic(0));
  clients.connect(young, monotonic(5));
  t.ok(old.closed);
  clients.disconnect(old, monotonic(6));
  t.equal(clients.connected, 1);
  t.equal(deliver(1, 5, 7), 'sent');
  t.strictSame(young.sent, [5]);
  t.end();
});

t.test('a mailbox is bounded: the oldest packet goes', (t) => {
  const { clients, deliver } = testClients();
  const port = new FakePort(1);
  clients.connect(port, monotonic(0));
  clients.disconnect(port, monotonic(0));
  t.strictSame(
    [1, 2, 3, 4, 5].map((value) => deliver(1, value, 1)),
    ['kept', 'kept', 'kept', 'kept', 'mailbox-full'],
  );
  const again = new FakePort(1);
  clients.connect(again, monotonic(2));
  t.strictSame(again.sent, [2, 3, 4, 5]);
  t.end();
});

t.test('all mailboxes together are bounded, and a newcomer takes from nobody', (t) => {
  const { clients, deliver } = testClients();
  for (const n of [1, 2, 3]) {
    const port = new FakePort(n);
    clients.connect(port, monotonic(0));
    clients.disconnect(port, monotonic(0));
  }
  for (const value of [1, 2, 3, 4]) deliver(1, value, 1);
  for (const value of [5, 6]) t.equal(deliver(2, value, 1), 'kept');
  t.equal(clients.mailboxPackets, 6);
  t.equal(deliver(3, 9, 1), 'mailbox-full');
  t.equal(deliver(2, 7, 1), 'mailbox-full', 'its own oldest goes');
  t.equal(clients.mailboxPackets, 6);
  const [second, third] = [new FakePort(2), new FakePort(3)];
  clients.connect(second, monotonic(2));
  clients.connect(third, monotonic(2));
  t.strictSame(second.sent, [6, 7]);
  t.strictSame(third.sent, []);
  t.equal(clients.mailboxPackets, 4);
  t.end();
});

t.test('what is too old is not delivered, and who is away too long is forgotten', (t) => {
  const { clients, deliver, drops } = testClients();
  const port = new FakePort(1);
  clients.connect(port, monotonic(0));
  clients.disconnect(port, monotonic(0));
  deliver(1, 1, 10);
  deliver(1, 2, LIFE_MS - 10);
  clients.upkeep(monotonic(LIFE_MS - 1));
  t.strictSame(drops(), []);
  const again = new FakePort(1);
  clients.connect(again, monotonic(LIFE_MS + 20));
  t.strictSame(again.sent, [2]);
  t.strictSame(drops(), ['mailbox-expired']);
  clients.disconnect(again, monotonic(LIFE_MS + 30));
  deliver(1, 3, LIFE_MS + 40);
  clients.upkeep(monotonic(2 * LIFE_MS + 30));
  t.strictSame(drops(), ['mailbox-expired', 'mailbox-expired']);
  t.equal(deliver(1, 4, 2 * LIFE_MS + 31), 'unknown-client');
  t.equal(clients.mailboxPackets, 0);
  t.end();
});

t.test('clients are bounded in number, but one may always replace its own link', (t) => {
  const { clients } = testClients();
  for (const n of [1, 2, 3]) clients.connect(new FakePort(n), monotonic(0));
  t.not(clients.admits(idOf(4), TERMS), true);
  t.equal(clients.admits(idOf(2), TERMS), true);
  t.end();
});

t.test('absent clients are bounded too: the one away longest is forgotten', (t) => {
  const { clients } = testClients();
  for (const n of [1, 2, 3, 4, 5]) {
    const port = new FakePort(n);
    clients.connect(port, monotonic(n));
    clients.disconnect(port, monotonic(n));
  }
  const known = [1, 2, 3, 4, 5].filter((n) => clients.find(addressKeyOf(idOf(n))) !== undefined);
  t.strictSame(known, [3, 4, 5]);
  t.end();
});

t.test('requesters have a bound of their own: clients neither lock them out nor have them forgotten', (t) => {
  const { clients, requesters, deliver } = testClients();
  for (const n of [7, 8, 9]) requesters.add(idOf(n));
  const requester = new FakePort(7);
  clients.connect(requester, monotonic(0));
  clients.disconnect(requester, monotonic(1));
  t.equal(deliver(7, 1, 2), 'kept');
  const leaveOne = (n: number) => {
    const port = new FakePort(n);
    clients.connect(port, monotonic(n));
    clients.disconnect(port, monotonic(n));
  };
  for (let n = 10; n < 20; n++) leaveOne(n); // more than are remembered
  for (const n of [1, 2, 3]) clients.connect(new FakePort(n), monotonic(30));
  t.not(clients.admits(idOf(4), TERMS), true, 'clients have reached their bound');
  t.equal(clients.admits(idOf(7), TERMS), true);
  const back = new FakePort(7);
  clients.connect(back, monotonic(40));
  t.strictSame(back.sent, [1]);
  clients.connect(new FakePort(8), monotonic(50));
  t.not(clients.admits(idOf(9), TERMS), true, 'their own bound');
  t.equal(clients.admits(idOf(8), TERMS), true, 'but for its own link');
  t.end();
});

t.test('each client has its allowance, which reconnecting does not renew', (t) => {
  const { clients, rates } = testClients();
  const [port, other] = [new FakePort(1), new FakePort(2)];
  clients.connect(port, monotonic(0));
  clients.connect(other, monotonic(0));
  const taken = (link: ClientPort, nowMs: number) => {
    let count = 0;
    while (clients.mayRelay(link, monotonic(nowMs))) count += 1;
    return count;
  };
  t.equal(taken(port, 0), 2);
  clients.disconnect(port, monotonic(0));
  const again = new FakePort(1);
  clients.connect(again, monotonic(0));
  t.equal(taken(again, 0), 0);
  t.equal(taken(other, 0), 2);
  rates.set(idOf(1), { packetsPerSecond: 1000, burst: 50 });
  clients.refreshRates(monotonic(0));
  t.equal(taken(again, 0), 50, 'the consensus made it a requester');
  t.equal(taken(new FakePort(9), 0), 0, 'an unknown link has none');
  t.end();
});

t.test('a new identity begins with a small allowance, a requester of the consensus with all of its own', (t) => {
  const { clients, rates, requesters } = testClients();
  requesters.add(idOf(2));
  for (const n of [1, 2]) {
    rates.set(idOf(n), { packetsPerSecond: 10, burst: 500 });
    const port = new FakePort(n);
    clients.connect(port, monotonic(0));
    let taken = 0;
    while (clients.mayRelay(port, monotonic(0))) taken += 1;
    t.equal(taken, n === 1 ? 32 : 500);
  }
  t.end();
});

t.test('the rate of clients leaves room above the clocks of their class', (t) => {
  t.equal(clientPacketsPerSecond(DEFAULT_PARAMS, 'standard'), 1.1 * (50 + 5 + 1));
  t.equal(clientPacketsPerSecond(DEFAULT_PARAMS, 'fast'), 1.1 * (200 + 5 + 1));
  t.equal(clientPacketsPerSecond(DEFAULT_PARAMS, 'gone'), 1.1 * (200 + 5 + 1), 'of the busiest, for one that is gone');
  t.end();
});

t.test('a place that nothing is sent from goes to a newcomer; requesters keep theirs', (t) => {
  const { clients, requesters } = testClients();
  const ports = [1, 2, 3].map((n) => new FakePort(n));
  const requester = new FakePort(9);
  requesters.add(requester.peer);
  for (const port of [...ports, requester]) clients.connect(port, monotonic(0));
  const closed = () => [...ports, requester].map((port) => port.closed);
  const upkeepUntil = (fromMs: number, toMs: number) => {
    for (let nowMs = fromMs; nowMs <= toMs; nowMs += 1000) clients.upkeep(monotonic(nowMs));
  };
  upkeepUntil(0, SILENT_SLOT_MS - 60_000);
  t.not(clients.admits(idOf(4), TERMS), true, 'full');
  clients.mayRelay(ports[0] as FakePort, monotonic(SILENT_SLOT_MS - 60_000));
  upkeepUntil(SILENT_SLOT_MS - 60_000, SILENT_SLOT_MS);
  t.strictSame(closed(), [false, false, false, false], 'nobody wants a place');
  for (let i = 0; i < 3; i++) t.equal(clients.admits(idOf(4), TERMS), true);
  t.strictSame(
    closed(),
    [false, false, false, false],
    'who asks, and is perhaps refused for another reason, costs nobody a place',
  );
  clients.connect(new FakePort(4), monotonic(SILENT_SLOT_MS));
  clients.disconnect(ports[1] as FakePort, monotonic(SILENT_SLOT_MS));
  t.strictSame(closed(), [false, true, false, false]);
  upkeepUntil(10 * SILENT_SLOT_MS, 10 * SILENT_SLOT_MS + 60_000);
  t.not(clients.admits(idOf(5), TERMS), true, 'after a standstill: what they sent waits in their sockets');
  t.end();
});
