/** What bounds the sockets of an association at the exit. */

import t, { type Test } from 'tap';
import type { AcceptedStream, AcceptHandler, StreamHandlers } from '../../lib/session/index.ts';
import { Egress } from '../../network-requester/egress/egress.ts';
import { eventually, testComponents } from '../support/front-world.ts';
import { UdpPeer } from '../support/udp.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** Polls an asynchronous condition. */
async function soon(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** An exit without a front: datagrams in, datagrams out. */
function exit(t: Test, options: Partial<ConstructorParameters<typeof Egress>[0]> = {}) {
  const clock = new VirtualClock();
  const components = { ...testComponents(), clock };
  const egress = new Egress({ components, allowPrivate: true, ...options });
  t.teardown(() => egress.stop());
  const out: string[] = [];
  const stream: Partial<AcceptedStream> = {
    id: 1,
    opened: () => {},
    refuse: () => {},
    reset: (code) => out.push(`reset ${code}`),
    sendDatagram: (_host, port, bytes) => out.push(`${port} ${Buffer.from(bytes)}`) > 0,
  };
  const handlers = (egress.accept as AcceptHandler)(
    stream as AcceptedStream,
    'udp',
    '0.0.0.0',
    0,
    'one',
  ) as StreamHandlers;
  const send = (port: number, text: string) => handlers.onDatagram?.('127.0.0.1', port, Buffer.from(text));
  return { clock, egress, out, send, components };
}

t.test('idle sockets are given back, the association stays', async (t) => {
  const { clock, egress, out, send } = exit(t, { limits: { udpIdleMs: 40 } });
  const site = await UdpPeer.open(t);
  send(site.port, 'one');
  const first = (await site.datagram(0)).from.port;
  clock.advance(100);
  site.send(Buffer.from('too late'), first);
  send(site.port, 'two');
  const second = (await site.datagram(1)).from.port;
  t.not(first, second, 'another port');
  site.send(Buffer.from('in time'), second);
  await eventually(() => out.length > 0);
  t.same(out, [`${site.port} in time`]);
  t.equal(egress.counts().active, 1);
});

t.test('new peers count like new connections', async (t) => {
  const { send, components } = exit(t, { limits: { streamsPerSecond: 1, streamsPerSecondPerSession: 1 } });
  const sites = await Promise.all(Array.from({ length: 6 }, () => UdpPeer.open(t)));
  for (let round = 0; round < 3; round++) for (const site of sites) send(site.port, `${round}`);
  await soon(async () => /fate="up"\} 12/.test(await components.metrics.text())); // one token went to the association
  t.match(await components.metrics.text(), /fate="limit"\} 6/);
  await sites[0]?.datagram(2);
  t.same(
    sites.slice(4).map(({ received }) => received.length),
    [0, 0],
  );
});

t.test('an association has a longest time', async (t) => {
  const { clock, egress, out } = exit(t, { limits: { openMs: 20 } });
  clock.advance(19);
  t.equal(egress.counts().active, 1);
  clock.advance(1);
  await eventually(() => egress.counts().active === 0);
  t.same(out, ['reset TIMEOUT']);
});
