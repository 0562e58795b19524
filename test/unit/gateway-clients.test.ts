import t from 'tap';
import { type ClientLimits, type ClientPort, type ClientRate, Clients } from '../../gateway/clients.ts';
import { clientPacketsPerSecond } from '../../gateway/index.ts';
import { addressKeyOf, type IdentityHex } from '../../lib/bytes.ts';
import { DEFAULT_PARAMS } from '../../lib/params.ts';

const idOf = (n: number) => n.toString(16).padStart(64, '0') as IdentityHex;
const packet = (n: number) => Uint8Array.of(n);
const LIFE_MS = 60_000;

class FakePort implements ClientPort {
  readonly sent: number[] = [];
  closed = false;
  room = Number.POSITIVE_INFINITY;
  readonly peer: IdentityHex;
  constructor(n: number) {
    this.peer = idOf(n);
  }
  send(bytes: Uint8Array): boolean {
    if (this.sent.length >= this.room) return false;
    this.sent.push(bytes[0] as number);
    return true;
  }
  close(): void {
    this.closed = true;
  }
}

function testClients(limits: Partial<ClientLimits> = {}) {
  const drops: string[] = [];
  const rates = new Map<IdentityHex, ClientRate>();
  const requesters = new Set<IdentityHex>();
  const clients = new Clients({
    limits: { maxClients: 3, maxRequesters: 2, mailboxPackets: 4, mailboxTotalPackets: 6, ...limits },
    isRequester: (id) => requesters.has(id),
    rateOf: (id) => rates.get(id) ?? { packetsPerSecond: 10, burst: 2 },
    mailboxLifeMs: () => LIFE_MS,
    onDrop: (reason) => drops.push(reason),
  });
  const deliver = (n: number, value: number, nowMs: number) =>
    clients.deliver(addressKeyOf(idOf(n)), packet(value), nowMs);
  return { clients, drops, rates, requesters, deliver };
}

t.test('packets go to the connected client and to nobody else', (t) => {
  const { clients, deliver } = testClients();
  const port = new FakePort(1);
  clients.connect(port, 0);
  t.equal(deliver(1, 5, 1), 'sent');
  t.equal(deliver(2, 6, 1), 'unknown-client');
  t.strictSame(port.sent, [5]);
  port.room = 1;
  t.equal(deliver(1, 7, 2), 'link-queue-full');
  t.end();
});

t.test('a client that is away for a moment gets what came meanwhile, in order', (t) => {
  const { clients, deliver } = testClients();
  const port = new FakePort(1);
  clients.connect(port, 0);
  clients.disconnect(port, 10);
  t.equal(clients.connected, 0);
  t.equal(deliver(1, 5, 20), 'kept');
  t.equal(deliver(1, 6, 30), 'kept');
  t.equal(clients.mailboxPackets, 2);
  const again = new FakePort(1);
  clients.connect(again, 40);
  t.strictSame(again.sent, [5, 6]);
  t.equal(clients.mailboxPackets, 0);
  t.equal(deliver(1, 7, 50), 'sent');
  t.end();
});

t.test('the newest link of an identity wins; the end of the old one changes nothing', (t) => {
  const { clients, deliver } = testClients();
  const [old, young] = [new FakePort(1), new FakePort(1)];
  clients.connect(old, 0);
  clients.connect(young, 5);
  t.ok(old.closed);
  clients.disconnect(old, 6);
  t.equal(clients.connected, 1);
  t.equal(deliver(1, 5, 7), 'sent');
  t.strictSame(young.sent, [5]);
  t.end();
});

t.test('a mailbox is bounded: the oldest packet goes', (t) => {
  const { clients, deliver } = testClients();
  const port = new FakePort(1);
  clients.connect(port, 0);
  clients.disconnect(port, 0);
  t.strictSame(
    [1, 2, 3, 4, 5].map((value) => deliver(1, value, 1)),
    ['kept', 'kept', 'kept', 'kept', 'mailbox-full'],
  );
  const again = new FakePort(1);
  clients.connect(again, 2);
  t.strictSame(again.sent, [2, 3, 4, 5]);
  t.end();
});

t.test('all mailboxes together are bounded, and a newcomer takes from nobody', (t) => {
  const { clients, deliver } = testClients();
  for (const n of [1, 2, 3]) {
    const port = new FakePort(n);
    clients.connect(port, 0);
    clients.disconnect(port, 0);
  }
  for (const value of [1, 2, 3, 4]) deliver(1, value, 1);
  for (const value of [5, 6]) t.equal(deliver(2, value, 1), 'kept');
  t.equal(clients.mailboxPackets, 6);
  t.equal(deliver(3, 9, 1), 'mailbox-full');
  t.equal(deliver(2, 7, 1), 'mailbox-full', 'its own oldest goes');
  t.equal(clients.mailboxPackets, 6);
  const [second, third] = [new FakePort(2), new FakePort(3)];
  clients.connect(second, 2);
  clients.connect(third, 2);
  t.strictSame(second.sent, [6, 7]);
  t.strictSame(third.sent, []);
  t.equal(clients.mailboxPackets, 4);
  t.end();
});

t.test('what is too old is not delivered, and who is away too long is forgotten', (t) => {
  const { clients, deliver, drops } = testClients();
  const port = new FakePort(1);
  clients.connect(port, 0);
  clients.disconnect(port, 0);
  deliver(1, 1, 10);
  deliver(1, 2, LIFE_MS - 10);
  clients.expire(LIFE_MS - 1);
  t.strictSame(drops, []);
  const again = new FakePort(1);
  clients.connect(again, LIFE_MS + 20);
  t.strictSame(again.sent, [2]);
  t.strictSame(drops, ['mailbox-expired']);
  clients.disconnect(again, LIFE_MS + 30);
  deliver(1, 3, LIFE_MS + 40);
  clients.expire(2 * LIFE_MS + 30);
  t.strictSame(drops, ['mailbox-expired', 'mailbox-expired']);
  t.equal(deliver(1, 4, 2 * LIFE_MS + 31), 'unknown-client');
  t.equal(clients.mailboxPackets, 0);
  t.end();
});

t.test('clients are bounded in number, but one may always replace its own link', (t) => {
  const { clients } = testClients();
  for (const n of [1, 2, 3]) clients.connect(new FakePort(n), 0);
  t.notOk(clients.admits(idOf(4)));
  t.ok(clients.admits(idOf(2)));
  t.end();
});

t.test('absent clients are bounded too: the one away longest is forgotten', (t) => {
  const { clients } = testClients();
  for (const n of [1, 2, 3, 4, 5]) {
    const port = new FakePort(n);
    clients.connect(port, n);
    clients.disconnect(port, n);
  }
  const known = [1, 2, 3, 4, 5].filter((n) => clients.knows(addressKeyOf(idOf(n))));
  t.strictSame(known, [3, 4, 5]);
  t.end();
});

t.test('requesters have a bound of their own: clients neither lock them out nor have them forgotten', (t) => {
  const { clients, requesters, deliver } = testClients();
  for (const n of [7, 8, 9]) requesters.add(idOf(n));
  const requester = new FakePort(7);
  clients.connect(requester, 0);
  clients.disconnect(requester, 1);
  t.equal(deliver(7, 1, 2), 'kept');
  const leaveOne = (n: number) => {
    const port = new FakePort(n);
    clients.connect(port, n);
    clients.disconnect(port, n);
  };
  for (let n = 10; n < 20; n++) leaveOne(n); // more than are remembered
  for (const n of [1, 2, 3]) clients.connect(new FakePort(n), 30);
  t.notOk(clients.admits(idOf(4)), 'a client has no place');
  t.ok(clients.admits(idOf(7)));
  const back = new FakePort(7);
  clients.connect(back, 40);
  t.strictSame(back.sent, [1]);
  clients.connect(new FakePort(8), 50);
  t.notOk(clients.admits(idOf(9)), 'their own bound');
  t.ok(clients.admits(idOf(8)), 'but for its own link');
  t.end();
});

t.test('each client has its allowance, which reconnecting does not renew', (t) => {
  const { clients, rates } = testClients();
  const [port, other] = [new FakePort(1), new FakePort(2)];
  clients.connect(port, 0);
  clients.connect(other, 0);
  const taken = (link: ClientPort, nowMs: number) => {
    let count = 0;
    while (clients.mayRelay(link, nowMs)) count += 1;
    return count;
  };
  t.equal(taken(port, 0), 2);
  clients.disconnect(port, 0);
  const again = new FakePort(1);
  clients.connect(again, 0);
  t.equal(taken(again, 0), 0);
  t.equal(taken(other, 0), 2);
  rates.set(idOf(1), { packetsPerSecond: 1000, burst: 50 });
  clients.refreshRates(0);
  t.equal(taken(again, 0), 50, 'the consensus made it a requester');
  t.equal(taken(new FakePort(9), 0), 0, 'an unknown link has none');
  t.end();
});

t.test('the rate of clients leaves room above the clocks of the busiest class', (t) => {
  t.equal(clientPacketsPerSecond(DEFAULT_PARAMS), 1.1 * (200 + 5 + 1));
  t.end();
});
