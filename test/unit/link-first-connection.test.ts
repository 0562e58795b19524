/** Which of two addresses of a node is taken, on the virtual clock: the test says what becomes of each attempt. */
import { Socket } from 'node:net';
import t from 'tap';
import { ATTEMPT_DELAY_MS, addressesOf, FirstConnection } from '../../lib/link/first-connection.ts';
import type { HostPort } from '../../lib/net/address.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const IPV4 = { host: '192.0.2.1', port: 4001 };
const IPV6 = { host: '2001:db8::1', port: 4002 };

class World {
  readonly clock = new VirtualClock();
  readonly sockets = new Map<string, Socket>();
  /** What came of it. */
  readonly outcome: string[] = [];
  readonly connection: FirstConnection;

  constructor(...addresses: HostPort[]) {
    this.connection = new FirstConnection({
      addresses,
      clock: this.clock,
      onConnected: (socket) => {
        const [host] = [...this.sockets].find(([, one]) => one === socket) ?? [];
        this.outcome.push(`connected ${host}`);
      },
      onFailed: (code) => this.outcome.push(code),
      open: ({ host }) => {
        const socket = new Socket();
        this.sockets.set(host, socket);
        return socket;
      },
    });
  }

  get tried(): string[] {
    return [...this.sockets.keys()];
  }

  connects({ host }: HostPort): void {
    this.sockets.get(host)?.emit('connect');
  }

  fails({ host }: HostPort, code: string): void {
    this.sockets.get(host)?.emit('error', Object.assign(new Error(code), { code }));
  }

  isGivenUp({ host }: HostPort): boolean {
    return this.sockets.get(host)?.destroyed === true;
  }
}

t.test('an address that answers is the only one that is tried', (t) => {
  const world = new World(IPV6, IPV4);
  t.same(world.tried, [IPV6.host]);
  world.clock.advance(ATTEMPT_DELAY_MS - 1);
  world.connects(IPV6);
  t.same(world.outcome, [`connected ${IPV6.host}`]);
  world.clock.advance(10 * ATTEMPT_DELAY_MS);
  t.same(world.tried, [IPV6.host]);
  t.notOk(world.isGivenUp(IPV6));
  t.end();
});

t.test('where there is no route the other address is tried at once', (t) => {
  const world = new World(IPV6, IPV4);
  world.fails(IPV6, 'ENETUNREACH');
  t.same(world.tried, [IPV6.host, IPV4.host]);
  world.connects(IPV4);
  t.same(world.outcome, [`connected ${IPV4.host}`]);
  t.equal(world.clock.pending, 0);
  t.end();
});

t.test('one that is silent is not waited for, but may still be the first', (t) => {
  for (const winner of [IPV6, IPV4]) {
    const world = new World(IPV6, IPV4);
    world.clock.advance(ATTEMPT_DELAY_MS);
    t.same(world.tried, [IPV6.host, IPV4.host]);
    t.notOk(world.isGivenUp(IPV6));
    world.connects(winner);
    world.connects(winner === IPV6 ? IPV4 : IPV6);
    world.fails(winner === IPV6 ? IPV4 : IPV6, 'ECONNRESET');
    t.same(world.outcome, [`connected ${winner.host}`], 'one is taken');
    t.ok(world.isGivenUp(winner === IPV6 ? IPV4 : IPV6));
  }
  t.end();
});

t.test('when all fail the reason is that of an address which there is a route to', (t) => {
  const world = new World(IPV6, IPV4);
  world.fails(IPV6, 'ECONNREFUSED');
  t.same(world.outcome, []);
  world.fails(IPV4, 'ENETUNREACH');
  t.same(world.outcome, ['ECONNREFUSED']);
  const alone = new World(IPV4);
  alone.fails(IPV4, 'ENETUNREACH');
  t.same(alone.outcome, ['ENETUNREACH']);
  t.end();
});

t.test('one that is given up calls nobody back and leaves nothing', (t) => {
  const world = new World(IPV6, IPV4);
  world.clock.advance(ATTEMPT_DELAY_MS);
  world.connection.cancel();
  t.ok(world.isGivenUp(IPV6) && world.isGivenUp(IPV4));
  world.connects(IPV4);
  world.fails(IPV6, 'ETIMEDOUT');
  t.same(world.outcome, []);
  t.equal(world.clock.pending, 0);
  t.end();
});

t.test('IPv6 comes first, or IPv4 after a failure; an own address to dial from means its family alone', (t) => {
  const target = { ...IPV4, ipv6: IPV6 };
  const orderOf = (ipv4First: boolean, localAddress?: string) => addressesOf(target, { ipv4First, localAddress });
  t.same(orderOf(false), [IPV6, IPV4]);
  t.same(orderOf(true), [IPV4, IPV6]);
  t.same(orderOf(false, '127.0.0.2'), [IPV4]);
  t.same(orderOf(true, '::1'), [IPV6]);
  t.same(addressesOf(IPV6, { ipv4First: true, localAddress: '127.0.0.2' }), [IPV6], 'with one there is no choice');
  t.end();
});
