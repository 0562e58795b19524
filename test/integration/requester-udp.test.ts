/** Bounds of a UDP association at the exit. */
import t, { type Test } from 'tap';
import type { AcceptedStream, StreamHandlers } from '../../lib/session/index.ts';
import type { EgressLimits } from '../../network-requester/config.ts';
import type { NameResolver } from '../../network-requester/dns/resolver.ts';
import { Egress } from '../../network-requester/egress/egress.ts';
import { eventually, testComponents } from '../support/front-world.ts';
import { UdpPeer } from '../support/udp.ts';

/** A resolver that answers when the test says so; every name is loopback. */
class PatientResolver implements NameResolver {
  readonly asked: string[] = [];
  #waiting: (() => void)[] = [];
  held = false;

  async resolve(name: string): Promise<readonly string[]> {
    this.asked.push(name);
    if (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return ['127.0.0.1'];
  }

  reverse = this.resolve;

  release(): void {
    this.held = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** An association at an exit, without a session: what comes back for the proxy is in `down`. */
function association(t: Test, limits: Partial<EgressLimits>) {
  const components = testComponents();
  const resolver = new PatientResolver();
  const egress = new Egress({ components, allowPrivate: true, resolver, limits });
  t.teardown(() => egress.stop());
  const down: string[] = [];
  const stream: Partial<AcceptedStream> = {
    id: 1,
    opened: () => {},
    reset: () => {},
    sendDatagram: (_host, port, bytes) => down.push(`${port} ${Buffer.from(bytes)}`) > 0,
  };
  const handlers = egress.accept(stream as AcceptedStream, 'udp', '0.0.0.0', 0, 'one') as StreamHandlers;
  const send = (host: string, port: number, text: string) => handlers.onDatagram?.(host, port, Buffer.from(text));
  const count = async (fate: string) =>
    Number(new RegExp(`fate="${fate}"\\} (\\d+)`).exec(await components.metrics.text())?.[1] ?? 0);
  return { send, down, resolver, count };
}

t.test('beyond the bound of peers, the one sent to longest ago can answer no more', async (t) => {
  const { send, down, count } = association(t, { udpPeers: 2 });
  const sites = await Promise.all([UdpPeer.open(t), UdpPeer.open(t), UdpPeer.open(t)]);
  const [first, second, third] = sites as [UdpPeer, UdpPeer, UdpPeer];
  send('127.0.0.1', first.port, 'a');
  send('127.0.0.1', second.port, 'b');
  send('127.0.0.1', first.port, 'c'); // now the second is the one sent to longest ago
  send('127.0.0.1', third.port, 'd');
  const exit = (await third.datagram(0)).from.port;
  await Promise.all([first.datagram(1), second.datagram(0)]);
  second.send(Buffer.from('from the second'), exit);
  first.send(Buffer.from('from the first'), exit);
  third.send(Buffer.from('from the third'), exit);
  await eventually(() => down.length >= 2);
  while ((await count('foreign')) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  t.same(down.sort(), [`${first.port} from the first`, `${third.port} from the third`].sort());
});

t.test('beyond the bound of names, the oldest is resolved again', async (t) => {
  const { send, resolver } = association(t, { udpNames: 2 });
  const site = await UdpPeer.open(t);
  const names = ['a', 'b', 'a', 'c', 'b', 'a'];
  for (const [index, name] of names.entries()) {
    send(`${name}.example`, site.port, name);
    await site.datagram(index);
  }
  t.same(resolver.asked, ['a.example', 'b.example', 'c.example', 'a.example']);
});

t.test('so many datagrams wait for a name, further ones are lost', async (t) => {
  const { send, resolver, count } = association(t, { udpWaiting: 3 });
  const site = await UdpPeer.open(t);
  resolver.held = true;
  for (let i = 0; i < 5; i++) send('slow.example', site.port, `${i}`);
  t.equal(await count('queue-full'), 2);
  send('127.0.0.1', site.port, 'past them');
  t.equal((await site.datagram(0)).bytes.toString(), 'past them', 'an address waits for nobody');
  resolver.release();
  await site.datagram(3);
  t.same(
    site.received.map(({ bytes }) => `${bytes}`),
    ['past them', '0', '1', '2'],
  );
  send('slow.example', site.port, 'later');
  t.equal((await site.datagram(4)).bytes.toString(), 'later', 'and there is room again');
  t.equal(resolver.asked.length, 1);
});
